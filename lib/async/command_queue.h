// Commands, in order for each key, many keys at once. A command is a state machine: it starts on
// the lane and answers whenever it is done, so that no thread waits for the world.
#pragma once

#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/answer.h"
#include "lib/async/lane.h"

namespace multinet::async {

/// FIFO per key, bounded over all keys, every command answered exactly once. The next command of a
/// key starts when the one before has answered. A command that runs must have answered, and the
/// lane must have stopped, before the queue goes.
template <class Key>
class CommandQueue {
 public:
  /// At most `capacity` commands wait or run.
  CommandQueue(Lane& lane, std::size_t capacity) : lane_(lane), capacity_(capacity) {}
  ~CommandQueue() { close(); }
  CommandQueue(const CommandQueue&) = delete;
  CommandQueue& operator=(const CommandQueue&) = delete;

  /// Any thread. `start` runs on the lane, before the call returns where it comes from there and no
  /// other command of the key is under way; `done` is called on the thread that answers. A full
  /// queue answers ResourceExhausted at once, a closed one and a stopped lane Unavailable.
  template <class T>
  void submit(const Key& key, std::function<void(Answer<T>)> start,
              std::function<void(Result<T>)> done) {
    auto admitted = admit(key, {[this, key, start = std::move(start), done] {
                                  start(Answer<T>([this, key, done](Result<T> result) {
                                    done(std::move(result));
                                    answered(key);
                                  }));
                                },
                                [done](Error error) { done(fail(std::move(error))); }});
    if (!admitted) return done(fail(std::move(admitted).error()));
    if (lane_.onThread()) return startNext(key);
    if (!lane_.post([this, key] { startNext(key); })) close();
  }

  /// Answers what waits with Unavailable, and what comes later too. What runs goes on.
  void close() {
    std::vector<Command> refused;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      for (auto& [key, line] : lines_) {
        std::move(line.waiting.begin(), line.waiting.end(), std::back_inserter(refused));
        line.waiting.clear();
      }
      std::erase_if(lines_, [](const auto& entry) { return !entry.second.running; });
      size_ -= refused.size();
    }
    for (const auto& command : refused) command.refuse(stopping());
  }

  /// Commands that wait or run.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return size_;
  }

 private:
  struct Command {
    Task start;
    std::function<void(Error)> refuse;
  };
  struct Line {
    bool running = false;
    std::deque<Command> waiting;
  };

  static Error stopping() {
    return {Code::Unavailable, "Stopping", "queue command: the agent is stopping"};
  }

  Status admit(const Key& key, Command command) {
    const std::lock_guard lock(mutex_);
    if (closed_) return fail(stopping());
    if (size_ >= capacity_) {
      return fail(
          Code::ResourceExhausted, "QueueFull",
          "queue command: " + std::to_string(capacity_) + " are under way, the most allowed");
    }
    ++size_;
    lines_[key].waiting.push_back(std::move(command));
    return {};
  }

  void startNext(const Key& key) {
    Task start;
    {
      const std::lock_guard lock(mutex_);
      const auto line = lines_.find(key);
      if (line == lines_.end() || line->second.running || line->second.waiting.empty()) return;
      line->second.running = true;
      start = std::move(line->second.waiting.front().start);
      line->second.waiting.pop_front();
    }
    start();
  }

  /// A stopped lane starts nobody's followers: they are told now, not when the queue goes.
  void answered(const Key& key) {
    {
      const std::lock_guard lock(mutex_);
      --size_;
      const auto line = lines_.find(key);
      line->second.running = false;
      if (line->second.waiting.empty()) {
        lines_.erase(line);
        return;
      }
    }
    if (!lane_.post([this, key] { startNext(key); })) close();
  }

  Lane& lane_;
  std::size_t capacity_;
  mutable std::mutex mutex_;
  std::map<Key, Line> lines_;
  std::size_t size_ = 0;
  bool closed_ = false;
};

}  // namespace multinet::async
