#include "nodeagent/report/kube_report_api.h"

#include <nlohmann/json.hpp>

#include "lib/api/names.h"
#include "lib/k8s/core.h"
#include "nodeagent/report/bounds.h"

namespace multinet::agent::report {
namespace {

/// Events that wait for the first connection.
constexpr std::size_t kMostEarly = 100;

/// The server's word (403) on anything new in a namespace that is being deleted: its pods go too.
bool isEnding(const Error& error) {
  return error.code == Code::PermissionDenied &&
         error.message.find("it is being terminated") != std::string::npos;
}

/// Whose set it is never changes: somebody else's under our name gives way.
Status replaceSet(kube::Client& client, const api::PodInterfaceSet& set,
                  const api::PodInterfaceSet& there) {
  Status removed = client.remove<api::PodInterfaceSet>(
      {there.metadata.nameSpace, there.metadata.name}, {there.metadata.uid, ""});
  if (!removed && removed.error().code != Code::NotFound) return removed;
  const auto created = client.create(set);
  if (!created) return fail(created.error());
  return {};
}

}  // namespace

Status KubeReportApi::putSet(const api::PodInterfaceSet& set) {
  MULTINET_TRY(kube::Client* const client, connected());
  const auto created = client->create(
      set, std::function<bool(const api::PodInterfaceSet&)>(
               [&set](const api::PodInterfaceSet& there) { return saysTheSame(set, there); }));
  if (created) return {};
  if (isEnding(created.error()))
    return fail(Error{Code::NotFound, "NamespaceEnds", created.error().message});
  if (created.error().code != Code::AlreadyExists) return fail(created.error());
  auto there = client->get<api::PodInterfaceSet>({set.metadata.nameSpace, set.metadata.name});
  if (!there) return fail(there.error());
  if (saysTheSame(set, *there)) return {};
  if (there->pod != set.pod || there->nodeName != set.nodeName)
    return replaceSet(*client, set, *there);
  api::PodInterfaceSet next = withTimesOf(set, *there);
  next.metadata = there->metadata;
  next.metadata.ownerReferences = set.metadata.ownerReferences;
  const auto updated = client->update(next);
  if (!updated) return fail(updated.error());
  return {};
}

Status KubeReportApi::deleteSet(const std::string& namespaceName, const std::string& name) {
  MULTINET_TRY(kube::Client* const client, connected());
  return client->remove<api::PodInterfaceSet>({namespaceName, name});
}

// Server-side apply merges the list of conditions by type; a merge patch would replace it, and with
// it the kubelet's own conditions. The UID is a precondition: a new pod of the name isn't touched.
Status KubeReportApi::putReadiness(const PodRef& pod, const Readiness& readiness, WallTime since) {
  MULTINET_TRY(kube::Client* const client, connected());
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
           {"lastTransitionTime", formatTime(since)}}}}}}};
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

void KubeReportApi::recordEvent(const PodRef& pod, const Notice& notice) {
  record({"v1", "Pod", {pod.namespaceName, pod.name}, pod.uid.str()}, notice);
}

// Events about nodes carry the name as UID, as the kubelet's do: `kubectl describe node` looks for
// both.
void KubeReportApi::recordNodeEvent(const Notice& notice) {
  record({"v1", "Node", {"", node_.str()}, node_.str()}, notice);
}

void KubeReportApi::record(kube::ObjectReference about, const Notice& notice) {
  {
    const std::lock_guard lock(mutex_);
    early_.emplace_back(std::move(about), notice);
    if (early_.size() > kMostEarly) early_.pop_front();
  }
  // Without a connection the kubelet's own Event tells a refusal; the rest waits for one.
  if (const auto client = connected(); !client) return;
}

Result<kube::Client*> KubeReportApi::connected() {
  MULTINET_TRY(kube::Client* const client, client_());
  const std::lock_guard lock(mutex_);
  if (events_ == nullptr) {
    events_ = std::make_unique<kube::EventRecorder>(
        *client, clock_,
        kube::EventOptions{.component = "multinet-nodeagent", .host = node_.str()});
  }
  for (const auto& [about, notice] : early_) {
    events_->record(about, notice.severity, notice.reason, notice.message);
  }
  early_.clear();
  return client;
}

}  // namespace multinet::agent::report
