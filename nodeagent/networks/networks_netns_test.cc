// Two nodes as namespaces, with a wire or a router between: tunnels, guards and probes for real.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>

#include "lib/base/failpoint.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/neighbour.h"
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"
#include "lib/netns/packet_socket.h"
#include "lib/nft/committer.h"
#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/kernel_networks.h"
#include "nodeagent/networks/names.h"

namespace multinet::agent::networks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

void must(const Status& status) {
  ASSERT_TRUE(status) << status.error().message;
}

/// Waits for the room to say something.
class Watch {
 public:
  ChangeCallback callback() {
    return [this](const std::shared_ptr<const Snapshot>& snapshot) {
      const std::lock_guard lock(mutex_);
      last_ = snapshot;
      changed_.notify_all();
    };
  }
  bool until(const std::function<bool(const Snapshot&)>& wanted, Duration limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return last_ && wanted(*last_); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Snapshot> last_;
};

class Node {
 public:
  explicit Node(std::string name)
      : name_(std::move(name)),
        netns_(netns::make().value()),
        switch_(netns::make().value()),
        socket_(open(netns_)),
        inner_(open(switch_)) {
    up("lo");
  }
  void start(NetworksOptions options) {
    options.node = NodeName(name_);
    watch_ = std::make_unique<Watch>();
    const auto scope = netns::Scope::enter(netns_).value();
    networks_ =
        KernelNetworks::start(options, switch_.duplicate().value(), watch_->callback()).value();
  }
  /// As a version without a switch did: everything in the node's namespace.
  void startWithoutSwitch(NetworksOptions options) {
    options.node = NodeName(name_);
    watch_ = std::make_unique<Watch>();
    const auto scope = netns::Scope::enter(netns_).value();
    networks_ = KernelNetworks::start(options, std::nullopt, watch_->callback()).value();
  }
  void stop() { networks_.reset(); }
  void up(const std::string& link) { run(netlink::setUp({0, link})); }
  void run(const netlink::Request& request) { must(socket_.run(request)); }
  int index(const std::string& link) { return netlink::findLink(socket_, {0, link}).value().index; }
  bool has(const std::string& link) { return netlink::findLink(socket_, {0, link}).has_value(); }
  void address(const std::string& link, const std::string& text) {
    run(netlink::addAddress(index(link), InterfaceAddress::parse(text).value()));
  }
  void route(const std::string& to, const std::string& via, const std::string& link) {
    netlink::RouteInfo info;
    info.to = IpPrefix::parse(to).value();
    info.via = ip(via);
    info.linkIndex = index(link);
    run(netlink::addRoute(info));
  }
  /// A wire to another node; both ends up.
  void wire(const std::string& link, Node& other, const std::string& otherLink) {
    netlink::VethSpec spec;
    spec.hostName = link;
    spec.peerName = otherLink;
    spec.peerNetns = other.netns_.get();
    spec.peerMac = MacAddress::derive(name_ + other.name_ + otherLink);
    spec.mtu = 1500;
    run(netlink::createVeth(spec));
    other.up(otherLink);
  }
  /// An interface of a pod on a bridge of the switch.
  void attach(const std::string& link, Node& pod, const std::string& bridge) {
    plug(inner_, link, pod, bridge);
  }
  /// The same as an earlier version made it.
  void attachOnNode(const std::string& link, Node& pod, const std::string& bridge) {
    plug(socket_, link, pod, bridge);
  }
  netlink::LinkInfo inner(const std::string& link) {
    return netlink::findLink(inner_, {0, link}).value_or(netlink::LinkInfo{});
  }
  void runInner(const netlink::Request& request) { must(inner_.run(request)); }
  std::vector<IpAddress> flood(const std::string& tunnel) {
    return netlink::findFlood(inner_, inner(tunnel).index).value_or(std::vector<IpAddress>{});
  }
  const Fd& switchNetns() { return switch_; }
  bool until(const std::function<bool(const Snapshot&)>& wanted, Duration limit) {
    return watch_->until(wanted, limit);
  }
  netlink::Socket& socket() { return socket_; }
  KernelNetworks& networks() { return *networks_; }
  const Fd& netns() { return netns_; }

