#include "bench/attach_contenders.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "bench/cni_plugin.h"
#include "bench/engine_contender.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"
#include "nodeagent/isolation/port_guard.h"

namespace multinet::bench {
namespace {

using agent::InterfacePlan;

constexpr const char* kBridge = "br-bench";
constexpr const char* kParent = "parent0";
constexpr unsigned kMtu = 1500;
/// MACVLAN_MODE_BRIDGE
constexpr std::uint32_t kMacvlanBridge = 4;

Result<netlink::Socket> openIn(const Fd& netns) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  return netlink::Socket::open();
}

bool isMacvlan(const InterfacePlan& plan) {
  return std::holds_alternative<agent::drivers::macvlan::Link>(plan.link);
}

class Netlink final : public Contender {
 public:
  Netlink(netlink::Socket host, int parent, Fd pod, InterfacePlan plan)
      : host_(std::move(host)), parent_(parent), pod_(std::move(pod)), plan_(std::move(plan)) {
    for (const char letter : plan_.mac.str()) {
      if (letter != ':') hostEnd_ += letter;
    }
  }
  [[nodiscard]] std::string name() const override { return "netlink"; }

  Result<Steady::time_point> attach() override {
    MULTINET_CHECK(host_.run(isMacvlan(plan_) ? macvlan() : veth()));
    MULTINET_TRY(netlink::Socket inside, openIn(pod_));
    MULTINET_TRY(const auto born, netlink::findLink(inside, {0, plan_.name.str()}));
    std::vector<netlink::Request> requests;
    requests.reserve(plan_.addresses.size() + 1 + plan_.routes.size());
    for (const auto& address : plan_.addresses) {
      requests.push_back(netlink::addAddress(born.index, address.address));
    }
    requests.push_back(netlink::setUp({born.index, born.name}));
    for (const auto& route : plan_.routes) {
      netlink::RouteInfo info;
      info.to = route.to;
      info.via = route.via;
      info.linkIndex = born.index;
      requests.push_back(netlink::addRoute(info));
    }
    for (const Status& verdict : inside.runAll(requests)) MULTINET_CHECK(verdict);
    MULTINET_TRY(const auto made, netlink::findLink(inside, {born.index, born.name}));
    if (made.up) return Steady::now();
    return fail(Code::Internal, "Down", "attach interface " + made.name + ": it is down");
  }
  Status detach() override {
    MULTINET_TRY(netlink::Socket inside, openIn(pod_));
    return inside.run(netlink::deleteLink({0, plan_.name.str()}));
  }

 private:
  [[nodiscard]] netlink::Request macvlan() const {
    netlink::MacvlanSpec spec;
    spec.name = plan_.name.str();
    spec.parentIndex = parent_;
    spec.mode = kMacvlanBridge;
    spec.netns = pod_.get();
    spec.mac = plan_.mac;
    spec.mtu = plan_.mtu;
    return netlink::createMacvlan(spec);
  }
  [[nodiscard]] netlink::Request veth() const {
    netlink::VethSpec spec;
    spec.hostName = hostEnd_;
    spec.bridgeIndex = parent_;
    spec.peerName = plan_.name.str();
    spec.peerNetns = pod_.get();
    spec.peerMac = plan_.mac;
    spec.mtu = plan_.mtu;
    return netlink::createVeth(spec);
  }

  netlink::Socket host_;
  int parent_;
  Fd pod_;
  InterfacePlan plan_;
  std::string hostEnd_ = "b";  ///< with the MAC, which no other has
};

class Cni final : public Contender {
 public:
  Cni(CniPlugin plugin, Fd pod) : plugin_(std::move(plugin)), pod_(std::move(pod)) {}
  [[nodiscard]] std::string name() const override { return "cni"; }
  Result<Steady::time_point> attach() override {
    MULTINET_CHECK(plugin_.run("ADD", "net1", pod_));
    return Steady::now();
  }
  Status detach() override { return plugin_.run("DEL", "net1", pod_); }

 private:
  CniPlugin plugin_;
  Fd pod_;
};

std::string cniConfig(const InterfacePlan& plan, const std::string& leases) {
  nlohmann::json ranges = nlohmann::json::array();
  for (const auto& address : plan.addresses) {
    const IpPrefix subnet(address.address.address, address.address.length);
    ranges.push_back(nlohmann::json::array({{{"subnet", subnet.str()}}}));
  }
  nlohmann::json routes = nlohmann::json::array();
  for (const auto& route : plan.routes) {
    routes.push_back({{"dst", route.to.str()}, {"gw", route.via->str()}});
  }
  nlohmann::json config = {
      {"cniVersion", "1.0.0"},
      {"name", "bench"},
      {"mtu", plan.mtu},
      {"ipam",
       {{"type", "host-local"}, {"dataDir", leases}, {"ranges", ranges}, {"routes", routes}}}};
  if (isMacvlan(plan)) {
    config.update(
        {{"type", "macvlan"}, {"master", agent::parentOf(plan.link)}, {"mode", "bridge"}});
  } else {
    config.update({{"type", "bridge"}, {"bridge", agent::parentOf(plan.link)}});
  }
  return config.dump();
}

}  // namespace

