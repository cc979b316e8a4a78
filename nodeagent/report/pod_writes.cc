#include "nodeagent/report/pod_writes.h"

#include <nlohmann/json.hpp>

#include "lib/api/names.h"
#include "lib/k8s/core.h"
#include "nodeagent/report/bounds.h"

namespace multinet::agent::report {
namespace {

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

Status putSet(kube::Client& client, const api::PodInterfaceSet& set) {
  const auto created = client.create(
      set, std::function<bool(const api::PodInterfaceSet&)>(
               [&set](const api::PodInterfaceSet& there) { return saysTheSame(set, there); }));
  if (created) return {};
  if (isEnding(created.error()))
    return fail(Error{Code::NotFound, "NamespaceEnds", created.error().message});
  if (created.error().code != Code::AlreadyExists) return fail(created.error());
  auto there = client.get<api::PodInterfaceSet>({set.metadata.nameSpace, set.metadata.name});
  if (!there) return fail(there.error());
  if (saysTheSame(set, *there)) return {};
  if (there->pod != set.pod || there->nodeName != set.nodeName)
    return replaceSet(client, set, *there);
  api::PodInterfaceSet next = withTimesOf(set, *there);
  next.metadata = there->metadata;
  next.metadata.ownerReferences = set.metadata.ownerReferences;
  const auto updated = client.update(next);
  if (!updated) return fail(updated.error());
  return {};
}

Status deleteSet(kube::Client& client, const std::string& namespaceName, const std::string& name) {
  return client.remove<api::PodInterfaceSet>({namespaceName, name});
}

// Server-side apply merges the list of conditions by type; a merge patch would replace it, and with
// it the kubelet's own conditions. The UID is a precondition: a new pod of the name isn't touched.
Status putReadiness(kube::Client& client, const PodRef& pod, const Readiness& readiness,
                    WallTime since) {
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
  const auto applied = client.apply<k8s::Pod>(body, kube::Subresource::Status);
  if (applied) return {};
  // Another pod has the name by now: ours is gone.
  const bool mismatch = applied.error().code == Code::InvalidArgument;  // 422, as seen on 1.37
  if (mismatch || applied.error().reason == "Conflict") {
    const auto there = client.get<k8s::Pod>({pod.namespaceName, pod.name});
    if (there && there->metadata.uid != pod.uid.str()) {
      return fail(Code::NotFound, "PodGone",
                  "write readiness of pod " + pod.str() + ": another pod has its name");
    }
  }
  return fail(applied.error());
}

}  // namespace multinet::agent::report