 private:
  static netlink::Socket open(const Fd& netns) {
    const auto scope = netns::Scope::enter(netns).value();
    return netlink::Socket::open().value();
  }
  static void plug(netlink::Socket& socket, const std::string& link, Node& pod,
                   const std::string& bridge) {
    netlink::VethSpec spec;
    spec.hostName = link;
    spec.bridgeIndex = netlink::findLink(socket, {0, bridge}).value().index;
    spec.peerName = "net1";
    spec.peerNetns = pod.netns_.get();
    spec.peerMac = MacAddress::derive(pod.name_ + "net1");
    spec.mtu = 1450;
    must(socket.run(netlink::createVeth(spec)));
    must(socket.run(netlink::setAlias({0, link}, drivers::aliasOf(IntentId(pod.name_), "net1"))));
    pod.up("net1");
  }
  std::string name_;
  Fd netns_;
  Fd switch_;
  netlink::Socket socket_;
  netlink::Socket inner_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<KernelNetworks> networks_;
};

const NetworkUid kUid("6f9619ff-8b86-d011-b42d-00cf4fc964ff");

Peer peer(const std::string& node, const std::string& underlay) {
  return {NodeName(node), {ip(underlay)}, bridgeMac(NodeName(node), kUid)};
}

DesiredNetwork blue(std::vector<Peer> peers) {
  DesiredNetwork network;
  network.name = NetworkName("blue");
  network.uid = kUid;
  network.vni = 7001;
  network.peers = std::move(peers);
  return network;
}

bool ready(const Snapshot& snapshot) {
  const auto* state = snapshot.find(kUid);
  if (state == nullptr || state->ready != CheckStatus::True) return false;
  return std::all_of(state->checks.begin(), state->checks.end(),
                     [](const Check& check) { return check.status == CheckStatus::True; });
}
std::function<bool(const Snapshot&)> notReady(const std::string& reason) {
  return [reason](const Snapshot& snapshot) {
    const auto* state = snapshot.find(kUid);
    return state != nullptr && state->ready == CheckStatus::False && state->reason == reason;
  };
}

bool eventually(const std::function<bool()>& wanted) {
  const auto limit = steady_clock::now() + seconds(10);
  while (steady_clock::now() < limit) {
    if (wanted()) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

/// Sends one UDP packet; true where it arrives.
bool delivers(Node& from, Node& to, const std::string& address, std::uint16_t port) {
  const auto bound = [&] {
    const auto scope = netns::Scope::enter(to.netns()).value();
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    return fd;
  }();
  const auto scope = netns::Scope::enter(from.netns()).value();
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(port);
  EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &target.sin_addr), 1);
  const auto limit = steady_clock::now() + milliseconds(600);
  while (steady_clock::now() < limit) {
    static_cast<void>(
        ::sendto(fd.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&target), sizeof target));
    char byte = 0;
    if (::recv(bound.get(), &byte, 1, 0) == 1 && byte == 'x') return true;  // no probe of a node
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

/// The first ARP request may get lost while links come up; the next one follows after a second.
bool reaches(Node& from, Node& to, const std::string& address, std::uint16_t port) {
  return eventually([&] { return delivers(from, to, address, port); });
}

/// Four times as fast as in service; the tests of the limits themselves use the defaults.
NetworksOptions fast() {
  NetworksOptions options;
  options.compareEvery = seconds(1);
  options.probeEvery = milliseconds(500);
  return options;
}

class NetworksTest : public testing::Test {
 protected:
  void wireV4() {
    one_.wire("eth0", two_, "eth0");
    one_.address("eth0", "172.18.0.1/24");
    two_.address("eth0", "172.18.0.2/24");
  }
  void startBoth(const NetworksOptions& options = fast()) {
    one_.start(options);
    two_.start(options);
    one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
    two_.networks().setDesired({blue({peer("one", "172.18.0.1")})});
    ASSERT_TRUE(one_.until(ready, seconds(10)));
    ASSERT_TRUE(two_.until(ready, seconds(10)));
  }
  Node one_{"one"};
  Node two_{"two"};
};

TEST_F(NetworksTest, ATunnelOverIpv4IsMeasured) {
  wireV4();
  startBoth();
  const auto snapshot = one_.networks().snapshot();
  const auto* state = snapshot->find(kUid);
  EXPECT_EQ(state->mtu, 1450U);
  EXPECT_EQ(state->parent, bridgeName(blue({})));
  EXPECT_EQ(state->underlays, std::vector<IpAddress>{ip("172.18.0.1")});
  const auto bridge = one_.inner(state->parent);
  EXPECT_EQ(bridge.mac, state->bridgeMac);
  EXPECT_EQ(bridge.mtu, 1450U);
}

TEST_F(NetworksTest, ATunnelOverIpv6IsMeasured) {
  one_.wire("eth0", two_, "eth0");
  one_.address("eth0", "fd00:18::1/64");
  two_.address("eth0", "fd00:18::2/64");
  one_.start(fast());
  two_.start(fast());
  one_.networks().setDesired({blue({peer("two", "fd00:18::2")})});
  two_.networks().setDesired({blue({peer("one", "fd00:18::1")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_EQ(one_.networks().snapshot()->find(kUid)->mtu, 1430U);
}

TEST_F(NetworksTest, ACutPathMtuIsFoundWithinTenSecondsAndItsHealingToo) {
  wireV4();
  startBoth({});
  const auto start = steady_clock::now();
  two_.run(netlink::setMtu({0, "eth0"}, 1400));
  ASSERT_TRUE(one_.until(notReady("PathMTUTooSmall"), seconds(10)));
  const auto* state = one_.networks().snapshot()->find(kUid);
  EXPECT_NE(state->message.find("two (172.18.0.2)"), std::string::npos) << state->message;
  EXPECT_NE(state->message.find("1450"), std::string::npos) << state->message;
  ASSERT_TRUE(two_.until(notReady("PathMTUTooSmall"), seconds(10)));
  const auto cut = steady_clock::now();
  two_.run(netlink::setMtu({0, "eth0"}, 1500));
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  ASSERT_TRUE(two_.until(ready, seconds(10)));
  std::printf("path MTU cut found after %.1f s, healed after %.1f s\n",
              std::chrono::duration<double>(cut - start).count(),
              std::chrono::duration<double>(steady_clock::now() - cut).count());
}

/// A large packet to `address`, so that the kernel learns what the way there carries.
void learnPath(Node& node, const std::string& address) {
  const auto scope = netns::Scope::enter(node.netns()).value();
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(9);
  EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &target.sin_addr), 1);
  const int set = IP_PMTUDISC_DO;
  EXPECT_EQ(::setsockopt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, &set, sizeof set), 0);
  const std::vector<char> large(1450, 'x');
  static_cast<void>(::sendto(fd.get(), large.data(), large.size(), 0,
                             reinterpret_cast<sockaddr*>(&target), sizeof target));
}

TEST_F(NetworksTest, APathMtuLearnedFromARouterIsForgottenOnceItHeals) {
  Node router("router");
  Node far("far");  // behind a narrower way, and no concern of ours
  router.wire("narrow", far, "eth0");
  router.address("narrow", "172.18.3.254/24");
  far.address("eth0", "172.18.3.3/24");
  router.run(netlink::setMtu({0, "narrow"}, 1300));
  one_.wire("eth0", router, "left");
  two_.wire("eth0", router, "right");
  one_.address("eth0", "172.18.1.1/24");
  router.address("left", "172.18.1.254/24");
  router.address("right", "172.18.2.254/24");
  two_.address("eth0", "172.18.2.2/24");
  one_.route("172.18.2.0/24", "172.18.1.254", "eth0");
  two_.route("172.18.1.0/24", "172.18.2.254", "eth0");
  one_.route("172.18.3.0/24", "172.18.1.254", "eth0");
  {
    const auto scope = netns::Scope::enter(router.netns()).value();
    must(netns::writeSysctl("ipv4/ip_forward", "1"));
  }
  one_.start(fast());
  two_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.2.2")})});
  two_.networks().setDesired({blue({peer("one", "172.18.1.1")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  router.run(netlink::setMtu({0, "right"}, 1400));
  // The kernel learns it from the router's ICMP and would keep it for ten minutes.
  EXPECT_TRUE(eventually(
      [&] { return netlink::lookUpRoute(one_.socket(), ip("172.18.2.2")).value().mtu == 1400U; }));
  ASSERT_TRUE(one_.until(notReady("PathMTUTooSmall"), seconds(10)));
  // What the node has learned of others is theirs: it goes only once, when that helps.
  ASSERT_TRUE(eventually([&] {
    learnPath(one_, "172.18.3.3");
    return netlink::lookUpRoute(one_.socket(), ip("172.18.3.3")).value().mtu == 1300U;
  }));
  std::this_thread::sleep_for(seconds(5));
  EXPECT_EQ(netlink::lookUpRoute(one_.socket(), ip("172.18.3.3")).value().mtu, 1300U);
  router.run(netlink::setMtu({0, "right"}, 1500));
  EXPECT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_TRUE(two_.until(ready, seconds(10)));
}

TEST_F(NetworksTest, ASilentPeerIsNamed) {
  wireV4();
  startBoth();
  two_.runInner(netlink::setDown({0, bridgeName(blue({}))}));
  two_.stop();
  EXPECT_TRUE(one_.until(notReady("PeerUnreachable"), seconds(10)));
}

TEST_F(NetworksTest, WithoutPeersNothingIsProbedAndNothingIsClaimed) {
  wireV4();
  one_.start(fast());
  one_.networks().setDesired({blue({})});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.settled; }, seconds(5)));
  const auto snapshot = one_.networks().snapshot();
  const Check& peers = snapshot->find(kUid)->checks.back();
  EXPECT_EQ(peers.name, "Peers");
  EXPECT_EQ(peers.status, CheckStatus::Unknown);
  EXPECT_EQ(peers.reason, "NotProbed");
}

TEST_F(NetworksTest, ARestartWritesNothing) {
  wireV4();
  startBoth();
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, DriftIsRepaired) {
  wireV4();
  startBoth();
  const DesiredNetwork network = blue({});
  one_.runInner(netlink::deleteLink({0, vxlanName(network)}));
  EXPECT_TRUE(eventually([&] { return one_.inner(vxlanName(network)).index != 0; }));
  one_.runInner(netlink::setDown({0, bridgeName(network)}));
  EXPECT_TRUE(eventually([&] { return one_.inner(bridgeName(network)).up; }));
  const auto flood = [&] { return one_.flood(vxlanName(network)); };
  ASSERT_TRUE(eventually([&] { return flood() == std::vector<IpAddress>{ip("172.18.0.2")}; }));
  one_.runInner(netlink::addFlood(one_.inner(vxlanName(network)).index, ip("172.18.0.9")));
  EXPECT_TRUE(eventually([&] { return flood() == std::vector<IpAddress>{ip("172.18.0.2")}; }));
}

TEST_F(NetworksTest, ANetworkThatIsGoneGoesOnceNoPodIsLeftInIt) {
  wireV4();
  one_.start(fast());
  one_.networks().setDesired({blue({})});
  const std::string bridge = bridgeName(blue({}));
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.settled; }, seconds(5)));
  Node pod("pod");
  one_.attach("pod0", pod, bridge);
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.leftovers.size() == 1; }, seconds(5)));
  EXPECT_EQ(one_.networks().snapshot()->leftovers.front().interfaces, 1U);
  EXPECT_NE(one_.inner(bridge).index, 0);
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(eventually(
      [&] { return one_.inner(bridge).index == 0 && one_.inner(vxlanName(blue({}))).index == 0; }));
  EXPECT_TRUE(one_.until([](const Snapshot& s) { return s.leftovers.empty(); }, seconds(5)));
}

