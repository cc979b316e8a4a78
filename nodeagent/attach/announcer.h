// Announces the addresses of new and repaired interfaces, off the way of every call.
//
// An address that comes back with another MAC, or behind another port of the wire, would be looked
// for at the old place until the neighbours' entries age: half a minute, measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
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

  /// What is held, to be started once.
  struct Ticket {
    IntentId intent;
    std::uint64_t number = 0;
  };
  /// Takes note, wakes nobody. nullopt where nothing is to be sent, or too many wait already:
  /// then neighbours learn by their own probes.
  [[nodiscard]] std::optional<Ticket> hold(const IntentId& intent, Fd netns,
                                           const std::vector<InterfaceStatus>& interfaces);
  /// Sends three times: at once, after 1 s and after 3 s, since the first may meet a link whose
  /// other end isn't ready. Nothing where it was cancelled or held anew since.
  void start(const Ticket& ticket);
  /// Sends nothing more for it and lets go of its namespace, which an open descriptor keeps alive.
  void cancel(const IntentId& intent);
  /// Ends the thread; what waits isn't sent.
  void stop() { lane_.stop(); }

 private:
  struct Told {
    std::string interface;
    int ifindex = 0;
    MacAddress mac;
    IpAddress address;
  };
  struct Held {
    Fd netns;
    std::vector<Told> addresses;
  };
  struct Job {
    std::shared_ptr<const Held> held;
    std::uint64_t number = 0;
  };

  void send(const Ticket& ticket, std::size_t round);

  std::mutex mutex_;
  std::map<IntentId, Job> jobs_;
  std::uint64_t numbers_ = 0;
  async::Lane lane_{"mn-announce"};
};

}  // namespace multinet::agent::attach
