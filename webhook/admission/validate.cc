#include "webhook/admission/validate.h"

#include <set>
#include <string>

#include "lib/api/cluster_policy.h"
#include "lib/api/names.h"
#include "lib/api/net_admin.h"
#include "lib/api/policy.h"
#include "lib/api/resolve.h"
#include "lib/api/service.h"
#include "lib/api/validate.h"
#include "webhook/admission/open_to.h"
#include "webhook/admission/pod.h"

namespace multinet::webhook {
namespace {

/// Of what else there is in the cluster and clashes with a network.
enum class Names : std::uint8_t { Hidden, Told };

std::string annotationPath(const char* key) {
  return "metadata.annotations[" + std::string(key) + "]";
}

Verdict badObject(const Error& error) {
  return Verdict::refuse(400, "BadRequest", error.message);
}

api::Violation missing(std::string path, std::string remedy) {
  return {.path = std::move(path),
          .value = {},
          .detail = "is missing: Multinet's mutating webhook did not see this pod",
          .remedy = std::move(remedy),
          .reason = "NotResolved"};
}

/// What the mutating half has to have left on the pod, so that a pod that it missed can't pass.
void checkMutation(const ReviewedPod& read, const std::string& resolved, api::Report& report) {
  const auto* written = read.pod.metadata.annotation(api::kResolvedAnnotation);
  if (written == nullptr) {
    report.violations.push_back(missing(annotationPath(api::kResolvedAnnotation),
                                        "create the pod again, without this annotation"));
  } else if (*written != resolved) {
    report.violations.push_back({.path = annotationPath(api::kResolvedAnnotation),
                                 .value = *written,
                                 .detail = "is not what the request resolves to now",
                                 .remedy = "remove the annotation; admission writes it",
                                 .reason = "ResolutionDiffers"});
  }
  if (!read.pod.hasReadinessGate(api::kReadyGate)) {
    report.violations.push_back(missing("spec.readinessGates[" + std::string(api::kReadyGate) + "]",
                                        "create the pod again, or add the readiness gate"));
  }
}

/// The same for what its labels chose, which a copied or forged pod may tell otherwise.
void checkSelection(const ReviewedPod& read, const api::Selection& now, api::Report& report) {
  const auto* written = read.pod.metadata.annotation(api::kSelectedAnnotation);
  const bool same = written == nullptr ? !now.selected : now.selected == *written;
  if (same && now.request == read.subject.request) return;
  report.violations.push_back(
      {.path = annotationPath(api::kSelectedAnnotation),
       .value = written == nullptr ? "" : *written,
       .detail = "is not what attachments choose by the pod's labels now (" +
                 now.selected.value_or("nothing") + ")",
       .remedy = "create the pod again, without this annotation; admission writes it",
       .reason = "SelectionDiffers"});
}

/// A pod that runs gets more containers (`kubectl debug`): never refused, since its networks were
/// given to it.
Verdict lookAtDebugging(const Review& review, const View& view) {
  const auto read = readPod(review);
  if (!read) return badObject(read.error());
  if (!concernsUs(*read) || !review.oldObject) return {};
  const auto before = k8s::KindTraits<k8s::Pod>::decode(*review.oldObject);
  if (!before) return {};
  const OpenTo open(view, review.nameSpace);
  const auto interfaces = api::resolve(read->subject, open);
  if (!interfaces) return {};
  const std::size_t known = before->spec.ephemeralContainers.size();
  return Verdict::of(read->display,
                     api::checkNetAdmin(read->pod.spec, {.all = false, .ephemeralFrom = known},
                                        *interfaces, open));
}

Verdict validatePod(const Review& review, const View& view) {
  if (review.operation == Operation::Update && review.subresource == "ephemeralcontainers") {
    return lookAtDebugging(review, view);
  }
  if (review.operation != Operation::Create || !review.subresource.empty()) return {};
  const auto read = readPod(review);
  if (!read) return badObject(read.error());
  if (!concernsUs(*read)) return {};
  const api::Selection selection = selectFor(*read, view);
  const OpenTo open(view, review.nameSpace);
  auto explanation = api::explain(read->subject, open);
  if (explanation.report.ok()) {
    const auto interfaces = api::resolve(read->subject, open);
    checkSelection(*read, selection, explanation.report);
    if (interfaces) {
      if (read->subject.request) {
        checkMutation(*read, api::formatResolved(*interfaces), explanation.report);
      }
      explanation.report.append(api::checkNetAdmin(read->pod.spec, {}, *interfaces, open));
    } else {  // the view changed between the two
      explanation.report.violations = interfaces.error();
    }
  }
  api::tellSelection(explanation.report.violations, selection);
  return Verdict::of(read->display, explanation.report);
}

/// Only where there is a new subnet: the look costs two lists.
void checkRanges(const api::PodNetwork& network, const api::PodNetwork* before, const View& view,
                 Names names, api::Report& report) {
  if (before != nullptr && before->spec.ipam == network.spec.ipam) return;
  if (network.spec.ipam.subnets.empty()) return;
  if (auto ranges = view.clusterRanges()) {
    if (names == Names::Hidden) {
      for (api::ClusterRange& range : *ranges) range.owner.clear();
    }
    report.append(api::checkClusterRanges(network, before, *ranges));
    return;
  }
  report.warnings.push_back({.path = "spec.ipam.subnets",
                             .value = {},
                             .detail =
                                 "not compared with the cluster's own ranges, which the API "
                                 "server didn't tell in time: pods of a network that overlaps "
                                 "them lose DNS",
                             .remedy = {},
                             .reason = "RangesUnknown"});
}

Verdict validateNetwork(const Review& review, const View& view, Names names) {
  if (!review.object) return badObject({Code::InvalidArgument, "NoObject", "object is missing"});
  const auto network = k8s::KindTraits<api::PodNetwork>::decode(*review.object);
  if (!network) return badObject(network.error());
  std::optional<api::PodNetwork> before;
  if (review.operation == Operation::Update && review.oldObject) {
    // An object of a time with other rules must stay repairable.
    if (auto old = k8s::KindTraits<api::PodNetwork>::decode(*review.oldObject)) before = *old;
  }
  api::Report report = before ? api::validateUpdate(*before, *network) : api::validate(*network);
  if (report.ok()) checkRanges(*network, before ? &*before : nullptr, view, names, report);
  if (report.ok()) {
    for (auto& other : view.networks()) {
      if (other.metadata.name == network->metadata.name) continue;
      if (names == Names::Hidden) other.metadata.name.clear();
      auto found = api::conflicts(*network, other);
      report.violations.insert(report.violations.end(), found.begin(), found.end());
    }
  }
  return Verdict::of("podnetwork " + network->metadata.name, report);
}

Verdict validateAttachment(const Review& review, const View& view) {
  if (!review.object) return badObject({Code::InvalidArgument, "NoObject", "object is missing"});
  auto attachment = k8s::KindTraits<api::PodNetworkAttachment>::decode(*review.object);
  if (!attachment) return badObject(attachment.error());
  attachment->metadata.nameSpace = review.nameSpace;
  const OpenTo open(view, review.nameSpace);
  api::Report report;
  if (review.operation == Operation::Update && review.oldObject) {
    const auto before = k8s::KindTraits<api::PodNetworkAttachment>::decode(*review.oldObject);
    report =
        before ? api::validateUpdate(*before, *attachment, open) : api::validate(*attachment, open);
  } else {
    report = api::validate(*attachment, open);
  }
  return Verdict::of("podnetworkattachment " + review.nameSpace + "/" + attachment->metadata.name,
                     report);
}

std::size_t nodesIn(const std::vector<api::ClusterRange>& ranges) {
  std::set<std::string> nodes;
  for (const api::ClusterRange& range : ranges) {
    if (range.use == api::RangeUse::Node) nodes.insert(range.owner);
  }
  return nodes.size();
}

Verdict validateService(const Review& review, const View& view) {
  if (!review.object) return badObject({Code::InvalidArgument, "NoObject", "object is missing"});
  auto service = k8s::KindTraits<api::PodNetworkService>::decode(*review.object);
  if (!service) return badObject(service.error());
  service->metadata.nameSpace = review.nameSpace;
  const OpenTo open(view, review.nameSpace);
  std::optional<api::PodNetworkService> before;
  if (review.operation == Operation::Update && review.oldObject) {
    if (auto old = k8s::KindTraits<api::PodNetworkService>::decode(*review.oldObject))
      before = *old;
  }
  api::Report report =
      before ? api::validateUpdate(*before, *service, open) : api::validate(*service, open);
  bool unknown = false;
  const bool chooses = !before && !service->spec.clusterIP.empty() && !service->spec.isHeadless();
  const bool opens = api::needsGatewayOnEachNode(service->spec) &&
                     !(before && api::needsGatewayOnEachNode(before->spec));
  // Only then: the look costs two lists.
  if (report.ok() && (chooses || opens)) {
    const auto ranges = view.clusterRanges();
    unknown = !ranges.has_value();
    if (ranges && chooses) report.append(api::checkClusterIP(service->spec, *ranges));
    const auto network = open.network(service->spec.podNetworkName);
    if (ranges && opens && network) {
      report.append({{}, api::warnOfRoom(service->spec, *network, nodesIn(*ranges))});
    }
  }
  Verdict verdict =
      Verdict::of("podnetworkservice " + review.nameSpace + "/" + service->metadata.name, report);
  verdict.unknown = unknown;
  return verdict;
}

Verdict validatePolicy(const Review& review, const View& view) {
  if (!review.object) return badObject({Code::InvalidArgument, "NoObject", "object is missing"});
  auto policy = k8s::KindTraits<api::PodNetworkPolicy>::decode(*review.object);
  if (!policy) return badObject(policy.error());
  policy->metadata.nameSpace = review.nameSpace;
  const OpenTo open(view, review.nameSpace);
  return Verdict::of("podnetworkpolicy " + review.nameSpace + "/" + policy->metadata.name,
                     api::validate(*policy, open));
}

/// Whoever writes one may name all networks.
Verdict validateClusterPolicy(const Review& review, const View& view) {
  if (!review.object) return badObject({Code::InvalidArgument, "NoObject", "object is missing"});
  const auto policy = k8s::KindTraits<api::ClusterPodNetworkPolicy>::decode(*review.object);
  if (!policy) return badObject(policy.error());
  return Verdict::of("clusterpodnetworkpolicy " + policy->metadata.name,
                     api::validate(*policy, view));
}

Verdict judge(const Review& review, const View& view, Names names) {
  if (review.operation != Operation::Create && review.operation != Operation::Update) return {};
  if (review.group.empty() && review.resource == "pods") return validatePod(review, view);
  if (review.group != api::kGroup || !review.subresource.empty()) return {};
  if (review.resource == "podnetworks") return validateNetwork(review, view, names);
  if (review.resource == "podnetworkattachments") return validateAttachment(review, view);
  if (review.resource == "podnetworkservices") return validateService(review, view);
  if (review.resource == "podnetworkpolicies") return validatePolicy(review, view);
  if (review.resource == "clusterpodnetworkpolicies") return validateClusterPolicy(review, view);
  return {};
}

}  // namespace

Verdict validate(const Review& review, const View& view) {
  return judge(review, view, Names::Hidden);
}

Verdict validateForApiServer(const Review& review, const View& view) {
  return judge(review, view, Names::Told);
}

}  // namespace multinet::webhook
