// Remembers what was told, one line each.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "nodeagent/report/reporter.h"

namespace multinet::agent::report {

/// Thread-safe. It outlives whoever has its tell().
class FakeReporter {
 public:
  [[nodiscard]] Tell tell() {
    return [this](const News& news) { std::visit([this](const auto& one) { hear(one); }, news); };
  }
  /// What holds of the node, by type: `True SomeReason`, `not True SomeReason`.
  [[nodiscard]] std::map<std::string, std::string> conditions() const {
    const std::lock_guard lock(mutex_);
    return conditions_;
  }
  [[nodiscard]] std::vector<std::string> told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }

 private:
  void hear(const Starting& one) { note("starting " + one.pod.str()); }
  void hear(const Attached& one) {
    note("attached " + one.pod.str() + " " + one.sandbox.str() + " " +
         std::to_string(one.interfaces.size()));
  }
  void hear(const Detached& one) { note("detached " + one.pod.str() + " " + one.sandbox.str()); }
  void hear(const Refused& one) { note("refused " + one.pod.str() + " " + one.error.reason); }
  void hear(const PodEvent& one) { note("event " + one.pod.str() + " " + one.notice.reason); }
  void hear(const NodeCondition& condition) {
    const bool isTrue = condition.status == k8s::ConditionStatus::True;
    const std::lock_guard lock(mutex_);
    conditions_[condition.type] = (isTrue ? "True " : "not True ") + condition.reason;
  }
  void note(std::string line) {
    const std::lock_guard lock(mutex_);
    told_.push_back(std::move(line));
  }
  mutable std::mutex mutex_;
  std::vector<std::string> told_;
  std::map<std::string, std::string> conditions_;
};

}  // namespace multinet::agent::report
