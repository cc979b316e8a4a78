// A switch with pods on one bridge, for tests on the real kernel: the test's own namespace is the
// switch.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "lib/base/failpoint.h"
#include "nodeagent/isolation/port_guard.h"
#include "nodeagent/isolation/test_frames.h"

namespace multinet::agent::isolation {

inline const NetworkUid kBlue("blue-uid");

/// Whether it comes true within a minute.
template <class Wanted>
bool eventually(const Wanted& wanted) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!wanted()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

/// A pod's namespace with `net1` in the bridge `br-test`; its node's end is named by its number.
class TestPod {
 public:
  explicit TestPod(unsigned number) : number_(number), netns_(netns::make().value()) {}

  [[nodiscard]] std::string portName() const { return "mnvtest" + std::to_string(number_); }
  [[nodiscard]] MacAddress mac() const {
    return macOf("02:00:00:00:01:0" + std::to_string(number_));
  }
  [[nodiscard]] std::string v4() const { return "10.20.0." + std::to_string(number_); }
  [[nodiscard]] std::string v6() const { return "fd00:20::" + std::to_string(number_); }
  [[nodiscard]] std::string linkLocal() const { return linkLocalOf(mac()).str(); }
  [[nodiscard]] Port port() const {
    return {portName(), IntentId("pod-" + std::to_string(number_)),
            "net1",     kBlue,
            mac(),      {IpAddress::parse(v4()).value(), IpAddress::parse(v6()).value()}};
  }
  [[nodiscard]] const Fd& netns() const { return netns_; }

  /// Makes the link, both ends up.
  void plug(netlink::Socket& socket) const {
    netlink::VethSpec spec;
    spec.hostName = portName();
    spec.bridgeIndex = netlink::findLink(socket, {0, "br-test"}).value().index;
    spec.peerName = "net1";
    spec.peerNetns = netns_.get();
    spec.peerMac = mac();
    spec.mtu = 1500;
    ASSERT_TRUE(socket.run(netlink::createVeth(spec)));
    const auto scope = netns::Scope::enter(netns_).value();
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/net1/disable_ipv6", "1"));
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "net1"})));
    awaitForwarding(socket, portName());
  }
  [[nodiscard]] RawSocket raw(bool bypass = false) const { return {netns_, "net1", bypass}; }

 private:
  unsigned number_;
  Fd netns_;
};

class SwitchTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(failpoint::arm(""));
    ASSERT_TRUE(socket_.run(netlink::createBridge({"br-test", macOf("02:00:00:00:00:01"), 1500})));
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/br-test/disable_ipv6", "1"));
    ASSERT_TRUE(socket_.run(netlink::setUp({0, "br-test"})));
    // As the agent does: br_netfilter would judge frames as a router does.
    for (const char* what : {"iptables", "ip6tables", "arptables"}) {
      const Status off = netns::writeSysctl(std::string("bridge/bridge-nf-call-") + what, "0");
      ASSERT_TRUE(off || off.error().code == Code::NotFound) << off.error().message;
    }
    start();
  }
  void TearDown() override {
    guard_.reset();
    static_cast<void>(failpoint::arm(""));
    static_cast<void>(PortGuard::clear());
    const auto links = netlink::findLinks(socket_).value();
    for (const auto& link : links) {
      if (link.name == "br-test" || link.name.starts_with("mnv")) {
        static_cast<void>(socket_.run(netlink::deleteLink({0, link.name})));
      }
    }
  }
  void start() {
    guard_.reset();
    GuardOptions options;
    options.lookEvery = std::chrono::milliseconds(50);
    guard_ = PortGuard::start(std::nullopt, options, clock_).value();
  }
  void plug(const TestPod& pod) {
    const auto secured = guard_->secure({pod.port()});
    ASSERT_TRUE(secured) << secured.error().message;
    pod.plug(socket_);
  }
  void ask(api::PortSecurity security) { guard_->setNetworks({{kBlue, security}}, {4799}); }
  std::uint64_t dropped(const std::string& reason) { return guard_->drops()[reason]; }

  SystemClock clock_;
  netlink::Socket socket_ = netlink::Socket::open().value();
  std::unique_ptr<PortGuard> guard_;
};

}  // namespace multinet::agent::isolation
