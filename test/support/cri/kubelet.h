// The kubelet's rules for sandboxes, as far as they matter to who stands between it and the runtime
// (pkg/kubelet/kuberuntime: SyncPod, PodSandboxChanged).
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::support {

struct KubeletPod {
  std::string uid;
  std::string name;
  std::map<std::string, std::string> annotations;
};

/// What one round for a pod came to.
struct SyncResult {
  grpc::Status status;     ///< of the call that failed, or OK: the pod has a container
  std::string failedCall;  ///< empty where none failed
  std::string sandbox;
  std::uint32_t attempt = 0;
  bool adopted = false;  ///< a READY sandbox was there: RunPodSandbox wasn't called
};

/// One thread at a time; each call blocks until its deadline at most.
class Kubelet {
 public:
  explicit Kubelet(std::shared_ptr<grpc::Channel> agent) : stub_(std::move(agent)) {}

  /// One round: lists the pod's sandboxes; adopts the only READY one that is the newest and has an
  /// IP; else stops what is there and makes one with the attempt after the newest, or 0 where none
  /// is seen; then asks for its status and makes a container.
  SyncResult sync(const KubeletPod& pod,
                  std::chrono::milliseconds limit = std::chrono::seconds(10));
  /// Stops each sandbox of the pod, then removes it, as at the end of a pod.
  grpc::Status kill(const KubeletPod& pod);
  /// The node's condition MultiNetworkReady; without a type where the call failed or has none.
  [[nodiscard]] multinet::cri::subset::RuntimeCondition multiNetworkReady();
  /// Newest first, READY or not, as ListPodSandbox by UID shows them.
  [[nodiscard]] std::vector<multinet::cri::subset::PodSandbox> list(const KubeletPod& pod);

 private:
  template <class Reply>
  struct Answered {
    grpc::Status status;
    Reply message;
  };
  template <class Reply>
  Answered<Reply> call(const std::string& method, const google::protobuf::Message& request,
                       std::chrono::milliseconds limit = std::chrono::seconds(10));
  [[nodiscard]] Answered<multinet::cri::subset::ListPodSandboxResponse> listed(
      const KubeletPod& pod);
  /// READY, the newest, with an IP, and no other is READY.
  [[nodiscard]] bool adoptable(const std::vector<multinet::cri::subset::PodSandbox>& newestFirst);

  grpc::GenericStub stub_;
};

}  // namespace multinet::support