TEST_F(NetworksTest, AForeignLinkOfThatNameIsLeftAloneAndTold) {
  wireV4();
  DesiredNetwork network = blue({});
  network.type = LinkType::Bridge;
  network.bridge = "br-admin";
  one_.runInner(netlink::createBridge({"br-admin", MacAddress::derive("x"), 1500}));
  one_.start(fast());
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(notReady("NameTaken"), seconds(5)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

bool readyAsBridge(const Snapshot& snapshot) {
  const auto* state = snapshot.find(kUid);
  return state != nullptr && state->ready == CheckStatus::True;
}

TEST_F(NetworksTest, ANetworkJoinsABridgeOfSomebodyElsesByOneWire) {
  one_.run(netlink::createBridge({"br-admin", MacAddress::derive("x"), 1500}));
  one_.up("br-admin");
  one_.wire("port0", two_, "eth1");
  one_.run(netlink::setMaster({0, "port0"}, one_.index("br-admin")));
  two_.address("eth1", "10.60.0.2/24");
  DesiredNetwork network = blue({});
  network.type = LinkType::Bridge;
  network.bridgeMode = BridgeMode::Existing;
  network.bridge = "br-admin";
  one_.start(fast());
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(readyAsBridge, seconds(5)));
  const std::string parent = one_.networks().snapshot()->find(kUid)->parent;
  Node pod("pod");
  one_.attach("pod0", pod, parent);
  pod.address("net1", "10.60.0.9/24");
  EXPECT_TRUE(reaches(pod, two_, "10.60.0.2", 7777));
  // The bridge goes and comes back.
  one_.run(netlink::deleteLink({0, "br-admin"}));
  ASSERT_TRUE(one_.until(notReady("DeviceMissing"), seconds(5)));
  one_.run(netlink::createBridge({"br-admin", MacAddress::derive("x"), 1500}));
  one_.up("br-admin");
  one_.run(netlink::setMaster({0, "port0"}, one_.index("br-admin")));
  EXPECT_TRUE(reaches(pod, two_, "10.60.0.2", 7777));
  // Gone with the network, and nothing else with it.
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  one_.networks().setDesired({});
  EXPECT_TRUE(eventually([&] { return !one_.has(wireEndName(network)); }));
  EXPECT_TRUE(one_.has("br-admin"));
}

TEST_F(NetworksTest, AnUplinkStaysWithTheNode) {
  one_.wire("eth1", two_, "eth1");
  one_.up("eth1");
  two_.address("eth1", "10.60.0.2/24");
  DesiredNetwork network = blue({});
  network.type = LinkType::Bridge;
  network.uplink = "eth1";
  one_.start(fast());
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(readyAsBridge, seconds(5)));
  Node pod("pod");
  one_.attach("pod0", pod, bridgeName(network));
  pod.address("net1", "10.60.0.9/24");
  EXPECT_TRUE(reaches(pod, two_, "10.60.0.2", 7777));
  EXPECT_EQ(netlink::findLink(one_.socket(), {0, "eth1"}).value().master, 0);
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({network});
  ASSERT_TRUE(one_.until(readyAsBridge, seconds(5)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

/// Sends `payload` in a VXLAN packet, with a frame of the probes' ethertype inside.
void forge(Node& from, const std::string& to, const MacAddress& bridge) {
  const auto scope = netns::Scope::enter(from.netns()).value();
  std::vector<std::uint8_t> packet = {0x08, 0, 0, 0, 0, 0x1b, 0x59, 0};  // VNI 7001
  packet.insert(packet.end(), bridge.bytes().begin(), bridge.bytes().end());
  const MacAddress source = MacAddress::derive("forger");
  packet.insert(packet.end(), source.bytes().begin(), source.bytes().end());
  packet.insert(packet.end(), {0x88, 0xB5});
  packet.resize(packet.size() + 46, 0x55);
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(4799);
  ASSERT_EQ(::inet_pton(AF_INET, to.c_str(), &target.sin_addr), 1);
  ASSERT_GT(::sendto(fd.get(), packet.data(), packet.size(), 0,
                     reinterpret_cast<sockaddr*>(&target), sizeof target),
            0);
}

bool hears(netns::PacketSocket& socket) {
  const auto limit = steady_clock::now() + milliseconds(600);
  bool heard = false;
  while (!heard && steady_clock::now() < limit) {
    socket.drain(100, [&](const netns::EthernetFrame& frame) {
      heard = heard || frame.from == MacAddress::derive("forger");
    });
    std::this_thread::sleep_for(milliseconds(10));
  }
  return heard;
}

TEST_F(NetworksTest, OnlyPeersReachATunnel) {
  wireV4();
  startBoth();
  two_.stop();
  Node pod("pod");
  one_.wire("cluster0", pod, "eth0");
  one_.address("cluster0", "10.244.0.1/24");
  pod.address("eth0", "10.244.0.5/24");
  pod.route("0.0.0.0/0", "10.244.0.1", "eth0");
  two_.address("eth0", "172.18.0.66/24");
  const MacAddress bridge = bridgeMac(NodeName("one"), kUid);
  auto listener = [&] {
    const auto scope = netns::Scope::enter(one_.switchNetns()).value();
    return netns::PacketSocket::open(one_.inner(bridgeName(blue({}))).index, 0x88B5).value();
  }();
  forge(two_, "172.18.0.1", bridge);  // by the underlay, from a peer's address: the control
  EXPECT_TRUE(hears(listener));
  forge(pod, "172.18.0.1", bridge);
  EXPECT_FALSE(hears(listener));
  // A pod that takes a peer's address comes in by the wrong device.
  pod.address("eth0", "172.18.0.2/32");
  one_.run(netlink::removeAddress(one_.index("cluster0"),
                                  InterfaceAddress::parse("10.244.0.1/24").value()));
  forge(pod, "172.18.0.1", bridge);
  EXPECT_FALSE(hears(listener));
  // The peer leaves: what came through before no longer does.
  one_.networks().setDesired({blue({peer("two", "172.18.0.99")})});
  ASSERT_TRUE(one_.until(
      [](const Snapshot& s) {
        return s.find(kUid)->message.find("172.18.0.99") != std::string::npos;
      },
      seconds(15)));
  forge(two_, "172.18.0.1", bridge);
  EXPECT_FALSE(hears(listener));
}

TEST_F(NetworksTest, PlainPodsUseTheTunnelsPortAmongThemselves) {
  wireV4();
  startBoth();
  Node pod("pod");
  Node other("other");
  one_.wire("cluster0", pod, "eth0");
  one_.wire("cluster1", other, "eth0");
  one_.address("cluster0", "10.244.0.1/24");
  one_.address("cluster1", "10.244.1.1/24");
  pod.address("eth0", "10.244.0.5/24");
  other.address("eth0", "10.244.1.5/24");
  pod.route("0.0.0.0/0", "10.244.0.1", "eth0");
  other.route("0.0.0.0/0", "10.244.1.1", "eth0");
  const auto scope = netns::Scope::enter(one_.netns()).value();
  must(netns::writeSysctl("ipv4/ip_forward", "1"));
  EXPECT_TRUE(reaches(pod, other, "10.244.1.5", 4799));
  // To a peer's tunnel they don't get: the next node might take them for this one.
  two_.stop();
  two_.runInner(netlink::deleteLink({0, vxlanName(blue({}))}));
  two_.route("10.244.0.0/16", "172.18.0.1", "eth0");
  EXPECT_TRUE(reaches(pod, two_, "172.18.0.2", 4800));
  EXPECT_FALSE(delivers(pod, two_, "172.18.0.2", 4799));
}

bool guarded(Node& node) {
  const auto scope = netns::Scope::enter(node.netns()).value();
  return nft::Committer::open().value().exists("multinet").value();
}

TEST_F(NetworksTest, TheGuardStaysAsLongAsATunnel) {
  wireV4();
  startBoth();
  Node pod("pod");
  one_.attach("pod0", pod, bridgeName(blue({})));
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.leftovers.size() == 1; }, seconds(5)));
  EXPECT_TRUE(guarded(one_));
  one_.stop();
  one_.start(fast());  // a successor knows no more than the kernel
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.leftovers.size() == 1; }, seconds(5)));
  EXPECT_TRUE(guarded(one_));
  EXPECT_EQ(one_.networks().writes(), 0U);
  one_.runInner(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(eventually([&] { return !guarded(one_); }));
}

