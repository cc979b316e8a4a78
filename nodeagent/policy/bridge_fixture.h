// Nodes with pods on a bridge, for tests on the real kernel: each node's switch is a namespace.
#pragma once

#include <linux/if_link.h>

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/failpoint.h"
#include "lib/netlink/address.h"
#include "nodeagent/isolation/test_frames.h"
#include "nodeagent/policy/guard.h"

namespace multinet::agent::policing {

using isolation::arp;
using isolation::Bytes;
using isolation::ethernet;
using isolation::icmp;
using isolation::ipv4;
using isolation::ipv6;
using isolation::macOf;
using isolation::neighbour;
using isolation::RawSocket;
using isolation::udp;
using isolation::operator+;

inline const NetworkUid kBlue("blue-uid");
inline const NetworkUid kRed("red-uid");
inline constexpr unsigned kIpv4 = 0x0800;
inline constexpr unsigned kArp = 0x0806;
inline constexpr unsigned kIpv6 = 0x86DD;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kSctp = 132;

/// Whether it comes true within a minute.
template <class Wanted>
bool eventually(const Wanted& wanted) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!wanted()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// A node's switch, with a guard.
class TestNode {
 public:
  explicit TestNode(std::vector<std::string> bridges) : netns_(netns::make().value()) {
    const auto scope = netns::Scope::enter(*netns_).value();
    socket_.emplace(netlink::Socket::open().value());
    static_cast<void>(netns::writeSysctl("ipv6/conf/default/disable_ipv6", "1"));
    for (const char* what : {"iptables", "ip6tables", "arptables"}) {
      const Status off = netns::writeSysctl(std::string("bridge/bridge-nf-call-") + what, "0");
      EXPECT_TRUE(off || off.error().code == Code::NotFound) << off.error().message;
    }
    for (const auto& bridge : bridges) {
      const auto mac = macOf("02:00:00:00:00:0" + std::to_string(1 + &bridge - bridges.data()));
      EXPECT_TRUE(socket_->run(netlink::createBridge({bridge, mac, 1500})));
      EXPECT_TRUE(socket_->run(netlink::setUp({0, bridge})));
    }
    start();
  }

  void start(PolicyGuardOptions options = {}) {
    guard_.reset();
    options.lookEvery = std::chrono::milliseconds(50);
    guard_ = PolicyGuard::start(netns_, std::move(options), clock_).value();
  }
  void stop() { guard_.reset(); }
  [[nodiscard]] PolicyGuard& guard() { return *guard_; }
  [[nodiscard]] const Fd& netns() const { return *netns_; }
  [[nodiscard]] netlink::Socket& socket() { return *socket_; }
  [[nodiscard]] int bridge(const std::string& name) {
    return netlink::findLink(*socket_, {0, name}).value().index;
  }
  /// What somebody else does to the rules.
  [[nodiscard]] Status nft(const std::string& commands) const {
    const auto scope = netns::Scope::enter(*netns_).value();
    return nft::Committer::open().value().commit(commands);
  }
  /// Both tables, as the kernel lists them, but for what rules put in; nothing where there are
  /// none.
  [[nodiscard]] nft::Elements elements() {
    const auto scope = netns::Scope::enter(*netns_).value();
    auto committer = nft::Committer::open().value();
    constexpr std::uint32_t kAny = 65536;
    const Tables tables = tablesFor(guard_->tracking().value_or(Tracking::Bridge), kAny);
    nft::Elements all;
    for (const auto* table : {&tables.rules, &tables.flows}) {
      const auto listing = committer.list(*table).value();
      if (!listing) continue;
      for (const nft::Set& set : table->sets) {
        const auto found = listing->sets.find(set.name);
        if (set.filledBy.empty() && found != listing->sets.end()) all.insert(*found);
      }
    }
    return all;
  }
  /// A wire to another node, as a tunnel is one.
  void wire(TestNode& other, const std::string& name = "mnx1",
            const std::string& bridge = "br-blue") {
    netlink::VethSpec spec;
    spec.hostName = name;
    spec.bridgeIndex = this->bridge(bridge);
    spec.peerName = name;
    spec.peerMac = macOf("02:00:00:00:02:01");
    spec.peerNetns = other.netns_->get();
    spec.mtu = 1500;
    ASSERT_TRUE(socket_->run(netlink::createVeth(spec)));
    ASSERT_TRUE(other.socket_->run(netlink::setMaster({0, name}, other.bridge(bridge))));
    ASSERT_TRUE(other.socket_->run(netlink::setUp({0, name})));
    isolation::awaitForwarding(*socket_, name);
    isolation::awaitForwarding(*other.socket_, name);
  }

 private:
  SystemClock clock_;
  std::optional<Fd> netns_;
  std::optional<netlink::Socket> socket_;
  std::unique_ptr<PolicyGuard> guard_;
};

/// A pod's namespace with `net1`.
class TestPod {
 public:
  /// `host`: the last part of its addresses 10.0.0.x and fd00::x.
  explicit TestPod(unsigned host, std::string prefix = "p")
      : host_(host), prefix_(std::move(prefix)), netns_(netns::make().value()) {}

  [[nodiscard]] policy::PodKey key() const { return {"x", "pod-" + std::to_string(host_)}; }
  [[nodiscard]] std::string port() const { return "mnv" + prefix_ + std::to_string(host_); }
  [[nodiscard]] MacAddress mac() const {
    return macOf("02:00:00:00:01:" + std::to_string(10 + host_));
  }
  [[nodiscard]] std::string v4() const { return "10.0.0." + std::to_string(host_); }
  [[nodiscard]] std::string v6() const { return "fd00::" + std::to_string(host_); }
  [[nodiscard]] const Fd& netns() const { return netns_; }
  [[nodiscard]] const RawSocket& raw() const { return *raw_; }

