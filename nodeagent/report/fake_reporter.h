// Remembers what was told, one line each.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "nodeagent/report/reporter.h"

namespace multinet::agent::report {

/// Thread-safe.
class FakeReporter final : public Reporter {
 public:
  void starting(const PodRef& pod) override { note("starting " + pod.str()); }
  void attached(const PodRef& pod, const SandboxId& sandbox,
                std::vector<InterfaceStatus> interfaces) override {
    note("attached " + pod.str() + " " + sandbox.str() + " " + std::to_string(interfaces.size()));
  }
  void detached(const PodRef& pod, const SandboxId& sandbox) override {
    note("detached " + pod.str() + " " + sandbox.str());
  }
  void refused(const PodRef& pod, const Error& error) override {
    note("refused " + pod.str() + " " + error.reason);
  }
  void event(const PodRef& pod, Notice notice) override {
    note("event " + pod.str() + " " + notice.reason);
  }
  void nodeEvent(Notice notice) override { note("node event " + notice.reason); }
  void setNodeCondition(NodeCondition condition) override {
    const bool isTrue = condition.status == k8s::ConditionStatus::True;
    const std::lock_guard lock(mutex_);
    conditions_[condition.type] = (isTrue ? "True " : "not True ") + condition.reason;
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
  void note(std::string line) {
    const std::lock_guard lock(mutex_);
    told_.push_back(std::move(line));
  }
  mutable std::mutex mutex_;
  std::vector<std::string> told_;
  std::map<std::string, std::string> conditions_;
};

}  // namespace multinet::agent::report
