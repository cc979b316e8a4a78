#include "webhook/admission/pod.h"

#include "lib/api/names.h"

namespace multinet::webhook {

Result<ReviewedPod> readPod(const Review& review) {
  if (!review.object) {
    return fail(Code::InvalidArgument, "NoObject", "read pod: request.object is missing");
  }
  ReviewedPod read;
  MULTINET_TRY(read.pod, k8s::KindTraits<k8s::Pod>::decode(*review.object));
  read.subject.namespaceName = review.nameSpace;
  read.subject.hostNetwork = read.pod.spec.hostNetwork;
  if (const auto* request = read.pod.metadata.annotation(api::kNetworksAnnotation)) {
    read.subject.request = *request;
  }
  const auto& metadata = read.pod.metadata;
  const std::string name = metadata.name.empty() ? *metadata.generateName + "*" : metadata.name;
  read.display = "pod " + review.nameSpace + "/" + name;
  return read;
}

bool concernsUs(const ReviewedPod& pod) {
  return !pod.pod.isMirror() && pod.subject.namespaceName != api::kSystemNamespace;
}

bool inSelectingNamespace(const ReviewedPod& pod, const View& view) {
  const auto labels = view.namespaceLabels(pod.subject.namespaceName);
  return labels && api::selectsPods(pod.subject.namespaceName, *labels);
}

api::Selection selectFor(const ReviewedPod& pod, const View& view) {
  const std::string& home = pod.subject.namespaceName;
  std::vector<api::PodNetworkAttachment> attachments;
  if (inSelectingNamespace(pod, view)) attachments = view.selecting(home);
  api::Candidate candidate;
  candidate.namespaceName = home;
  candidate.labels = pod.pod.metadata.labels;
  candidate.hostNetwork = pod.subject.hostNetwork;
  candidate.request = pod.subject.request;
  if (const auto* selected = pod.pod.metadata.annotation(api::kSelectedAnnotation)) {
    candidate.selected = *selected;
  }
  return api::select(candidate, attachments, view);
}

}  // namespace multinet::webhook