Result<Fd> makePod() {
  MULTINET_TRY(Fd netns, netns::make());
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_CHECK(netns::writeSysctl("ipv6/conf/all/accept_dad", "0"));
  MULTINET_CHECK(netns::writeSysctl("ipv6/conf/default/accept_dad", "0"));
  return netns;
}

InterfacePlan planOf(LinkKind kind, unsigned number) {
  InterfacePlan plan;
  plan.name = InterfaceName::parse("net1").value();
  plan.network = NetworkName("bench");
  if (kind == LinkKind::Macvlan) {
    plan.link = agent::drivers::macvlan::Link{kParent};
  } else {
    plan.link = agent::drivers::bridge::Link{kBridge};
  }
  plan.mac = MacAddress::derive("bench" + std::to_string(number));
  plan.mtu = kMtu;
  for (const char* subnet : {"10.20.200.0/16", "fd00:20::c800/64"}) {
    auto address = InterfaceAddress::parse(subnet).value();
    address.address = IpAddress(address.address.family(), address.address.number() + number);
    plan.addresses.push_back({address, std::nullopt});
  }
  plan.routes = {
      {IpPrefix::parse("10.99.0.0/16").value(), IpAddress::parse("10.20.255.1").value()}};
  return plan;
}

Status makeParents() {
  MULTINET_TRY(netlink::Socket host, netlink::Socket::open());
  MULTINET_TRY(const Fd own, netns::openOwn());
  netlink::VethSpec pair;
  pair.hostName = kParent;
  pair.peerName = "parent1";
  pair.peerNetns = own.get();
  pair.peerMac = MacAddress::derive(pair.peerName);
  pair.mtu = kMtu;
  const std::vector<netlink::Request> requests = {
      netlink::createBridge({kBridge, MacAddress::derive(kBridge), kMtu}),
      netlink::setUp({0, kBridge}), netlink::createVeth(pair), netlink::setUp({0, kParent}),
      netlink::setUp({0, pair.peerName})};
  for (const Status& verdict : host.runAll(requests)) MULTINET_CHECK(verdict);
  return {};
}

Result<std::unique_ptr<Contender>> makeEngine(InterfacePlan plan) {
  static const SystemClock clock;
  MULTINET_TRY(auto engine, agent::attach::KernelAttachEngine::start({}, clock));
  MULTINET_TRY(Fd pod, makePod());
  return std::make_unique<EngineContender>("engine", "0123456789abcdef", std::move(engine),
                                           std::move(pod), std::vector{std::move(plan)});
}

Result<std::unique_ptr<Contender>> makeSecured(InterfacePlan plan) {
  using agent::isolation::Port;
  static const SystemClock clock;
  // Lives as long as the program, as the engine does that uses it.
  static std::unique_ptr<agent::isolation::PortGuard> guard;
  MULTINET_TRY(guard, agent::isolation::PortGuard::start(std::nullopt, {}, clock));
  std::vector<Port> others;
  for (unsigned i = 0; i < 100; ++i) {
    const std::string number = std::to_string(i);
    others.push_back({"mnvother" + number,
                      IntentId("other" + number),
                      "net1",
                      NetworkUid("other"),
                      MacAddress::derive(number),
                      {}});
    for (const agent::AddressPlan& address : plan.addresses) {
      const IpAddress& own = address.address.address;
      others.back().addresses.emplace_back(own.family(), own.number() + 1000 + i);
    }
  }
  MULTINET_CHECK(guard->secure(others));
  agent::attach::EngineOptions options;
  options.guard = guard.get();
  MULTINET_TRY(auto engine, agent::attach::KernelAttachEngine::start(std::move(options), clock));
  MULTINET_TRY(Fd pod, makePod());
  return std::make_unique<EngineContender>("secured", "fedcba9876543210", std::move(engine),
                                           std::move(pod), std::vector{std::move(plan)});
}

Result<std::unique_ptr<Contender>> makeNetlink(InterfacePlan plan) {
  MULTINET_TRY(netlink::Socket host, netlink::Socket::open());
  MULTINET_TRY(const auto parent, netlink::findLink(host, {0, agent::parentOf(plan.link)}));
  MULTINET_TRY(Fd pod, makePod());
  return std::make_unique<Netlink>(std::move(host), parent.index, std::move(pod), std::move(plan));
}

Result<std::unique_ptr<Contender>> makeCni(const InterfacePlan& plan, const std::string& plugins,
                                           const std::string& leases) {
  const std::string program = isMacvlan(plan) ? "macvlan" : "bridge";
  MULTINET_TRY(auto plugin,
               CniPlugin::prepare(plugins + "/" + program, plugins, cniConfig(plan, leases)));
  MULTINET_TRY(Fd pod, makePod());
  return std::make_unique<Cni>(std::move(plugin), std::move(pod));
}

}  // namespace multinet::bench
