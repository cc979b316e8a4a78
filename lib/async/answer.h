// A reply that is given exactly once.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "lib/base/result.h"

namespace multinet::async {

/// Copies share one reply: the first call counts, later ones do nothing. If the last copy goes
/// without a call, the asker gets Internal/Abandoned rather than waiting for ever. Any thread.
template <class T>
class Answer {
 public:
  explicit Answer(std::function<void(Result<T>)> done)
      : once_(std::make_shared<Once>(std::move(done))) {}
  void operator()(Result<T> result) const { once_->give(std::move(result)); }

 private:
  class Once {
   public:
    explicit Once(std::function<void(Result<T>)> done) : done_(std::move(done)) {}
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;
    ~Once() {
      give(fail(Code::Internal, "Abandoned", "answer command: it was dropped without an answer"));
    }
    void give(Result<T> result) {
      if (!given_.exchange(true)) std::exchange(done_, nullptr)(std::move(result));
    }

   private:
    std::function<void(Result<T>)> done_;
    std::atomic<bool> given_ = false;
  };
  std::shared_ptr<Once> once_;
};

}  // namespace multinet::async
