#include "bench/service_site.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/bpf/bpffs.h"
#include "lib/bpf/cgroup.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"

namespace multinet::bench {
namespace {

using endpoints::Target;
using endpoints::Transport;

constexpr unsigned kMtu = 1500;
constexpr int kPods = 3;

std::string nodeAddress(int pod) {
  return "10.200." + std::to_string(pod) + ".1";
}
std::string podAddress(int pod) {
  return "10.200." + std::to_string(pod) + ".2";
}

Result<netlink::Socket> openIn(const Fd& netns) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  return netlink::Socket::open();
}

Status addAddress(netlink::Socket& socket, const std::string& link, const std::string& address) {
  MULTINET_TRY(const auto there, netlink::findLink(socket, {0, link}));
  MULTINET_TRY(const auto parsed, InterfaceAddress::parse(address));
  MULTINET_CHECK(socket.run(netlink::addAddress(there.index, parsed)));
  return socket.run(netlink::setUp({there.index, link}));
}

Status addRoute(netlink::Socket& socket, const std::string& to, const std::string& via) {
  netlink::RouteInfo route;
  MULTINET_TRY(route.to, IpPrefix::parse(to));
  MULTINET_TRY(route.via, IpAddress::parse(via));
  return socket.run(netlink::addRoute(route));
}

/// A cable from the node to that pod, and the pod's way out.
Status wire(const Fd& node, const Fd& pod, int number) {
  MULTINET_TRY(netlink::Socket here, openIn(node));
  MULTINET_TRY(netlink::Socket there, openIn(pod));
  const std::string port = "port" + std::to_string(number);
  netlink::VethSpec spec;
  spec.hostName = port;
  spec.peerName = "eth0";
  spec.peerNetns = pod.get();
  spec.peerMac = MacAddress::derive(port);
  spec.mtu = kMtu;
  MULTINET_CHECK(here.run(netlink::createVeth(spec)));
  MULTINET_CHECK(there.run(netlink::setUp({0, "lo"})));
  MULTINET_CHECK(addAddress(here, port, nodeAddress(number) + "/24"));
  MULTINET_CHECK(addAddress(there, "eth0", podAddress(number) + "/24"));
  return addRoute(there, "0.0.0.0/0", nodeAddress(number));
}

IpAddress endpointAddress(int service, int number) {
  const std::string text = "10." + std::to_string(64 + (service / 200)) + "." +
                           std::to_string(service % 200) + "." + std::to_string(number + 1);
  return *IpAddress::parse(text);
}

std::string chainOf(const BenchService& service) {
  return "service-" + service.frontend.address.str() + "/tcp/" +
         std::to_string(service.frontend.port);
}
std::string chainOf(const BenchService& service, const Target& target) {
  return "endpoint-" + service.frontend.address.str() + "/tcp/" + target.address.str() + "/" +
         std::to_string(target.port);
}

std::string endpointRules(const BenchService& service, const Target& target) {
  const std::string chain = chainOf(service, target);
  return "add chain ip kube-proxy " + chain + "\nadd rule ip kube-proxy " + chain + " ip saddr " +
         target.address.str() + " jump mark-for-masquerade\nadd rule ip kube-proxy " + chain +
         " meta l4proto tcp dnat to " + target.address.str() + ":" + std::to_string(target.port) +
         "\n";
}

std::string serviceRules(const BenchService& service) {
  const std::string chain = chainOf(service);
  std::string text = "add rule ip kube-proxy " + chain + " ip daddr " +
                     service.frontend.address.str() + " tcp dport " +
                     std::to_string(service.frontend.port) +
                     " ip saddr != 10.200.0.0/16 jump mark-for-masquerade\n";
  text += "add rule ip kube-proxy " + chain + " numgen random mod " +
          std::to_string(service.targets.size()) + " vmap { ";
  for (std::size_t i = 0; i < service.targets.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(i) + " : goto " + chainOf(service, service.targets[i]);
  }
  return text + " }\n";
}

}  // namespace

std::vector<BenchService> makeServices(int services, int endpoints) {
  std::vector<BenchService> made;
  for (int s = 0; s < services; ++s) {
    BenchService one;
    const std::string vip = "10.96." + std::to_string(s / 200) + "." + std::to_string(s % 200 + 1);
    one.frontend = {*IpAddress::parse(vip), kServicePort, Transport::Tcp};
    for (int e = 0; e < endpoints; ++e) {
      const bool isReal = s == 0 && endpoints == kServerAddresses;
      one.targets.push_back(
          {isReal ? *IpAddress::parse(ServiceSite::serverAddress(e)) : endpointAddress(s, e),
           kServerPort});
    }
    std::ranges::sort(one.targets);
    made.push_back(std::move(one));
  }
  return made;
}

