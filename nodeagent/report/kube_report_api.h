// The report room's door to Kubernetes, over lib/kube, with the kubelet's rights.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "lib/kube/client_source.h"
#include "lib/kube/events.h"
#include "nodeagent/report/api_reporter.h"

namespace multinet::agent::report {

class KubeReportApi final : public ReportApi {
 public:
  /// `clock` outlives it.
  KubeReportApi(kube::ClientSource client, const Clock& clock, NodeName node)
      : client_(std::move(client)), clock_(clock), node_(std::move(node)) {}

  [[nodiscard]] Status putSet(const api::PodInterfaceSet& set) override;
  [[nodiscard]] Status deleteSet(const std::string& namespaceName,
                                 const std::string& name) override;
  [[nodiscard]] Status putReadiness(const PodRef& pod, const Readiness& readiness,
                                    WallTime since) override;
  void recordEvent(const PodRef& pod, const Notice& notice) override;
  void recordNodeEvent(const Notice& notice) override;

 private:
  void record(kube::ObjectReference about, const Notice& notice);
  /// The client, once there is one; what waited for it is sent.
  [[nodiscard]] Result<kube::Client*> connected();

  kube::ClientSource client_;
  const Clock& clock_;
  const NodeName node_;
  std::mutex mutex_;
  std::unique_ptr<kube::EventRecorder> events_;                 ///< made with the first client
  std::deque<std::pair<kube::ObjectReference, Notice>> early_;  ///< before that; bounded
};

}  // namespace multinet::agent::report
