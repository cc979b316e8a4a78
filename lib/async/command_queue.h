// Commands, in order for each key, many keys at once. A command is a state machine: it starts on
// the lane and answers whenever it is done, so that no thread waits for the world.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "lib/async/answer.h"
#include "lib/async/lane.h"

namespace multinet::async {

/// FIFO per key, bounded over all keys, every command answered exactly once. The next command of a
/// key starts when the one before has answered. The lane must be stopped before the queue goes.
template <class Key>
class CommandQueue {
 public:
  /// At most `capacity` commands wait or run.
  CommandQueue(Lane& lane, std::size_t capacity) : lane_(lane), capacity_(capacity) {}

  /// Any thread. `start` runs on the lane; `done` is called on the thread that answers. A full
  /// queue answers ResourceExhausted at once, a stopped lane Unavailable.
  template <class T>
  void submit(Key key, std::function<void(Answer<T>)> start, std::function<void(Result<T>)> done) {
    const auto refuse = [&done](Code code, std::string reason, std::string message) {
      done(fail(code, std::move(reason), std::move(message)));
    };
    if (!admit(key, [this, key, start = std::move(start), done] {
          start(Answer<T>([this, key, done](Result<T> result) {
            done(std::move(result));
            lane_.post([this, key] { finished(key); });
          }));
        })) {
      refuse(Code::ResourceExhausted, "QueueFull",
             "queue command: " + std::to_string(capacity_) + " are under way, the most allowed");
    } else if (!lane_.post([this, key] { startNext(key); })) {
      withdraw(key);
      refuse(Code::Unavailable, "Stopping", "queue command: the agent is stopping");
    }
  }

  /// Commands that wait or run.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return size_;
  }

 private:
  struct Line {
    bool running = false;
    std::deque<Task> waiting;
  };

  bool admit(const Key& key, Task task) {
    const std::lock_guard lock(mutex_);
    if (size_ >= capacity_) return false;
    ++size_;
    lines_[key].waiting.push_back(std::move(task));
    return true;
  }

  void withdraw(const Key& key) {
    const std::lock_guard lock(mutex_);
    lines_[key].waiting.pop_back();
    --size_;
  }

  void startNext(const Key& key) {
    Task task;
    {
      const std::lock_guard lock(mutex_);
      const auto line = lines_.find(key);
      if (line == lines_.end() || line->second.running || line->second.waiting.empty()) return;
      line->second.running = true;
      task = std::move(line->second.waiting.front());
      line->second.waiting.pop_front();
    }
    task();
  }

  void finished(const Key& key) {
    {
      const std::lock_guard lock(mutex_);
      --size_;
      const auto line = lines_.find(key);
      line->second.running = false;
      if (line->second.waiting.empty()) lines_.erase(line);
    }
    startNext(key);
  }

  Lane& lane_;
  std::size_t capacity_;
  mutable std::mutex mutex_;
  std::map<Key, Line> lines_;
  std::size_t size_ = 0;
};

}  // namespace multinet::async
