// A host with a bridge and a macvlan parent, and pods on it, for tests on the real kernel: the
// test's own namespace is the host.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"
#include "nodeagent/attach/kernel_attach_engine.h"
#include "nodeagent/attach/maintain.h"

namespace multinet::agent::attach {

/// `br-test` with nothing in it, and `parent0`, whose other end `parent1` stands in `wire()`. What
/// can't be made throws, which ends the test.
class TestHost {
 public:
  /// `guard` is of this namespace and outlives the host; nullptr: frames aren't held against plans.
  /// `policies` likewise.
  explicit TestHost(isolation::PortGuard* guard = nullptr, Policies* policies = nullptr)
      : socket_(netlink::Socket::open().value()), wire_(netns::make().value()) {
    makeBridge();
    makeParent();
    EngineOptions options;
    options.guard = guard;
    options.policies = policies;
    engine_ = KernelAttachEngine::start(std::move(options), clock_).value();
  }
  ~TestHost() {
    engine_.reset();
    for (const char* name : {"br-test", "parent0", "old0"}) removeLink(name);
  }
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  void makeBridge() {
    run(socket_, netlink::createBridge({"br-test", MacAddress::derive("br-test"), 1500}));
    run(socket_, netlink::setUp({0, "br-test"}));
  }
  void makeParent(const std::string& peer = "parent1") {
    makePair("parent0", peer, wire_);
    netlink::Socket wire = socketIn(wire_);
    run(wire, netlink::setUp({0, peer}));
  }
  /// A veth pair, the host's end up.
  void makePair(const std::string& name, const std::string& peer, const Fd& netns) {
    netlink::VethSpec spec;
    spec.hostName = name;
    spec.peerName = peer;
    spec.peerNetns = netns.get();
    spec.peerMac = MacAddress::derive(peer);
    spec.mtu = 1500;
    run(socket_, netlink::createVeth(spec));
  }
  void removeLink(const std::string& name) {
    static_cast<void>(socket_.run(netlink::deleteLink({0, name})));
  }

  static void run(netlink::Socket& socket, const netlink::Request& request) {
    const Status status = socket.run(request);
    if (!status) throw std::runtime_error(status.error().message);
  }
  static netlink::Socket socketIn(const Fd& netns) {
    const auto scope = netns::Scope::enter(netns).value();
    return netlink::Socket::open().value();
  }
  static Pod open(const Fd& netns) { return Pod::open(netns.duplicate().value()).value(); }

  Result<std::vector<InterfaceStatus>> attach(const Desired& desired, const Fd& netns) {
    std::promise<Result<std::vector<InterfaceStatus>>> answer;
    engine_->attach(desired.intent, netns.duplicate().value(), desired.interfaces, nullptr,
                    [&](auto result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }
  Status detach(const Desired& desired, const Fd& netns) {
    std::promise<Status> answer;
    engine_->detach(desired.intent, netns.duplicate().value(),
                    [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  /// By the engine, with what it does besides.
  Result<Upkeep> maintain(const Desired& desired, const Fd& netns) {
    std::promise<Result<Upkeep>> answer;
    engine_->maintain(desired.intent, netns.duplicate().value(), desired.interfaces, nullptr,
                      [&](auto result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }

  [[nodiscard]] netlink::Socket& socket() { return socket_; }
  /// Where the parent's cable ends.
  [[nodiscard]] const Fd& wire() const { return wire_; }

 private:
  SystemClock clock_;
  netlink::Socket socket_;
  Fd wire_;
  std::unique_ptr<KernelAttachEngine> engine_;
};

/// `net1` on the bridge: 10.20.0.N and fd00:20::N with gateways, N below 255.
[[nodiscard]] inline InterfacePlan testBridgePlan(const std::string& name, unsigned number) {
  const auto gateway = [](const char* text) { return IpAddress::parse(text).value(); };
  const std::string n = std::to_string(number);
  InterfacePlan plan;
  plan.name = InterfaceName::parse(name).value();
  plan.network = NetworkName("blue");
  plan.link = drivers::bridge::Link{"br-test"};
  plan.mac = MacAddress::derive(name + n);
  plan.mtu = 1450;
  plan.addresses = {
      {InterfaceAddress::parse("10.20.0." + n + "/16").value(), gateway("10.20.255.1")},
      {InterfaceAddress::parse("fd00:20::" + n + "/64").value(), gateway("fd00:20::ff:1")}};
  return plan;
}

/// A macvlan on `parent0`: `prefix` such as "10.30.0." and N.
[[nodiscard]] inline InterfacePlan testMacvlanPlan(const std::string& name,
                                                   const std::string& prefix, unsigned number) {
  InterfacePlan plan = testBridgePlan(name, number);
  plan.link = drivers::macvlan::Link{"parent0"};
  plan.addresses = {
      {InterfaceAddress::parse(prefix + std::to_string(number) + "/16").value(), std::nullopt}};
  return plan;
}

}  // namespace multinet::agent::attach
