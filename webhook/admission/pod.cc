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
  return pod.subject.request.has_value() && !pod.pod.isMirror() &&
         pod.subject.namespaceName != api::kSystemNamespace;
}

}  // namespace multinet::webhook
