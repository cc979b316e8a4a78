#include "test/support/cri/kubelet.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <future>

#include "nodeagent/cri/bytes.h"

namespace multinet::support {
namespace {

namespace subset = multinet::cri::subset;

constexpr const char* kUidLabel = "io.kubernetes.pod.uid";

subset::PodSandboxConfig configOf(const KubeletPod& pod, std::uint32_t attempt) {
  subset::PodSandboxConfig config;
  config.mutable_metadata()->set_uid(pod.uid);
  config.mutable_metadata()->set_name(pod.name);
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_attempt(attempt);
  (*config.mutable_labels())[kUidLabel] = pod.uid;
  config.mutable_annotations()->insert(pod.annotations.begin(), pod.annotations.end());
  return config;
}

/// Of a reply without fields that anybody reads.
using Nothing = subset::StopPodSandboxRequest;

std::vector<subset::PodSandbox> newestFirst(const subset::ListPodSandboxResponse& list) {
  std::vector<subset::PodSandbox> found(list.items().begin(), list.items().end());
  std::sort(found.begin(), found.end(), [](const auto& one, const auto& other) {
    return one.created_at() > other.created_at();
  });
  return found;
}

}  // namespace

template <class Reply>
Kubelet::Answered<Reply> Kubelet::call(const std::string& method,
                                       const google::protobuf::Message& request,
                                       std::chrono::milliseconds limit) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limit);
  const auto sent = agent::cri::bufferOf(request.SerializeAsString());
  grpc::ByteBuffer received;
  std::promise<grpc::Status> done;
  stub_.UnaryCall(&context, "/runtime.v1.RuntimeService/" + method, {}, &sent, &received,
                  [&done](grpc::Status status) { done.set_value(std::move(status)); });
  Answered<Reply> answered{done.get_future().get(), {}};
  if (answered.status.ok() && !answered.message.ParseFromString(agent::cri::bytesOf(received))) {
    answered.status = grpc::Status(grpc::StatusCode::INTERNAL, "unmarshal reply of " + method);
  }
  return answered;
}

Kubelet::Answered<subset::ListPodSandboxResponse> Kubelet::listed(const KubeletPod& pod) {
  subset::ListPodSandboxRequest request;
  (*request.mutable_filter()->mutable_label_selector())[kUidLabel] = pod.uid;
  return call<subset::ListPodSandboxResponse>("ListPodSandbox", request);
}

std::vector<subset::PodSandbox> Kubelet::list(const KubeletPod& pod) {
  return newestFirst(listed(pod).message);
}

subset::RuntimeCondition Kubelet::multiNetworkReady() {
  const auto answer = call<subset::StatusResponse>("Status", Nothing());
  for (const auto& condition : answer.message.status().conditions()) {
    if (condition.type() == "MultiNetworkReady") return condition;
  }
  return {};
}

bool Kubelet::adoptable(const std::vector<subset::PodSandbox>& newestFirst) {
  const auto ready = [](const auto& item) { return item.state() == subset::SANDBOX_READY; };
  if (newestFirst.empty() || !ready(newestFirst.front()) ||
      std::count_if(newestFirst.begin(), newestFirst.end(), ready) != 1) {
    return false;
  }
  subset::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(newestFirst.front().id());
  const auto status = call<subset::PodSandboxStatusResponse>("PodSandboxStatus", request);
  return status.status.ok() && !status.message.status().network().ip().empty();
}

SyncResult Kubelet::sync(const KubeletPod& pod, std::chrono::milliseconds limit) {
  const auto listing = listed(pod);
  if (!listing.status.ok()) return {listing.status, "ListPodSandbox", {}, 0, false};
  const auto found = newestFirst(listing.message);
  SyncResult result;
  result.adopted = adoptable(found);
  if (result.adopted) {
    result.sandbox = found.front().id();
    result.attempt = found.front().metadata().attempt();
  } else {
    for (const auto& item : found) {
      subset::StopPodSandboxRequest stop;
      stop.set_pod_sandbox_id(item.id());
      result.status = call<Nothing>("StopPodSandbox", stop).status;
      if (!result.status.ok()) return result.failedCall = "StopPodSandbox", result;
    }
    if (!found.empty()) result.attempt = found.front().metadata().attempt() + 1;
    subset::RunPodSandboxRequest run;
    *run.mutable_config() = configOf(pod, result.attempt);
    const auto made = call<subset::RunPodSandboxResponse>("RunPodSandbox", run, limit);
    result.status = made.status;
    if (!result.status.ok()) return result.failedCall = "RunPodSandbox", result;
    result.sandbox = made.message.pod_sandbox_id();
  }
  subset::PodSandboxStatusRequest ask;
  ask.set_pod_sandbox_id(result.sandbox);
  result.status = call<subset::PodSandboxStatusResponse>("PodSandboxStatus", ask).status;
  if (!result.status.ok()) return result.failedCall = "PodSandboxStatus", result;
  subset::CreateContainerRequest create;
  create.set_pod_sandbox_id(result.sandbox);
  *create.mutable_sandbox_config() = configOf(pod, result.attempt);
  result.status = call<Nothing>("CreateContainer", create).status;
  if (!result.status.ok()) result.failedCall = "CreateContainer";
  return result;
}

grpc::Status Kubelet::kill(const KubeletPod& pod) {
  for (const auto& item : list(pod)) {
    subset::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(item.id());
    if (auto status = call<Nothing>("StopPodSandbox", stop).status; !status.ok()) return status;
    subset::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(item.id());
    if (auto status = call<Nothing>("RemovePodSandbox", remove).status; !status.ok()) return status;
  }
  return grpc::Status::OK;
}

}  // namespace multinet::support
