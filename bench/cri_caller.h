// A caller of a CRI socket that waits for each answer, as the kubelet's workers do.
#pragma once

#include <grpcpp/generic/generic_stub.h>

#include <string>

#include "lib/base/result.h"

namespace multinet::bench {

/// Any number of threads at once.
class CriCaller {
 public:
  /// `unix:///run/containerd/containerd.sock`
  explicit CriCaller(const std::string& endpoint);

  /// The reply's bytes. The error names the method and carries the server's code and message.
  [[nodiscard]] Result<std::string> call(const std::string& method, const std::string& request);

 private:
  grpc::GenericStub stub_;
};

}  // namespace multinet::bench
