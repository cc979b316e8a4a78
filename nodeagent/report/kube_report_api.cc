#include "nodeagent/report/kube_report_api.h"

#include <nlohmann/json.hpp>

#include "lib/api/names.h"
#include "lib/k8s/core.h"

namespace multinet::agent::report {

Status KubeReportApi::putSet(const api::PodInterfaceSet& set) {
  MULTINET_TRY(kube::Client* const client, client_());
  const auto created = client->create(set, std::function<bool(const api::PodInterfaceSet&)>(
                                               [&set](const api::PodInterfaceSet& there) {
                                                 return there.sandboxID == set.sandboxID;
                                               }));
  if (created) return {};
  if (created.error().code != Code::AlreadyExists) return fail(created.error());
  auto there = client->get<api::PodInterfaceSet>({set.metadata.nameSpace, set.metadata.name});
  if (!there) return fail(there.error());
  api::PodInterfaceSet next = set;
  next.metadata = there->metadata;
  if (next == *there) return {};
  const auto updated = client->update(next);
  if (!updated) return fail(updated.error());
  return {};
}

Status KubeReportApi::deleteSet(const std::string& namespaceName, const std::string& name) {
  MULTINET_TRY(kube::Client* const client, client_());
  return client->remove<api::PodInterfaceSet>({namespaceName, name});
}

// Server-side apply merges the list of conditions by type; a merge patch would replace it, and with
// it the kubelet's own conditions. The UID is a precondition: a new pod of the name isn't touched.
Status KubeReportApi::putReadiness(const PodRef& pod, const Readiness& readiness) {
  MULTINET_TRY(kube::Client* const client, client_());
  const kube::Json body = {
      {"apiVersion", "v1"},
      {"kind", "Pod"},
      {"metadata", {{"name", pod.name}, {"namespace", pod.namespaceName}, {"uid", pod.uid.str()}}},
      {"status",
       {{"conditions",
         {{{"type", api::kReadyGate},
           {"status", readiness.ready ? "True" : "False"},
           {"reason", readiness.reason},
           {"message", readiness.message},
           {"lastTransitionTime", formatTime(clock_.wall())}}}}}}};
  const auto applied = client->apply<k8s::Pod>(body, kube::Subresource::Status);
  if (applied) return {};
  // Another pod has the name by now: ours is gone.
  const bool mismatch = applied.error().code == Code::InvalidArgument;  // 422, as seen on 1.37
  if (mismatch || applied.error().reason == "Conflict") {
    const auto there = client->get<k8s::Pod>({pod.namespaceName, pod.name});
    if (there && there->metadata.uid != pod.uid.str()) {
      return fail(Code::NotFound, "PodGone",
                  "write readiness of pod " + pod.str() + ": another pod has its name");
    }
  }
  return fail(applied.error());
}

void KubeReportApi::recordRefusal(const PodRef& pod, const Error& error) {
  kube::ObjectReference about;
  about.apiVersion = "v1";
  about.kind = "Pod";
  about.key = {pod.namespaceName, pod.name};
  about.uid = pod.uid.str();
  const auto client = client_();
  if (!client) return;  // the kubelet tells the error too
  const std::lock_guard lock(mutex_);
  if (events_ == nullptr) {
    events_ = std::make_unique<kube::EventRecorder>(
        **client, clock_,
        kube::EventOptions{.component = "multinet-nodeagent", .host = node_.str()});
    events_->start();
  }
  events_->record(about, kube::Severity::Warning,
                  error.reason.empty() ? "NetworksRefused" : error.reason, error.message);
}

}  // namespace multinet::agent::report
