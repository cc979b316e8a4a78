#include "nodeagent/cri/calls.h"

#include <vector>

#include "nodeagent/cri/call.h"

namespace multinet::agent::cri {

void Calls::began(Call& call) {
  const std::lock_guard lock(mutex_);
  if (call.endless()) {
    streams_.emplace(&call, call.weak_from_this());
  } else {
    ++finite_;
  }
}

void Calls::ended(Call& call) {
  const std::lock_guard lock(mutex_);
  if (streams_.erase(&call) > 0) return;
  if (--finite_ == 0) ended_.notify_all();
}

void Calls::awaitQuiet(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, limit, [this] { return finite_ == 0; });
}

void Calls::endStreams() {
  std::vector<std::shared_ptr<Call>> streams;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [call, held] : streams_) {
      if (auto alive = held.lock()) streams.push_back(std::move(alive));
    }
  }
  for (const auto& stream : streams) stream->endNow();
}

}  // namespace multinet::agent::cri
