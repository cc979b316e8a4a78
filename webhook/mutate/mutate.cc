#include "webhook/mutate/mutate.h"

#include "lib/api/names.h"
#include "lib/api/resolve.h"
#include "webhook/admission/open_to.h"
#include "webhook/admission/pod.h"

namespace multinet::webhook {
namespace {

nlohmann::json add(const char* path, nlohmann::json value) {
  return {{"op", "add"}, {"path", path}, {"value", std::move(value)}};
}

nlohmann::json patchFor(const k8s::Pod& pod, const std::string& resolved) {
  nlohmann::json patch = nlohmann::json::array();
  // The key is admission's own, and what a restored or copied pod has there is of another time:
  // written anew, whatever it says ("add" replaces a member that is there: RFC 6902, 4.1).
  const std::string* written = pod.metadata.annotation(api::kResolvedAnnotation);
  if (written == nullptr || *written != resolved) {
    patch.push_back(add("/metadata/annotations/multinet.dev~1resolved", resolved));
  }
  if (!pod.hasReadinessGate(api::kReadyGate)) {
    const nlohmann::json gate{{"conditionType", api::kReadyGate}};
    if (pod.spec.readinessGates.empty()) {
      patch.push_back(add("/spec/readinessGates", nlohmann::json::array({gate})));
    } else {
      patch.push_back(add("/spec/readinessGates/-", gate));
    }
  }
  return patch;
}

}  // namespace

Verdict mutate(const Review& review, const View& view) {
  const bool isPod = review.group.empty() && review.resource == "pods" &&
                     review.subresource.empty() && review.operation == Operation::Create;
  if (!isPod) return {};
  const auto read = readPod(review);
  if (!read) return Verdict::refuse(400, "BadRequest", read.error().message);
  if (!concernsUs(*read)) return {};
  const auto interfaces = api::resolve(read->subject, OpenTo(view, review.nameSpace));
  if (!interfaces)
    return Verdict::of(read->display, {.violations = interfaces.error(), .warnings = {}});
  Verdict verdict;
  verdict.patch = patchFor(read->pod, api::formatResolved(*interfaces));
  return verdict;
}

}  // namespace multinet::webhook
