// An engine that touches no kernel: tests say what it answers and see what it was asked. A
// namespace is told from another by what can be read from its descriptor.
#pragma once

#include <unistd.h>

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "nodeagent/attach/attach_engine.h"

namespace multinet::agent::attach {

/// Answers at once on the caller's thread, or, with `hold`, when release() is called. Thread-safe.
class FakeAttachEngine final : public AttachEngine {
 public:
  void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, AbortFlag abort,
              async::Answer<std::vector<InterfaceStatus>> done) override {
    auto finish = [this, intent, where = textOf(netns), plans = std::move(plans),
                   abort = std::move(abort),
                   done = std::move(done)] { done(finishAttach(intent, where, plans, abort)); };
    hand(std::move(finish));
  }

  void maintain(IntentId intent, Fd /*netns*/, std::vector<InterfacePlan> plans, AbortFlag abort,
                async::Answer<Upkeep> done) override {
    auto finish = [this, intent, plans = std::move(plans), abort = std::move(abort),
                   done = std::move(done)] { done(finishMaintain(intent, plans, abort)); };
    hand(std::move(finish));
  }

  void detach(IntentId intent, std::optional<Fd> /*netns*/, async::Answer<void> done) override {
    auto finish = [this, intent, done = std::move(done)] {
      Status answer;
      {
        const std::lock_guard lock(mutex_);
        ++detaches_;
        answer = detachAnswer_;
        if (answer) {
          attached_.erase(intent);
          netns_.erase(intent);
        }
      }
      done(std::move(answer));
    };
    hand(std::move(finish));
  }

  [[nodiscard]] Result<std::vector<ObservedInterface>> observe(
      const std::optional<Fd>& netns) override {
    const std::string where = netns.has_value() ? textOf(*netns) : std::string();
    return look(
        [&](const IntentId& intent) { return !where.empty() && netns_.at(intent) == where; });
  }
  [[nodiscard]] Result<std::vector<ObservedInterface>> observeAll() override {
    return look([](const IntentId&) { return true; });
  }

  /// observe() and observeAll() answer this.
  void failObserve(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    observeError_ = std::move(error);
  }
  /// The namespace ends, and with it the links in it.
  void loseNetns(const std::string& netns) {
    const std::lock_guard lock(mutex_);
    std::erase_if(attached_, [&](const auto& one) { return netns_[one.first] == netns; });
  }
  /// Links that an earlier process made.
  void put(const IntentId& intent, const std::string& netns, std::vector<InterfacePlan> plans) {
    const std::lock_guard lock(mutex_);
    attached_[intent] = std::move(plans);
    netns_[intent] = netns;
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
  /// From now on maintain() finds interfaces so: `trouble` gets each status to change.
  void disturb(std::function<void(InterfaceStatus&)> trouble) {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(trouble);
  }
  /// The next maintain() says that it did this.
  void repairOnce(std::vector<std::string> repairs) {
    const std::lock_guard lock(mutex_);
    repairs_ = std::move(repairs);
  }
  /// Answers held back.
  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  /// The plans of each maintain(), in order.
  [[nodiscard]] std::vector<std::vector<InterfacePlan>> maintained() const {
    const std::lock_guard lock(mutex_);
    return maintained_;
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
  static std::string textOf(const Fd& netns) {
    std::array<char, 64> text{};
    const ssize_t size = ::pread(netns.get(), text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }

  Result<std::vector<ObservedInterface>> look(const std::function<bool(const IntentId&)>& isSeen) {
    const std::lock_guard lock(mutex_);
    if (observeError_) return fail(*observeError_);
    std::vector<ObservedInterface> observed;
    for (const auto& [intent, plans] : attached_) {
      if (!isSeen(intent)) continue;
      int index = 2;
      for (const InterfacePlan& plan : plans) {
        ObservedInterface link{intent, plan.name.str(), plan.name.str(), ++index, true,
                               true,   plan.mac,        plan.mtu,        "veth"};
        for (const AddressPlan& address : plan.addresses) {
          link.addresses.push_back(address.address);
        }
        observed.push_back(std::move(link));
      }
    }
    return observed;
  }

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
                                                    const std::string& netns,
                                                    const std::vector<InterfacePlan>& plans,
                                                    const AbortFlag& abort) {
    const std::lock_guard lock(mutex_);
    if (abort && abort->load()) {
      return fail(Code::Cancelled, "Aborted", "attach " + intent.str() + ": aborted");
    }
    if (attachError_) return fail(*attachError_);
    attached_[intent] = plans;
    netns_[intent] = netns;
    std::vector<InterfaceStatus> statuses;
    int index = 2;
    for (const InterfacePlan& plan : plans) {
      statuses.push_back({plan, InterfaceState::Attached, ++index, "", "", {}, LinkState::Up});
    }
    return statuses;
  }

  Result<Upkeep> finishMaintain(const IntentId& intent, const std::vector<InterfacePlan>& plans,
                                const AbortFlag& abort) {
    const std::lock_guard lock(mutex_);
    if (abort && abort->load()) {
      return fail(Code::Cancelled, "Aborted", "maintain " + intent.str() + ": aborted");
    }
    maintained_.push_back(plans);
    Upkeep upkeep;
    int index = 2;
    for (const InterfacePlan& plan : plans) {
      InterfaceStatus status{plan, InterfaceState::Attached, ++index, "", "", {}, LinkState::Up};
      if (trouble_) trouble_(status);
      upkeep.interfaces.push_back(std::move(status));
    }
    upkeep.repairs = std::exchange(repairs_, {});
    return upkeep;
  }

  mutable std::mutex mutex_;
  std::function<void(InterfaceStatus&)> trouble_;
  std::vector<std::string> repairs_;
  std::vector<std::vector<InterfacePlan>> maintained_;
  bool holding_ = false;
  int detaches_ = 0;
  std::optional<Error> attachError_;
  Status detachAnswer_;
  std::optional<Error> observeError_;
  std::map<IntentId, std::vector<InterfacePlan>> attached_;
  std::map<IntentId, std::string> netns_;
  std::vector<std::function<void()>> held_;
};

}  // namespace multinet::agent::attach
