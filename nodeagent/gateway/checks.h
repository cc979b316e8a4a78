// Health checks of services on networks: which endpoints of this node are asked, and what the
// answers come to. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/api/health_check.h"
#include "lib/api/pod_interface_set.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/ids.h"
#include "lib/endpoints/frontends.h"

namespace multinet::agent::gateway {

/// One endpoint of one service.
struct Check {
  PodUid pod;
  NetworkUid network;
  std::string service;     ///< its name; it is in the pod's namespace
  std::string serviceUid;  ///< of the core Service
  endpoints::Target target;
  api::HealthCheck how;
  /// The gateway that asks; null while there is none.
  std::shared_ptr<const Fd> netns{};
};

/// Whether the Service's endpoints are asked.
[[nodiscard]] bool isChecked(const k8s::Service& service);

/// Those of the Service's endpoints that are pods of this node, each once: of a pod with two
/// families by the Service's first, whatever the order of its slices. A port by a name that the pod
/// hasn't is asked at 0, which nobody answers at.
[[nodiscard]] std::vector<Check> checksOf(const k8s::Service& service,
                                          const endpoints::Slices& slices,
                                          const NetworkUid& network, const NodeName& node,
                                          const std::vector<std::shared_ptr<const k8s::Pod>>& pods);

/// What came of asking once.
struct Answer {
  bool healthy = false;
  std::string reason;   ///< CamelCase: Answered, Connected, Serving, Refused, TimedOut, ...
  std::string message;  ///< `GET http://10.20.0.5:80/healthz: 503`
};

/// What the answers come to. Until one side has its threshold there is no verdict.
class Verdict {
 public:
  /// Whether that made it another.
  [[nodiscard]] bool hear(const Answer& answer, const api::HealthCheck& how);
  [[nodiscard]] const std::optional<Answer>& now() const { return now_; }

 private:
  std::optional<Answer> now_;  ///< by which it became what it is
  bool last_ = false;
  int inARow_ = 0;
};

/// How askings call themselves.
inline constexpr const char* kCheckAgent = "multinet-health-check";

/// `10.20.0.5:80`, `[fd00::5]:80`
[[nodiscard]] std::string authorityOf(const endpoints::Target& target);
/// `GET /healthz HTTP/1.1` with what belongs to it.
[[nodiscard]] std::string requestOf(const Check& check);
/// `GET http://10.20.0.5:80/healthz`, `connect to 10.20.0.5:80`, `gRPC health of "a"
/// at 10.20.0.5:80`
[[nodiscard]] std::string textOf(const Check& check);
/// What the beginning of an answer by HTTP says; nothing while it is too short to tell.
[[nodiscard]] std::optional<Answer> judge(const Check& check, std::string_view received);

}  // namespace multinet::agent::gateway
