#include "lib/async/runner.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "lib/async/start_thread.h"

namespace multinet::async {

Runner::Runner(std::string name, const Clock& clock, Next next)
    : name_(std::move(name)), clock_(clock), next_(std::move(next)) {
  threadDoor(name_);
  thread_ = std::thread([this] { run(); });
}

LaneHealth Runner::health() const {
  LaneHealth health;
  health.name = name_;
  const BootTime since = busySince_;
  if (since != kIdle) health.busy = std::max(Duration{}, Duration(clock_.now() - since));
  health.longest = longest_;
  health.done = done_;
  return health;
}

void Runner::run() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  id_ = std::this_thread::get_id();
  while (Task task = next_()) {
    const BootTime begin = clock_.now();
    busySince_ = begin;
    task();
    task = nullptr;  // what it holds goes before the thread counts as idle
    longest_ = std::max(longest_.load(), Duration(clock_.now() - begin));
    busySince_ = kIdle;
    ++done_;
  }
}

}  // namespace multinet::async
