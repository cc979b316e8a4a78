// A reply that is given exactly once: what every call that doesn't wait hands on.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "lib/async/lane.h"
#include "lib/base/result.h"

namespace multinet::async {

/// Made of whatever takes a Result<T>. Copies share one reply: the first call counts, later ones do
/// nothing. If the last copy goes without a call, the asker gets Internal/Abandoned rather than
/// waiting for ever. Any thread.
template <class T>
class Answer {
 public:
  template <class Done>
    requires(!std::same_as<std::remove_cvref_t<Done>, Answer> && std::invocable<Done&, Result<T>>)
  Answer(Done done)  // NOLINT(google-explicit-constructor): a lambda is what it is made of
      : once_(std::make_shared<Once<Done>>(std::move(done))) {}
  void operator()(Result<T> result) const { once_->give(std::move(result)); }

 private:
  class Giver {
   public:
    Giver() = default;
    Giver(const Giver&) = delete;
    Giver& operator=(const Giver&) = delete;
    virtual ~Giver() = default;
    virtual void give(Result<T> result) = 0;
  };

  template <class Done>
  class Once final : public Giver {
   public:
    explicit Once(Done done) : done_(std::move(done)) {}
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;
    ~Once() override {
      give(fail(Code::Internal, "Abandoned", "answer command: it was dropped without an answer"));
    }
    void give(Result<T> result) override {
      if (given_.exchange(true)) return;
      // What it holds goes with the call, not with the last copy.
      Done done = std::move(*done_);
      done_.reset();
      done(std::move(result));
    }

   private:
    std::optional<Done> done_;
    std::atomic<bool> given_ = false;
  };

  std::shared_ptr<Giver> once_;
};

/// At once where it is called on the lane, else in its turn. False after Lane::stop().
template <class Work>
bool runOn(Lane& lane, Work work) {
  if (!lane.onThread()) return lane.post(std::move(work));
  work();
  return true;
}

/// Goes on with `next` on the lane: at once where it is answered there or the lane has nothing to
/// do, on the thread that answers, else in its turn. Whoever answers holds no lock. After the lane
/// has stopped nothing comes. The lane outlives the answer and its copies.
template <class T, class Next>
[[nodiscard]] Answer<T> onLane(Lane& lane, Next next) {
  return Answer<T>([&lane, next = std::move(next)](Result<T> result) mutable {
    if (lane.onThread()) return static_cast<void>(next(std::move(result)));
    struct Turn {
      Next next;
      Result<T> result;
    };
    // A task is copied, an answer may not be copyable.
    const auto turn = std::make_shared<Turn>(Turn{std::move(next), std::move(result)});
    lane.dispatch([turn] { turn->next(std::move(turn->result)); });
  });
}

}  // namespace multinet::async