std::string ServiceSite::serverAddress(int number) {
  return "10.210.0." + std::to_string(number + 1);
}

Result<ServiceSite> ServiceSite::make() {
  ServiceSite site;
  MULTINET_TRY(site.node_, netns::make());
  for (int i = 0; i < kPods; ++i) {
    MULTINET_TRY(Fd pod, netns::make());
    MULTINET_CHECK(wire(site.node_, pod, i));
    site.pods_.push_back(std::move(pod));
  }
  MULTINET_TRY(netlink::Socket server, openIn(site.server()));
  for (int i = 0; i < kServerAddresses; ++i) {
    MULTINET_CHECK(addAddress(server, "lo", serverAddress(i) + "/32"));
  }
  MULTINET_TRY(netlink::Socket node, openIn(site.node_));
  MULTINET_CHECK(addRoute(node, "10.210.0.0/16", podAddress(kPods - 1)));
  MULTINET_TRY(const auto scope, netns::Scope::enter(site.node_));
  MULTINET_CHECK(netns::writeSysctl("ipv4/ip_forward", "1"));
  return site;
}

Result<std::unique_ptr<ServiceGround>> ServiceGround::make() {
  std::unique_ptr<ServiceGround> made(new ServiceGround);
  MULTINET_TRY(made->mount_, bpf::cgroup2Mount());
  const std::string name = "multinet-bench-" + std::to_string(::getpid());
  const std::string directory = "/run/" + name;
  MULTINET_CHECK(bpf::mountBpffs(directory));
  made->directory_ = directory;
  const std::string cgroup = made->mount_ + "/" + name;
  if (::mkdir(cgroup.c_str(), 0755) != 0) return fail(errnoError("make " + cgroup, errno));
  made->cgroup_ = cgroup;
  return made;
}

ServiceGround::~ServiceGround() {
  if (!directory_.empty()) static_cast<void>(bpf::forgetBpffs(directory_));
  if (!cgroup_.empty()) ::rmdir(cgroup_.c_str());
}

agent::services::PlaneOptions ServiceGround::options() const {
  return {directory_, cgroup_.substr(mount_.size() + 1)};
}

std::string proxyTable(const std::vector<BenchService>& services) {
  std::string text = R"(add table ip kube-proxy
add chain ip kube-proxy mark-for-masquerade
add rule ip kube-proxy mark-for-masquerade mark set mark or 0x4000
add chain ip kube-proxy masquerading
add rule ip kube-proxy masquerading mark and 0x4000 == 0 return
add rule ip kube-proxy masquerading mark set mark xor 0x4000
add rule ip kube-proxy masquerading masquerade fully-random
add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip kube-proxy no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; }
add chain ip kube-proxy services
add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips
add chain ip kube-proxy service-endpoints-check
add rule ip kube-proxy service-endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoint-services
add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority dstnat ; }
add rule ip kube-proxy nat-prerouting jump services
add chain ip kube-proxy nat-output { type nat hook output priority -100 ; }
add rule ip kube-proxy nat-output jump services
add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority srcnat ; }
add rule ip kube-proxy nat-postrouting jump masquerading
add chain ip kube-proxy filter-forward { type filter hook forward priority -110 ; }
add rule ip kube-proxy filter-forward ct state new jump service-endpoints-check
)";
  for (const BenchService& one : services) {
    text += "add chain ip kube-proxy " + chainOf(one) + "\n";
    for (const Target& target : one.targets) text += endpointRules(one, target);
    text += serviceRules(one);
    text += "add element ip kube-proxy service-ips { " + one.frontend.address.str() + " . tcp . " +
            std::to_string(one.frontend.port) + " : goto " + chainOf(one) + " }\n";
  }
  return text;
}

std::string proxyChange(const BenchService& before, const BenchService& after) {
  std::string text = "flush chain ip kube-proxy " + chainOf(after) + "\n";
  for (const Target& target : after.targets) {
    if (std::ranges::find(before.targets, target) == before.targets.end())
      text += endpointRules(after, target);
  }
  text += serviceRules(after);
  for (const Target& target : before.targets) {
    if (std::ranges::find(after.targets, target) != after.targets.end()) continue;
    const std::string chain = chainOf(before, target);
    text.append("flush chain ip kube-proxy ").append(chain);
    text.append("\ndelete chain ip kube-proxy ").append(chain).append("\n");
  }
  return text;
}

}  // namespace multinet::bench
