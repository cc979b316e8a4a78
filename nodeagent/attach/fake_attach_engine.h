// An engine that touches no kernel: tests say what it answers and see what it was asked.
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "nodeagent/attach/attach_engine.h"

namespace multinet::agent::attach {

/// Answers at once on the caller's thread, or, with `hold`, when release() is called. Thread-safe.
class FakeAttachEngine final : public AttachEngine {
 public:
  void attach(IntentId intent, Fd /*netns*/, std::vector<InterfacePlan> plans, AbortFlag abort,
              AttachCallback done) override {
    auto finish = [this, intent, plans = std::move(plans), abort = std::move(abort),
                   done = std::move(done)] { done(finishAttach(intent, plans, abort)); };
    hand(std::move(finish));
  }

  void detach(IntentId intent, std::optional<Fd> /*netns*/, DetachCallback done) override {
    auto finish = [this, intent, done = std::move(done)] {
      Status answer;
      {
        const std::lock_guard lock(mutex_);
        ++detaches_;
        answer = detachAnswer_;
        if (answer) attached_.erase(intent);
      }
      done(std::move(answer));
    };
    hand(std::move(finish));
  }

  [[nodiscard]] Result<std::vector<ObservedInterface>> observe(
      const std::optional<Fd>& /*netns*/) override {
    const std::lock_guard lock(mutex_);
    std::vector<ObservedInterface> observed;
    for (const auto& [intent, plans] : attached_) {
      for (const InterfacePlan& plan : plans) {
        observed.push_back({intent, plan.name.str(), "fake-" + plan.name.str(), 7, false, true});
      }
    }
    return observed;
  }

  /// From now on attach() answers this.
  void failAttach(Error error) {
    const std::lock_guard lock(mutex_);
    attachError_ = std::move(error);
  }
  void succeedAttach() {
    const std::lock_guard lock(mutex_);
    attachError_.reset();
  }
  void answerDetach(Status answer) {
    const std::lock_guard lock(mutex_);
    detachAnswer_ = std::move(answer);
  }
  /// Answers wait for release().
  void hold() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  /// Gives all answers held back, in order, and holds no more.
  void release() {
    std::vector<std::function<void()>> held;
    {
      const std::lock_guard lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (const auto& finish : held) finish();
  }
  [[nodiscard]] std::map<IntentId, std::vector<InterfacePlan>> attached() const {
    const std::lock_guard lock(mutex_);
    return attached_;
  }
  [[nodiscard]] int detaches() const {
    const std::lock_guard lock(mutex_);
    return detaches_;
  }

 private:
  void hand(std::function<void()> finish) {
    {
      const std::lock_guard lock(mutex_);
      if (holding_) {
        held_.push_back(std::move(finish));
        return;
      }
    }
    finish();
  }

  Result<std::vector<InterfaceStatus>> finishAttach(const IntentId& intent,
                                                    const std::vector<InterfacePlan>& plans,
                                                    const AbortFlag& abort) {
    const std::lock_guard lock(mutex_);
    if (abort && abort->load()) {
      return fail(Code::Cancelled, "Aborted", "attach " + intent.str() + ": aborted");
    }
    if (attachError_) return fail(*attachError_);
    attached_[intent] = plans;
    std::vector<InterfaceStatus> statuses;
    int index = 2;
    for (const InterfacePlan& plan : plans) {
      statuses.push_back({plan, InterfaceState::Attached, ++index, "", "", {}});
    }
    return statuses;
  }

  mutable std::mutex mutex_;
  bool holding_ = false;
  int detaches_ = 0;
  std::optional<Error> attachError_;
  Status detachAnswer_;
  std::map<IntentId, std::vector<InterfacePlan>> attached_;
  std::vector<std::function<void()>> held_;
};

}  // namespace multinet::agent::attach
