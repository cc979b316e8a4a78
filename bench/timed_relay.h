// Stands between the agent and the runtime and takes the time that RunPodSandbox and
// StopPodSandbox spend behind it.
//
// A sandbox takes the runtime 100 ms, give or take 10, and the agent adds a hundredth of that: two
// calls, one with and one without the agent, would need thousands of pairs to show it. With the
// runtime's time known for the very same call, what remains is the agent's.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "bench/in_turn.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/server.h"

namespace multinet::bench {

class TimedRelay {
 public:
  /// Serves at the path `listen`; `runtime` is an endpoint (`unix:///...`).
  [[nodiscard]] static Result<std::unique_ptr<TimedRelay>> start(const std::string& listen,
                                                                 const std::string& runtime);
  TimedRelay(Fd socket, const std::string& runtime);

  /// Of the last RunPodSandbox that was answered, and of the last StopPodSandbox.
  [[nodiscard]] Steady::duration lastRun() const { return Steady::duration(lastRun_); }
  [[nodiscard]] Steady::duration lastStop() const { return Steady::duration(lastStop_); }

 private:
  std::atomic<Steady::rep> lastRun_ = 0;
  std::atomic<Steady::rep> lastStop_ = 0;
  std::unique_ptr<agent::cri::Server> server_;
  agent::cri::Listener listener_;
};

}  // namespace multinet::bench
