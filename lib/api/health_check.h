// A health check of a service on a network: what the agent of an endpoint's node asks the pod, at
// its address on the network, and how often. It stands in spec.healthCheck of a PodNetworkService,
// and as an annotation on the Service that is made of it, for nodes, which read no kind of ours
// here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/api/violation.h"
#include "lib/k8s/core.h"
#include "lib/k8s/int_or_string.h"

namespace multinet::api {

/// Annotation of a Service, written by the controller alone: its health check, spellHealthCheck().
inline constexpr const char* kHealthCheckAnnotation = "multinet.dev/health-check";

enum class HttpScheme : std::uint8_t { HTTP, HTTPS };

/// GET by HTTP/1.1: 200 to 399 is healthy. By HTTPS whatever certificate the server shows is taken,
/// as by a kubelet's probe.
struct HttpGetCheck {
  k8s::IntOrString port;               ///< a name is that of a container's port; a must
  std::string path;                    ///< empty: /
  std::optional<HttpScheme> scheme{};  ///< absent: HTTP
  bool operator==(const HttpGetCheck&) const = default;
};

/// A connection that is accepted is healthy.
struct TcpSocketCheck {
  k8s::IntOrString port;  ///< as above
  bool operator==(const TcpSocketCheck&) const = default;
};

/// grpc.health.v1.Health/Check without TLS: SERVING is healthy.
struct GrpcCheck {
  k8s::IntOrString port;  ///< as above
  std::string service;    ///< whose health is asked for; empty: the server's
  bool operator==(const GrpcCheck&) const = default;
};

/// Shaped as a container's probe; one of httpGet, tcpSocket and grpc.
struct HealthCheck {
  std::optional<HttpGetCheck> httpGet;
  std::optional<TcpSocketCheck> tcpSocket;
  std::optional<GrpcCheck> grpc;
  std::optional<std::int32_t> periodSeconds;     ///< from one to the next; absent: 5
  std::optional<std::int32_t> timeoutSeconds;    ///< of one, at most the period; absent: 1
  std::optional<std::int32_t> failureThreshold;  ///< so many in a row: unhealthy; absent: 3
  std::optional<std::int32_t> successThreshold;  ///< so many in a row: healthy; absent: 1
  bool operator==(const HealthCheck&) const = default;

  [[nodiscard]] std::int32_t period() const { return periodSeconds.value_or(5); }
  [[nodiscard]] std::int32_t timeout() const { return timeoutSeconds.value_or(1); }
  [[nodiscard]] std::int32_t failures() const { return failureThreshold.value_or(3); }
  [[nodiscard]] std::int32_t successes() const { return successThreshold.value_or(1); }
  /// Of whichever it asks.
  [[nodiscard]] const k8s::IntOrString& port() const;
};

inline constexpr std::int32_t kMostCheckSeconds = 300;  ///< of period and timeout
inline constexpr std::int32_t kMostCheckThreshold = 10;
inline constexpr std::size_t kMostCheckPath = 1024;
inline constexpr std::size_t kMostGrpcService = 256;  ///< bytes

/// Its rules; `path` is where it stands: `spec.healthCheck`.
[[nodiscard]] Report validate(const HealthCheck& check, const std::string& path);

/// As JSON on one line, with the keys of the spec. The same text for the same check.
[[nodiscard]] std::string spellHealthCheck(const HealthCheck& check);
/// What spellHealthCheck() wrote. InvalidArgument where it is none, or breaks a rule.
[[nodiscard]] Result<HealthCheck> parseHealthCheck(std::string_view text);

/// The number of a pod's port for TCP: that of the container or sidecar which names it so. Nothing
/// where none does.
[[nodiscard]] std::optional<std::int32_t> tcpPortOf(const k8s::PodSpec& pod,
                                                    const k8s::IntOrString& port);

}  // namespace multinet::api