TEST_F(NetworksTest, ANetworkThatIsNoLongerReadyGoesOnForItsPods) {
  wireV4();
  startBoth();
  DesiredNetwork kept = blue({peer("two", "172.18.0.9")});
  kept.wish = Wish::Keep;
  kept.vni = 0;  // the reservation is gone too
  one_.networks().setDesired({kept});
  EXPECT_TRUE(eventually([&] {
    return one_.flood(vxlanName(kept)) == std::vector<IpAddress>{ip("172.18.0.9")};
  })) << "and still follows its peers";
  EXPECT_EQ(one_.inner(vxlanName(kept)).vxlan->vni, 7001U);
  EXPECT_TRUE(guarded(one_));
}

TEST_F(NetworksTest, WithoutAGuardThereIsNoTunnelAndNothingIsAttached) {
  wireV4();
  ASSERT_TRUE(failpoint::arm("networks.guard=error"));
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(
      [](const Snapshot& s) {
        const auto* state = s.find(kUid);
        return s.settled && state != nullptr && state->parent.empty();
      },
      seconds(5)));
  EXPECT_EQ(one_.inner(vxlanName(blue({}))).index, 0);
  ASSERT_TRUE(failpoint::arm(""));
  EXPECT_TRUE(
      one_.until([](const Snapshot& s) { return !s.find(kUid)->parent.empty(); }, seconds(10)));
  EXPECT_NE(one_.inner(vxlanName(blue({}))).index, 0);
}

