#include "bench/many_contenders.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/cni_plugin.h"
#include "bench/engine_contender.h"

namespace multinet::bench {
namespace {

using agent::InterfacePlan;
using agent::attach::KernelAttachEngine;

/// Multus calls those after the first net1, net2, ...
constexpr const char* kFirst = "eth0";
constexpr std::array<unsigned, 3> kCounts = {1, 4, 16};

/// Each with a network of its own. `number` tells the contenders' addresses apart.
std::vector<InterfacePlan> plansOf(unsigned count, unsigned number) {
  std::vector<InterfacePlan> plans;
  for (unsigned i = 0; i < count; ++i) {
    InterfacePlan plan = planOf(LinkKind::Macvlan, number);
    const std::string own = std::to_string(20 + i);
    plan.name = InterfaceName::parse("net" + std::to_string(i + 1)).value();
    plan.mac = MacAddress::derive("many" + std::to_string(number) + "/" + own);
    plan.addresses.clear();
    for (const auto& subnet : {"10." + own + ".200.0/16", "fd00:" + own + "::c800/64"}) {
      auto address = InterfaceAddress::parse(subnet).value();
      address.address = IpAddress(address.address.family(), address.address.number() + number);
      plan.addresses.push_back({address, std::nullopt});
    }
    plan.routes = {{IpPrefix::parse("10." + std::to_string(120 + i) + ".0.0/16").value(),
                    IpAddress::parse("10." + own + ".255.1").value()}};
    plans.push_back(std::move(plan));
  }
  return plans;
}

class Multus final : public Contender {
 public:
  Multus(CniPlugin plugin, Fd pod, std::size_t count)
      : plugin_(std::move(plugin)), pod_(std::move(pod)), count_(count) {}
  [[nodiscard]] std::string name() const override { return "multus " + std::to_string(count_); }
  Result<Steady::time_point> attach() override {
    MULTINET_CHECK(plugin_.run("ADD", kFirst, pod_));
    return Steady::now();
  }
  Status detach() override { return plugin_.run("DEL", kFirst, pod_); }

 private:
  CniPlugin plugin_;
  Fd pod_;
  std::size_t count_;
};

std::string multusConfig(const std::vector<InterfacePlan>& plans, const std::string& plugins,
                         const std::string& leases) {
  nlohmann::json delegates = nlohmann::json::array();
  for (const InterfacePlan& plan : plans) {
    nlohmann::json ranges = nlohmann::json::array();
    for (const auto& address : plan.addresses) {
      const IpPrefix subnet(address.address.address, address.address.length);
      ranges.push_back(nlohmann::json::array({{{"subnet", subnet.str()}}}));
    }
    nlohmann::json routes = nlohmann::json::array();
    for (const auto& route : plan.routes) {
      routes.push_back({{"dst", route.to.str()}, {"gw", route.via->str()}});
    }
    delegates.push_back({{"cniVersion", "1.0.0"},
                         {"name", plan.name.str()},
                         {"type", "macvlan"},
                         {"master", std::get<agent::drivers::macvlan::Link>(plan.link).device},
                         {"mode", "bridge"},
                         {"mtu", plan.mtu},
                         {"ipam",
                          {{"type", "host-local"},
                           {"dataDir", leases + "/" + std::to_string(plans.size())},
                           {"ranges", ranges},
                           {"routes", routes}}}});
  }
  return nlohmann::json{
      {"cniVersion", "1.0.0"}, {"name", "multus"},
      {"type", "multus"},      {"cniDir", leases + "/multus" + std::to_string(plans.size())},
      {"binDir", plugins},     {"delegates", delegates}}
      .dump();
}

}  // namespace

Result<std::vector<std::unique_ptr<Contender>>> makeMany(const std::string& multus,
                                                         const std::string& plugins,
                                                         const std::string& leases) {
  static const SystemClock clock;
  MULTINET_TRY(std::shared_ptr<KernelAttachEngine> engine, KernelAttachEngine::start({}, clock));
  std::vector<std::unique_ptr<Contender>> contenders;
  unsigned number = 0;
  for (const unsigned count : kCounts) {
    MULTINET_TRY(Fd pod, makePod());
    auto plans = plansOf(count, ++number);
    contenders.push_back(std::make_unique<EngineContender>("engine " + std::to_string(plans.size()),
                                                           "fedcba9876543210", engine,
                                                           std::move(pod), plans));
    plans = plansOf(count, ++number);
    MULTINET_TRY(auto plugin,
                 CniPlugin::prepare(multus, plugins, multusConfig(plans, plugins, leases)));
    MULTINET_TRY(Fd other, makePod());
    contenders.push_back(std::make_unique<Multus>(std::move(plugin), std::move(other), count));
  }
  return contenders;
}

}  // namespace multinet::bench
