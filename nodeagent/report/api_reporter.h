// Writes what became of a pod's networks: its PodInterfaceSet, its readiness condition, its Events.
//
// A set is written once, after the call that attached it was answered: nothing on the way of a pod
// waits for the API server. What can't be written now is written later; only the newest counts.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "lib/api/names.h"
#include "lib/api/pod_interface_set.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/kube/work_queue.h"
#include "lib/kube/worker.h"
#include "nodeagent/report/reporter.h"

namespace multinet::agent::report {

/// The pod's condition `multinet.dev/networks-ready`.
struct Readiness {
  bool ready = false;
  std::string reason;
  std::string message;
  bool operator==(const Readiness&) const = default;
};

/// What this room asks of the API. Calls block, on the room's own thread. NotFound means that the
/// pod or the set is gone, which is no failure.
class ReportApi {
 public:
  virtual ~ReportApi() = default;
  /// Creates the set, or makes the one that is there equal to it.
  [[nodiscard]] virtual Status putSet(const api::PodInterfaceSet& set) = 0;
  [[nodiscard]] virtual Status deleteSet(const std::string& namespaceName,
                                         const std::string& name) = 0;
  /// Only on the pod with that UID.
  [[nodiscard]] virtual Status putReadiness(const PodRef& pod, const Readiness& readiness) = 0;
  /// Returns at once; the door keeps it until it can be sent.
  virtual void recordEvent(const PodRef& pod, const Notice& notice) = 0;
  virtual void recordNodeEvent(const Notice& notice) = 0;
};

/// The set of a pod as the API shows it. Pure.
[[nodiscard]] api::PodInterfaceSet interfaceSet(const PodRef& pod, const NodeName& node,
                                                const SandboxId& sandbox,
                                                const std::vector<InterfaceStatus>& interfaces,
                                                WallTime now);

class ApiReporter final : public Reporter {
 public:
  /// All it is given outlives it. Starts its thread.
  ApiReporter(ReportApi& api, NodeConditions& conditions, const Clock& clock, NodeName node);
  ~ApiReporter() override;

  void starting(const PodRef& pod) override;
  void attached(const PodRef& pod, const SandboxId& sandbox,
                std::vector<InterfaceStatus> interfaces) override;
  void detached(const PodRef& pod, const SandboxId& sandbox) override;
  void refused(const PodRef& pod, const Error& error) override;
  void event(const PodRef& pod, Notice notice) override;
  void nodeEvent(Notice notice) override;
  void setNodeCondition(NodeCondition condition) override;

  /// Reports that aren't written yet, for metrics and tests.
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct Wanted {
    PodRef pod;
    SandboxId sandbox;  ///< of the set; empty: no set
    std::optional<api::PodInterfaceSet> set;
    bool deleteSet = false;
    Readiness readiness;
    std::uint64_t version = 0;
  };

  void want(const PodRef& pod, Wanted wanted);
  [[nodiscard]] Result<kube::Outcome> write(const PodUid& uid);

  ReportApi& api_;
  NodeConditions& conditions_;
  const Clock& clock_;
  const NodeName node_;
  mutable std::mutex mutex_;
  std::uint64_t version_ = 0;
  std::map<PodUid, Wanted> wanted_;      ///< not written yet
  std::map<PodUid, SandboxId> current_;  ///< whose set is, or is about to be, in the API
  kube::WorkQueue<PodUid> queue_;
  kube::Workers<PodUid> workers_;
};

}  // namespace multinet::agent::report