TEST_F(NetworksTest, ThisNodesOwnAddressesAreNoPeers) {
  wireV4();
  one_.address("eth0", "172.18.0.66/24");
  one_.start(fast());
  one_.networks().setDesired(
      {blue({peer("two", "172.18.0.2"), peer("thief", "172.18.0.1"), peer("second", "172.18.0.66"),
             peer("all", "172.18.0.255"), peer("many", "224.0.0.7")})});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.settled; }, seconds(5)));
  ASSERT_TRUE(eventually([&] { return one_.inner(vxlanName(blue({}))).index != 0; }));
  EXPECT_EQ(one_.flood(vxlanName(blue({}))), std::vector<IpAddress>{ip("172.18.0.2")});
  const auto snapshot = one_.networks().snapshot();
  const auto& checks = snapshot->find(kUid)->checks;
  const auto told = std::find_if(checks.begin(), checks.end(), [](const Check& check) {
    return check.name == "PeerAddresses" && check.status == CheckStatus::False;
  });
  ASSERT_NE(told, checks.end());
  EXPECT_NE(told->message.find("172.18.0.1 is this node's own"), std::string::npos);
}

TEST_F(NetworksTest, TheNodesNicIsNoUplink) {
  wireV4();
  DesiredNetwork network = blue({});
  network.type = LinkType::Bridge;
  network.uplink = "eth0";
  one_.start(fast());
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(notReady("DeviceInUse"), seconds(5)));
  EXPECT_EQ(netlink::findLink(one_.socket(), {0, "eth0"}).value().master, 0);
  EXPECT_TRUE(one_.networks().snapshot()->find(kUid)->parent.empty());
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, APortThatSomebodyHasIsLeftToHim) {
  wireV4();
  netlink::VxlanSpec foreign;
  foreign.name = "vx-foreign";
  foreign.mac = MacAddress::derive("foreign");
  foreign.mtu = 1450;
  foreign.vxlan.vni = 77;
  foreign.vxlan.port = 8472;
  foreign.vxlan.underlayIndex = one_.index("eth0");
  foreign.vxlan.local = ip("172.18.0.1");
  one_.run(netlink::createVxlan(foreign));
  one_.up("vx-foreign");
  one_.start(fast());
  DesiredNetwork network = blue({});
  network.port = 8472;
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(notReady("PortTaken"), seconds(5)));
  EXPECT_FALSE(guarded(one_));
  const Fd socket = [&] {
    const auto scope = netns::Scope::enter(one_.netns()).value();
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(6081);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    return fd;
  }();
  network.port = 6081;
  one_.networks().setDesired({network});
  EXPECT_TRUE(one_.until(
      [](const Snapshot& s) {
        return s.find(kUid)->message.find("UDP port 6081 is open") != std::string::npos;
      },
      seconds(5)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, TheSwitchIsNobodysBusiness) {
  wireV4();
  startBoth();
  Node pod("pod");
  Node peerPod("peer-pod");
  one_.attach("pod0", pod, bridgeName(blue({})));
  two_.attach("pod0", peerPod, bridgeName(blue({})));
  pod.address("net1", "10.60.0.1/24");
  peerPod.address("net1", "10.60.0.2/24");
  ASSERT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  {
    const auto scope = netns::Scope::enter(one_.netns()).value();
    auto committer = nft::Committer::open().value();
    must(
        committer.commit("flush ruleset\ntable inet strict {\n  chain forward {\n    type filter "
                         "hook forward priority 0; policy drop;\n  }\n}\n"));
    for (const char* key : {"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"}) {
      if (netns::readSysctl(key)) must(netns::writeSysctl(key, "1"));
    }
  }
  EXPECT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  EXPECT_TRUE(eventually([&] { return guarded(one_); })) << "and the guard comes back";
  // Another network with the same subnet, and a pod of the same address.
  DesiredNetwork second = blue({});
  second.name = NetworkName("green");
  second.uid = NetworkUid("another");
  second.vni = 7002;
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")}), second});
  ASSERT_TRUE(eventually([&] { return one_.inner(bridgeName(second)).up; }));
  Node twin("twin");
  one_.attach("pod1", twin, bridgeName(second));
  twin.address("net1", "10.60.0.1/24");
  EXPECT_FALSE(delivers(twin, peerPod, "10.60.0.2", 7777));
  EXPECT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  const auto scope = netns::Scope::enter(one_.switchNetns()).value();
  EXPECT_EQ(netns::readSysctl("ipv6/conf/default/disable_ipv6").value_or("1"), "1");
  EXPECT_EQ(netns::readSysctl("bridge/bridge-nf-call-iptables").value_or("0"), "0");
}

TEST_F(NetworksTest, WhatAnEarlierVersionMadeMovesIntoTheSwitch) {
  wireV4();
  one_.startWithoutSwitch(fast());
  two_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  two_.networks().setDesired({blue({peer("one", "172.18.0.1")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  Node pod("pod");
  Node peerPod("peer-pod");
  one_.attachOnNode("pod0", pod, bridgeName(blue({})));
  two_.attach("pod0", peerPod, bridgeName(blue({})));
  pod.address("net1", "10.60.0.1/24");
  peerPod.address("net1", "10.60.0.2/24");
  ASSERT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_TRUE(reaches(pod, peerPod, "10.60.0.2", 7777));
  EXPECT_TRUE(eventually([&] { return !one_.has(bridgeName(blue({}))); }));
  EXPECT_FALSE(one_.has(vxlanName(blue({}))));
  EXPECT_FALSE(one_.has("pod0"));
  EXPECT_EQ(one_.inner("pod0").master, one_.inner(bridgeName(blue({}))).index);
  EXPECT_TRUE(one_.networks().snapshot()->leftovers.empty());
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(one_.until(ready, seconds(10)));
  EXPECT_EQ(one_.networks().writes(), 0U);
}

TEST_F(NetworksTest, ANetworkOfAnEarlierVersionThatNobodyWantsServesItsPods) {
  wireV4();
  one_.startWithoutSwitch(fast());
  one_.networks().setDesired({blue({peer("two", "172.18.0.2")})});
  ASSERT_TRUE(eventually([&] { return one_.has(vxlanName(blue({}))); }));
  Node pod("pod");
  one_.attachOnNode("pod0", pod, bridgeName(blue({})));
  one_.stop();
  one_.start(fast());
  one_.networks().setDesired({});
  ASSERT_TRUE(one_.until([](const Snapshot& s) { return s.leftovers.size() == 1; }, seconds(5)));
  EXPECT_TRUE(one_.has(vxlanName(blue({}))));
  EXPECT_TRUE(guarded(one_));
  one_.run(netlink::deleteLink({0, "pod0"}));
  EXPECT_TRUE(eventually([&] { return !one_.has(bridgeName(blue({}))); }));
}

}  // namespace
}  // namespace multinet::agent::networks