  /// Makes the link, both ends up; the pod itself stays silent.
  void plug(TestNode& node, const std::string& bridge = "br-blue") {
    netlink::VethSpec spec;
    spec.hostName = port();
    spec.bridgeIndex = node.bridge(bridge);
    spec.peerName = "net1";
    spec.peerNetns = netns_.get();
    spec.peerMac = mac();
    spec.mtu = 1500;
    ASSERT_TRUE(node.socket().run(netlink::createVeth(spec)));
    const auto scope = netns::Scope::enter(netns_).value();
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/net1/disable_ipv6", "1"));
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "net1"})));
    isolation::awaitForwarding(node.socket(), port());
    raw_.emplace(netns_, "net1");
  }
  /// The same as an ipvlan of such a mode on a device of the namespace that `node` is of.
  void stand(netlink::Socket& node, const std::string& parent, std::uint16_t ipvlanMode) {
    const int index = netlink::findLink(node, {0, parent}).value().index;
    const Status made =
        node.run(netlink::createStacked({.kind = "ipvlan",
                                         .name = "net1",
                                         .parent = parent,
                                         .parentIndex = index,
                                         .options = {{IFLA_IPVLAN_MODE, ipvlanMode}},
                                         .netns = netns_.get(),
                                         .mtu = 1500}));
    ASSERT_TRUE(made) << made.error().message;
  }
  /// The same as a macvlan; not up yet.
  void stand(netlink::Socket& node, const std::string& parent) {
    netlink::MacvlanSpec spec;
    spec.name = "net1";
    spec.parent = parent;
    spec.parentIndex = netlink::findLink(node, {0, parent}).value().index;
    spec.mode = MACVLAN_MODE_BRIDGE;
    spec.netns = netns_.get();
    spec.mac = mac();
    spec.mtu = 1500;
    const Status made = node.run(netlink::createMacvlan(spec));
    ASSERT_TRUE(made) << made.error().message;
    const auto scope = netns::Scope::enter(netns_).value();
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/net1/disable_ipv6", "1"));
  }
  /// Up, as stand() left it.
  void begin() {
    const auto scope = netns::Scope::enter(netns_).value();
    auto inner = netlink::Socket::open().value();
    ASSERT_TRUE(inner.run(netlink::setUp({0, "net1"})));
    raw_.emplace(netns_, "net1");
  }
  /// Gives it its addresses, for sockets.
  void address() const {
    const auto scope = netns::Scope::enter(netns_).value();
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/net1/accept_dad", "0"));
    ASSERT_TRUE(netns::writeSysctl("ipv6/conf/net1/disable_ipv6", "0"));
    auto inner = netlink::Socket::open().value();
    const int index = netlink::findLink(inner, {0, "net1"}).value().index;
    for (const std::string& text : {v4() + "/24", v6() + "/64"}) {
      ASSERT_TRUE(inner.run(netlink::addAddress(index, *InterfaceAddress::parse(text))));
    }
  }
  /// A frame that no policy stops.
  [[nodiscard]] Bytes question(const Bytes& to, unsigned number = 0) const {
    return ethernet(
        to, mac(), kArp,
        arp(1, mac(), v4(),
            "10.9." + std::to_string(number / 256) + "." + std::to_string(number % 256)));
  }
  /// The same to everybody: bridges learn the pod's MAC of it.
  void announce() const { raw().send(question(isolation::kEverybody)); }

 private:
  unsigned host_;
  std::string prefix_;
  Fd netns_;
  std::optional<RawSocket> raw_;
};

inline Bytes tcpSyn(unsigned from, unsigned to) {
  return isolation::word(from) + isolation::word(to) + Bytes{0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2} +
         Bytes{0xff, 0xff, 0, 0, 0, 0};
}
inline Bytes sctpInit(unsigned from, unsigned to) {
  return isolation::word(from) + isolation::word(to) + Bytes(8, 0) +
         Bytes{1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 1};
}

/// Whether the frame that `from` sends comes out at `to`: what follows it, and always passes,
/// tells. `heardAs`: without the tag that a receiver's kernel takes off.
inline bool arrives(const TestPod& from, const Bytes& frame, const TestPod& to,
                    const Bytes& heardAs = {}) {
  static unsigned count = 0;
  const Bytes last = from.question(isolation::of(to.mac()), ++count % 65536);
  from.raw().send(frame);
  from.raw().send(last);
  return isolation::isHeard(heardAs.empty() ? frame : heardAs, last, to.raw());
}

/// The frame of a connection's first packet; each has a source port of its own.
inline Bytes firstFrame(const policy::Packet& packet, const MacAddress& from,
                        const MacAddress& to) {
  static unsigned count = 0;
  const unsigned source = 20000 + ++count % 40000;
  const bool isV4 = packet.source.isV4();
  Bytes inner;
  std::uint8_t protocol = isV4 ? 1 : 58;  // an echo, for those that have no ports
  if (!packet.protocol) {
    inner = icmp(isV4 ? 8 : 128, isolation::word(source) + isolation::word(1) + Bytes(16, 0));
  } else if (*packet.protocol == api::Protocol::TCP) {
    protocol = kTcp;
    inner = tcpSyn(source, packet.port);
  } else if (*packet.protocol == api::Protocol::UDP) {
    protocol = kUdp;
    inner = udp(source, packet.port);
  } else {
    protocol = kSctp;
    inner = sctpInit(source, packet.port);
  }
  const std::string origin = packet.source.str();
  const std::string destination = packet.destination.str();
  return ethernet(to, from, isV4 ? kIpv4 : kIpv6,
                  isV4 ? ipv4(origin, destination, protocol, inner)
                       : ipv6(origin, destination, protocol, inner));
}

}  // namespace multinet::agent::policing
