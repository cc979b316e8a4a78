// Announces the addresses of new and repaired interfaces, off the way of every call.
//
// An address that comes back with another MAC, or behind another port of the wire, would be looked
// for at the old place until the neighbours' entries age: half a minute, measured.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "lib/async/lane.h"
#include "lib/base/fd.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::attach {

/// Any thread may call; nothing blocks.
class Announcer {
 public:
  Announcer() = default;
  ~Announcer() { stop(); }
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  /// Three times: at once, after 1 s and after 3 s, since the first may meet a link whose other end
  /// isn't ready. Where too many wait already nothing is sent: neighbours learn by their own
  /// probes.
  void announce(const IntentId& intent, Fd netns, std::vector<InterfaceStatus> interfaces);
  /// Sends nothing more for it and lets go of its namespace, which an open descriptor keeps alive.
  void cancel(const IntentId& intent);
  /// Ends the thread; what waits isn't sent.
  void stop() { lane_.stop(); }

 private:
  struct Job {
    Fd netns;
    std::vector<InterfaceStatus> interfaces;
    std::size_t round = 0;
    std::uint64_t number = 0;
  };

  void send(const IntentId& intent, std::uint64_t number);

  std::map<IntentId, Job> jobs_;  // of the lane
  std::uint64_t numbers_ = 0;     // of the lane
  async::Lane lane_{"mn-announce"};
};

}  // namespace multinet::agent::attach
