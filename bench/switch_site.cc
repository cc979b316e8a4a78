#include "bench/switch_site.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"
#include "lib/nft/committer.h"
#include "nodeagent/attach/kernel_attach_engine.h"
#include "nodeagent/drivers/names.h"
#include "nodeagent/isolation/port_guard.h"
#include "nodeagent/networks/kernel_networks.h"

namespace multinet::bench {
namespace {

using agent::networks::CheckStatus;
using agent::networks::DesiredNetwork;
using agent::networks::NetworksOptions;
using agent::networks::Snapshot;

constexpr unsigned kMtu = 1500;
constexpr std::chrono::seconds kPatience{20};
constexpr const char* kUnderlay = "eth0";
constexpr const char* kUplink = "eth1";
const NetworkUid kVxlan("6f9619ff-8b86-d011-b42d-00cf4fc964ff");
const NetworkUid kBridge("7f9619ff-8b86-d011-b42d-00cf4fc964ff");

/// As kube-proxy's rules make the kernel do: every connection is tracked and may be translated.
constexpr const char* kRules = R"(
table ip bench {
  chain prerouting { type nat hook prerouting priority -100; policy accept; }
  chain postrouting { type nat hook postrouting priority 100; policy accept; }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state invalid counter drop
    ct state established,related counter accept
  }
}
)";

struct Node {
  std::string name;
  std::string underlay;
  Fd netns;
  Fd inner;  ///< the switch
};

Result<netlink::Socket> openIn(const Fd& netns) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  return netlink::Socket::open();
}

Result<Node> makeNode(std::string name, std::string underlay) {
  MULTINET_TRY(Fd netns, netns::make());
  MULTINET_TRY(Fd inner, netns::make());
  return Node{std::move(name), std::move(underlay), std::move(netns), std::move(inner)};
}

/// A cable between both nodes.
Status wire(const Node& one, const Node& two, const std::string& device) {
  MULTINET_TRY(netlink::Socket here, openIn(one.netns));
  MULTINET_TRY(netlink::Socket there, openIn(two.netns));
  netlink::VethSpec spec;
  spec.hostName = device;
  spec.peerName = device;
  spec.peerNetns = two.netns.get();
  spec.peerMac = MacAddress::derive(two.name + device);
  spec.mtu = kMtu;
  MULTINET_CHECK(here.run(netlink::createVeth(spec)));
  return there.run(netlink::setUp({0, device}));
}

Status configure(const Node& node, Firewall firewall) {
  MULTINET_TRY(netlink::Socket socket, openIn(node.netns));
  MULTINET_TRY(const auto underlay, netlink::findLink(socket, {0, kUnderlay}));
  MULTINET_TRY(const auto address, InterfaceAddress::parse(node.underlay + "/24"));
  MULTINET_CHECK(socket.run(netlink::setUp({0, "lo"})));
  MULTINET_CHECK(socket.run(netlink::addAddress(underlay.index, address)));
  MULTINET_TRY(const auto scope, netns::Scope::enter(node.netns));
  const bool seen = firewall == Firewall::SeesBridges;
  const Status set = netns::writeSysctl("bridge/bridge-nf-call-iptables", seen ? "1" : "0");
  if (!seen) return {};  // a kernel without the key doesn't show them either
  MULTINET_CHECK(set);
  MULTINET_TRY(nft::Committer committer, nft::Committer::open());
  return committer.commit(kRules);
}

/// What the agent of the node is told whose peer this is.
std::vector<DesiredNetwork> networksOf(const Node& peer, IpAddress underlay, Layout layout) {
  DesiredNetwork vxlan;
  vxlan.name = NetworkName("vxlan");
  vxlan.uid = kVxlan;
  agent::drivers::vxlan::Network tunnel;
  tunnel.vni = 7001;
  tunnel.peers = {
      {NodeName(peer.name), {underlay}, agent::drivers::bridgeMac(NodeName(peer.name), kVxlan)}};
  vxlan.network = std::move(tunnel);
  DesiredNetwork bridge;
  bridge.name = NetworkName("bridge");
  bridge.uid = kBridge;
  agent::drivers::bridge::Network made;
  if (layout == Layout::Switch) made.spec.uplink = kUplink;
  bridge.network = std::move(made);
  bridge.mtu = kMtu;
  return {vxlan, bridge};
}

