#include "webhook/mutate/mutate.h"

#include "lib/api/names.h"
#include "lib/api/resolve.h"
#include "webhook/admission/open_to.h"
#include "webhook/admission/pod.h"

namespace multinet::webhook {
namespace {

nlohmann::json add(const std::string& path, nlohmann::json value) {
  return {{"op", "add"}, {"path", path}, {"value", std::move(value)}};
}

nlohmann::json remove(const std::string& path) {
  return {{"op", "remove"}, {"path", path}};
}

/// Makes the pod's annotations of ours what they shall be. They are admission's own, and what a
/// restored or copied pod has there is of another time: written anew, whatever they say ("add"
/// replaces a member that is there: RFC 6902, 4.1).
void setAnnotations(nlohmann::json& patch, const k8s::Pod& pod, const api::Selection& selection,
                    const std::optional<std::string>& resolved) {
  if (pod.metadata.annotations.empty()) {
    if (!selection.request) return;
    patch.push_back(add("/metadata/annotations", nlohmann::json::object()));
  }
  const std::string base = "/metadata/annotations/multinet.dev~1";
  const auto set = [&](const char* key, const char* name, const std::optional<std::string>& value) {
    const std::string* written = pod.metadata.annotation(key);
    if (value && (written == nullptr || *written != *value))
      patch.push_back(add(base + name, *value));
    if (!value && written != nullptr) patch.push_back(remove(base + name));
  };
  set(api::kNetworksAnnotation, "networks", selection.request);
  set(api::kSelectedAnnotation, "selected", selection.selected);
  set(api::kResolvedAnnotation, "resolved", resolved);
}

void addGate(nlohmann::json& patch, const k8s::Pod& pod) {
  if (pod.hasReadinessGate(api::kReadyGate)) return;
  const nlohmann::json gate{{"conditionType", api::kReadyGate}};
  if (pod.spec.readinessGates.empty()) {
    patch.push_back(add("/spec/readinessGates", nlohmann::json::array({gate})));
  } else {
    patch.push_back(add("/spec/readinessGates/-", gate));
  }
}

/// Of a pod that has no networks nobody would ever open it.
void removeGates(nlohmann::json& patch, const k8s::Pod& pod) {
  const std::vector<k8s::PodReadinessGate>& gates = pod.spec.readinessGates;
  for (std::size_t i = gates.size(); i-- > 0;) {  // from the end: indices before it stay
    if (gates[i].conditionType != api::kReadyGate) continue;
    patch.push_back(remove("/spec/readinessGates/" + std::to_string(i)));
  }
}

/// A pod that its labels chose elsewhere, and here don't.
Verdict takeBack(const ReviewedPod& read, const api::Selection& selection) {
  Verdict verdict;
  if (read.pod.metadata.annotation(api::kSelectedAnnotation) == nullptr) return verdict;
  verdict.patch = nlohmann::json::array();
  setAnnotations(verdict.patch, read.pod, selection, std::nullopt);
  removeGates(verdict.patch, read.pod);
  verdict.warnings.push_back(read.display +
                             ": its labels chose networks where it was copied from; no " +
                             "PodNetworkAttachment of namespace \"" + read.subject.namespaceName +
                             "\" chooses it here, so it gets none");
  return verdict;
}

Verdict give(const ReviewedPod& read, const api::Selection& selection,
             const api::Catalog& catalog) {
  api::PodSubject subject = read.subject;
  subject.request = selection.request;
  auto interfaces = api::resolve(subject, catalog);
  if (!interfaces) {
    api::tellSelection(interfaces.error(), selection);
    return Verdict::of(read.display, {.violations = interfaces.error(), .warnings = {}});
  }
  Verdict verdict;
  verdict.patch = nlohmann::json::array();
  setAnnotations(verdict.patch, read.pod, selection, api::formatResolved(*interfaces));
  addGate(verdict.patch, read.pod);
  return verdict;
}

void warnOfHost(const ReviewedPod& read, const api::Selection& selection, Verdict& verdict) {
  for (const std::string& name : selection.onHost) {
    verdict.warnings.push_back(read.display +
                               ": spec.hostNetwork is true, so PodNetworkAttachment \"" + name +
                               "\", whose podSelector matches its labels, isn't given to it");
  }
}

}  // namespace

Verdict mutate(const Review& review, const View& view) {
  const bool isPod = review.group.empty() && review.resource == "pods" &&
                     review.subresource.empty() && review.operation == Operation::Create;
  if (!isPod) return {};
  const auto read = readPod(review);
  if (!read) return Verdict::refuse(400, "BadRequest", read.error().message);
  if (!concernsUs(*read)) return {};
  const api::Selection selection = selectFor(*read, view);
  Verdict verdict = selection.request ? give(*read, selection, OpenTo(view, review.nameSpace))
                                      : takeBack(*read, selection);
  warnOfHost(*read, selection, verdict);
  // Who asks for nothing is sent to us where the namespace selects, whether we know it yet or not.
  verdict.behind = !read->subject.request || inSelectingNamespace(*read, view);
  return verdict;
}

}  // namespace multinet::webhook
