// Nodes as namespaces, each with a switch: what tests on the real kernel wire together.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>

#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/neighbour.h"
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"
#include "lib/nft/committer.h"
#include "nodeagent/drivers/op.h"
#include "nodeagent/networks/kernel_networks.h"
#include "nodeagent/networks/test_networks.h"

namespace multinet::agent::networks {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

inline IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

inline void must(const Status& status) {
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
    std::vector<IpAddress> remotes;
    for (const netlink::FdbEntry& entry : entriesOf(tunnel)) {
      if (entry.floods()) remotes.push_back(*entry.remote);
    }
    return remotes;
  }
  std::vector<netlink::FdbEntry> entriesOf(const std::string& link) {
    auto entries = netlink::findFdb(inner_).value_or(std::vector<netlink::FdbEntry>{});
    const int index = inner(link).index;
    std::erase_if(entries, [&](const auto& entry) { return entry.linkIndex != index; });
    return entries;
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

inline const NetworkUid kUid("6f9619ff-8b86-d011-b42d-00cf4fc964ff");

inline Peer peer(const std::string& node, const std::string& underlay) {
  return {NodeName(node), {ip(underlay)}, bridgeMac(NodeName(node), kUid)};
}

inline DesiredNetwork blue(std::vector<Peer> peers) {
  return testTunnel("blue", kUid.str(), std::move(peers));
}

inline bool ready(const Snapshot& snapshot) {
  const auto* state = snapshot.find(kUid);
  if (state == nullptr || state->ready != CheckStatus::True) return false;
  return std::all_of(state->checks.begin(), state->checks.end(),
                     [](const Check& check) { return check.status == CheckStatus::True; });
}
inline std::function<bool(const Snapshot&)> notReady(const std::string& reason) {
  return [reason](const Snapshot& snapshot) {
    const auto* state = snapshot.find(kUid);
    return state != nullptr && state->ready == CheckStatus::False && state->reason == reason;
  };
}

inline bool eventually(const std::function<bool()>& wanted) {
  const auto limit = steady_clock::now() + seconds(10);
  while (steady_clock::now() < limit) {
    if (wanted()) return true;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

/// Sends one UDP packet of `size` bytes that nobody may fragment; true where it arrives.
inline bool delivers(Node& from, Node& to, const std::string& address, std::uint16_t port,
                     std::size_t size = 1) {
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
  const int whole = IP_PMTUDISC_DO;
  EXPECT_EQ(::setsockopt(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole), 0);
  const std::string packet(size, 'x');
  const auto limit = steady_clock::now() + milliseconds(600);
  while (steady_clock::now() < limit) {
    static_cast<void>(::sendto(fd.get(), packet.data(), packet.size(), 0,
                               reinterpret_cast<sockaddr*>(&target), sizeof target));
    char byte = 0;
    if (::recv(bound.get(), &byte, 1, 0) == 1 && byte == 'x') return true;  // no probe of a node
    std::this_thread::sleep_for(milliseconds(20));
  }
  return false;
}

/// The first ARP request may get lost while links come up; the next one follows after a second.
inline bool reaches(Node& from, Node& to, const std::string& address, std::uint16_t port,
                    std::size_t size = 1) {
  return eventually([&] { return delivers(from, to, address, port, size); });
}

/// Four times as fast as in service; the tests of the limits themselves use the defaults.
inline NetworksOptions fast() {
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

inline bool readyAsBridge(const Snapshot& snapshot) {
  const auto* state = snapshot.find(kUid);
  return state != nullptr && state->ready == CheckStatus::True;
}

inline bool guarded(Node& node) {
  const auto scope = netns::Scope::enter(node.netns()).value();
  return nft::Committer::open().value().exists("multinet").value();
}

}  // namespace multinet::agent::networks