/// The agent's networks of a node, until they are ready.
class Networks {
 public:
  Status start(const Node& node, Layout layout) {
    NetworksOptions options;
    options.node = NodeName(node.name);
    options.underlay = kUnderlay;
    options.probeEvery = std::chrono::milliseconds(500);
    std::optional<Fd> inner;
    if (layout == Layout::Switch) {
      MULTINET_TRY(inner, node.inner.duplicate());
    }
    MULTINET_TRY(const auto scope, netns::Scope::enter(node.netns));
    MULTINET_TRY(networks_, agent::networks::KernelNetworks::start(
                                std::move(options), std::move(inner), [this](const auto& changed) {
                                  const std::lock_guard lock(mutex_);
                                  last_ = changed;
                                  changed_.notify_all();
                                }));
    return {};
  }
  void wish(std::vector<DesiredNetwork> desired) { networks_->setDesired(std::move(desired)); }
  Result<std::shared_ptr<const Snapshot>> untilReady() {
    std::unique_lock lock(mutex_);
    const auto ready = [this] {
      if (!last_ || last_->networks.size() != 2) return false;
      return std::ranges::all_of(last_->networks, [](const auto& network) {
        return network.ready == CheckStatus::True && network.link.has_value();
      });
    };
    if (changed_.wait_for(lock, kPatience, ready)) return last_;
    std::string why = "make networks of the bench: not ready";
    if (last_) {
      for (const auto& network : last_->networks) why += "; " + network.message;
    }
    return fail(Code::DeadlineExceeded, "NotReady", why);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Snapshot> last_;
  std::unique_ptr<agent::networks::KernelNetworks>
      networks_;  // last: its thread uses all of the above
};

Result<agent::InterfacePlan> planOf(Pod pod, Net net, const agent::networks::NetworkState& state) {
  agent::InterfacePlan plan;
  MULTINET_TRY(plan.name, InterfaceName::parse(net == Net::Vxlan ? "net1" : "net2"));
  plan.network = state.name;
  plan.networkUid = state.uid;
  plan.link = *state.link;  // ready networks have one
  plan.mtu = state.mtu;
  const std::string address = Site::addressOf(pod, net);
  plan.mac = MacAddress::derive(address);
  MULTINET_TRY(const auto parsed, InterfaceAddress::parse(address + "/24"));
  plan.addresses = {{parsed, std::nullopt}};
  return plan;
}

Status attach(agent::attach::KernelAttachEngine& engine, Pod pod, const Fd& netns,
              const Snapshot& networks) {
  std::vector<agent::InterfacePlan> plans;
  for (const Net net : {Net::Vxlan, Net::Bridge}) {
    const auto* state = networks.find(net == Net::Vxlan ? kVxlan : kBridge);
    MULTINET_TRY(auto plan, planOf(pod, net, *state));
    plans.push_back(std::move(plan));
  }
  MULTINET_TRY(Fd own, netns.duplicate());
  std::promise<Status> answer;
  engine.attach(IntentId("pod" + std::to_string(static_cast<int>(pod))), std::move(own),
                std::move(plans), nullptr,
                [&](auto result) { answer.set_value(result ? Status() : fail(result.error())); });
  return answer.get_future().get();
}

Status attachAll(const Node& node, Layout layout, Ports ports, const Snapshot& networks,
                 const std::vector<std::pair<Pod, const Fd*>>& pods) {
  agent::attach::EngineOptions options;
  if (layout == Layout::Switch) {
    MULTINET_TRY(options.switchNetns, node.inner.duplicate());
  }
  const SystemClock clock;
  MULTINET_TRY(const auto scope, netns::Scope::enter(node.netns));
  std::unique_ptr<agent::isolation::PortGuard> guard;
  if (ports == Ports::Secured) {
    MULTINET_TRY(guard, agent::isolation::PortGuard::start(options.switchNetns, {}, clock));
    options.guard = guard.get();
  }
  MULTINET_TRY(auto engine, agent::attach::KernelAttachEngine::start(std::move(options), clock));
  for (const auto& [pod, netns] : pods) MULTINET_CHECK(attach(*engine, pod, *netns, networks));
  return {};
}

/// The NIC of the Bridge network as versions before the switch had it.
Status enslaveUplink(const Node& node, const Snapshot& networks) {
  MULTINET_TRY(netlink::Socket socket, openIn(node.netns));
  const std::string& name = agent::parentOf(*networks.find(kBridge)->link);
  MULTINET_TRY(const auto bridge, netlink::findLink(socket, {0, name}));
  MULTINET_CHECK(socket.run(netlink::setMaster({0, kUplink}, bridge.index)));
  return socket.run(netlink::setUp({0, kUplink}));
}

}  // namespace

std::string Site::addressOf(Pod pod, Net net) {
  return (net == Net::Vxlan ? "10.20.0." : "10.30.0.") +
         std::to_string(static_cast<std::size_t>(pod) + 1);
}

Result<Site> Site::make(Layout layout, Firewall firewall, Ports ports) {
  Site site;
  for (Fd& pod : site.pods_) {
    MULTINET_TRY(pod, netns::make());
  }
  MULTINET_TRY(Node one, makeNode("one", "172.18.0.1"));
  MULTINET_TRY(Node two, makeNode("two", "172.18.0.2"));
  for (const char* device : {kUnderlay, kUplink}) MULTINET_CHECK(wire(one, two, device));
  MULTINET_CHECK(configure(one, firewall));
  MULTINET_CHECK(configure(two, firewall));
  {
    Networks first;
    Networks second;
    MULTINET_CHECK(first.start(one, layout));
    MULTINET_CHECK(second.start(two, layout));
    MULTINET_TRY(const IpAddress underlayOfOne, IpAddress::parse(one.underlay));
    MULTINET_TRY(const IpAddress underlayOfTwo, IpAddress::parse(two.underlay));
    first.wish(networksOf(two, underlayOfTwo, layout));
    second.wish(networksOf(one, underlayOfOne, layout));
    MULTINET_TRY(const auto there, first.untilReady());
    MULTINET_TRY(const auto beyond, second.untilReady());
    if (layout == Layout::Node) {
      MULTINET_CHECK(enslaveUplink(one, *there));
      MULTINET_CHECK(enslaveUplink(two, *beyond));
    }
    MULTINET_CHECK(attachAll(
        one, layout, ports, *there,
        {{Pod::First, &site.pod(Pod::First)}, {Pod::Neighbour, &site.pod(Pod::Neighbour)}}));
    MULTINET_CHECK(attachAll(two, layout, ports, *beyond, {{Pod::Remote, &site.pod(Pod::Remote)}}));
  }
  site.nodes_ = {std::move(one.netns), std::move(one.inner), std::move(two.netns),
                 std::move(two.inner)};
  return site;
}

}  // namespace multinet::bench
