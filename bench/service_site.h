// Pods on both sides of a node that routes, as namespaces, with services in it or without any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/endpoints/frontends.h"
#include "nodeagent/services/kernel_plane.h"

namespace multinet::bench {

/// A service of the bench and where it leads.
struct BenchService {
  endpoints::Frontend frontend;
  std::vector<endpoints::Target> targets;
};
/// So many TCP services of so many endpoints each. With kServerAddresses endpoints those of the
/// first one are a ServiceSite's server, port kServerPort; all others are nobody.
[[nodiscard]] std::vector<BenchService> makeServices(int services, int endpoints);

inline constexpr std::uint16_t kServerPort = 7000;
inline constexpr std::uint16_t kServicePort = 80;
inline constexpr int kServerAddresses = 10;

/// A client's pod, a node, a server's pod. IPv4.
class ServiceSite {
 public:
  [[nodiscard]] static Result<ServiceSite> make();
  /// The client's, and one more beside it.
  [[nodiscard]] const Fd& pod() const { return pods_[0]; }
  [[nodiscard]] const Fd& plainPod() const { return pods_[1]; }
  [[nodiscard]] const Fd& node() const { return node_; }
  [[nodiscard]] const Fd& server() const { return pods_[2]; }
  [[nodiscard]] static std::string serverAddress(int number);

 private:
  ServiceSite() = default;
  Fd node_;
  std::vector<Fd> pods_;
};

/// The agent's programs and maps, with a control group whose processes they are about. Taken away
/// with its end.
class ServiceGround {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ServiceGround>> make();
  ~ServiceGround();
  ServiceGround(const ServiceGround&) = delete;
  ServiceGround& operator=(const ServiceGround&) = delete;

  [[nodiscard]] const std::string& cgroup() const { return cgroup_; }
  /// For a plane on them, as each agent has one.
  [[nodiscard]] agent::services::PlaneOptions options() const;

 private:
  ServiceGround() = default;
  std::string mount_;
  std::string directory_;
  std::string cgroup_;
};

/// What kube-proxy's nftables mode has for these services (KEP-3866): a map of addresses and ports,
/// a chain for each service that draws an endpoint, a chain for each endpoint that translates.
[[nodiscard]] std::string proxyTable(const std::vector<BenchService>& services);
/// What it commits where an endpoint of one service is another now: that service's chain anew, the
/// new endpoint's chain, the old one's end.
[[nodiscard]] std::string proxyChange(const BenchService& before, const BenchService& after);

}  // namespace multinet::bench
