// The report room's door to Kubernetes, over lib/kube, with the kubelet's rights.
#pragma once

#include "lib/kube/client.h"
#include "lib/kube/events.h"
#include "nodeagent/report/api_reporter.h"

namespace multinet::agent::report {

class KubeReportApi final : public ReportApi {
 public:
  /// All outlive it.
  KubeReportApi(kube::Client& client, kube::EventRecorder& events, const Clock& clock)
      : client_(client), events_(events), clock_(clock) {}

  [[nodiscard]] Status putSet(const api::PodInterfaceSet& set) override;
  [[nodiscard]] Status deleteSet(const std::string& namespaceName,
                                 const std::string& name) override;
  [[nodiscard]] Status putReadiness(const PodRef& pod, const Readiness& readiness) override;
  void recordRefusal(const PodRef& pod, const Error& error) override;

 private:
  kube::Client& client_;
  kube::EventRecorder& events_;
  const Clock& clock_;
};

}  // namespace multinet::agent::report
