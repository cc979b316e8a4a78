// The calls that are under way, so that the agent can stop at a moment when nobody waits for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

namespace multinet::agent::cri {

class Call;

/// Any thread.
class Calls {
 public:
  /// Each call tells of its begin and its end. One without an end of its own (an event stream) is
  /// waited for by nobody.
  void began(Call& call);
  void ended(Call& call);
  /// Waits until no call is under way, `limit` at most; calls may begin meanwhile.
  void awaitQuiet(std::chrono::milliseconds limit);
  /// Ends those without an end with Unavailable.
  void endStreams();

 private:
  std::mutex mutex_;  ///< guards what follows
  std::condition_variable ended_;
  std::size_t finite_ = 0;
  std::map<Call*, std::weak_ptr<Call>> streams_;
};

}  // namespace multinet::agent::cri
