// What neighbours on the wire see of an interface: who answers, by which way, and how soon they
// learn of a new MAC.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "lib/netns/packet_socket.h"
#include "nodeagent/attach/announcement.h"
#include "nodeagent/attach/source_route.h"
#include "nodeagent/attach/test_host.h"

namespace multinet::agent::attach {
namespace {

using namespace std::chrono_literals;

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socketAddress(const IpAddress& address, std::uint16_t port) {
  SocketAddress made;
  const auto bytes = address.bytes();
  if (address.isV4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes.data(), 4);
    std::memcpy(&made.storage, &v4, sizeof v4);
    made.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, bytes.data(), 16);
    std::memcpy(&made.storage, &v6, sizeof v6);
    made.size = sizeof v6;
  }
  return made;
}

Fd socketIn(const Fd& netns, int family, int type) {
  const auto scope = netns::Scope::enter(netns).value();
  return Fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/// A namespace whose `nic` is a port of the bridge.
class Machine {
 public:
  Machine(TestHost& host, const std::string& port)
      : netns(netns::make().value()), host_(host), port_(port) {
    host.makePair(port, "nic", netns);
    const int bridge = netlink::findLink(host.socket(), {0, "br-test"}).value().index;
    TestHost::run(host.socket(), netlink::setMaster({0, port}, bridge));
    socket.emplace(TestHost::socketIn(netns));
    nic = netlink::findLink(*socket, {0, "nic"}).value().index;
    TestHost::run(*socket, netlink::setUp({nic, "nic"}));
    TestHost::run(*socket, netlink::setUp({0, "lo"}));
  }
  ~Machine() { host_.removeLink(port_); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  void have(const std::string& address) const {
    TestHost::run(*socket, netlink::addAddress(nic, InterfaceAddress::parse(address).value()));
  }
  /// Any datagram: the kernel asks who has the address.
  void send(const IpAddress& to) const {
    const Fd fd = socketIn(netns, to.isV4() ? AF_INET : AF_INET6, SOCK_DGRAM);
    const SocketAddress target = socketAddress(to, 9);
    static_cast<void>(::sendto(fd.get(), "x", 1, 0, target.get(), target.size));
  }
  /// What it believes: none while it asks.
  [[nodiscard]] std::optional<MacAddress> neighbour(const IpAddress& address) const {
    ndmsg header{};
    header.ndm_family = address.isV4() ? AF_INET : AF_INET6;
    netlink::Message message(RTM_GETNEIGH, NLM_F_DUMP);
    message.header(header);
    std::optional<MacAddress> found;
    static_cast<void>(
        socket->dump({std::move(message), "list neighbours"}, [&](const netlink::Frame& frame) {
          const auto attributes = netlink::Attributes::parse(frame.payload, sizeof header).value();
          if (attributes.ip(NDA_DST) == address) found = attributes.mac(NDA_LLADDR);
        }));
    return found;
  }
  [[nodiscard]] bool learns(const IpAddress& address, const MacAddress& mac,
                            std::chrono::milliseconds within) const {
    const auto end = std::chrono::steady_clock::now() + within;
    while (neighbour(address) != mac) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }

  Fd netns;
  mutable std::optional<netlink::Socket> socket;
  int nic = 0;

 private:
  TestHost& host_;
  std::string port_;
};

TEST(Announcements, ANeighbourOfTheOldMacReachesTheNewOneAtOnce) {
  TestHost host;
  const Machine neighbour(host, "neigh0");
  neighbour.have("10.20.0.200/16");
  neighbour.have("fd00:20::200/64");
  const Fd first = netns::make().value();
  const Desired before{IntentId("a"), {testBridgePlan("net1", 5)}};
  const auto attached = host.attach(before, first);
  ASSERT_TRUE(attached) << attached.error().message;
  const InterfacePlan& plan = before.interfaces[0];
  for (const AddressPlan& address : plan.addresses) {
    neighbour.send(address.address.address);
    ASSERT_TRUE(neighbour.learns(address.address.address, plan.mac, 5s));
  }
  ASSERT_TRUE(host.detach(before, first));

  Desired after = before;
  after.intent = IntentId("b");
  after.interfaces[0].mac = MacAddress::derive("another");
  const Fd second = netns::make().value();
  ASSERT_TRUE(host.attach(after, second));
  // By itself the kernel asks again after about half a minute.
  for (const AddressPlan& address : plan.addresses) {
    EXPECT_TRUE(neighbour.learns(address.address.address, after.interfaces[0].mac, 4s))
        << address.address.str();
  }
}

TEST(Announcements, ARepairIsAnnouncedToo) {
  TestHost host;
  const Machine neighbour(host, "neigh0");
  neighbour.have("10.20.0.200/16");
  const Fd pod = netns::make().value();
  const Desired desired{IntentId("a"), {testBridgePlan("net1", 5)}};
  ASSERT_TRUE(host.attach(desired, pod));
  std::this_thread::sleep_for(3500ms);  // the attach's own announcements are over
  const IpAddress address = desired.interfaces[0].addresses[0].address.address;
  Pod inside = TestHost::open(pod);
  TestHost::run(inside.socket(), netlink::setMac({0, "net1"}, MacAddress::derive("forged")));
  neighbour.send(address);
  ASSERT_TRUE(neighbour.learns(address, MacAddress::derive("forged"), 5s));
  ASSERT_TRUE(host.maintain(desired, pod));
  EXPECT_TRUE(neighbour.learns(address, desired.interfaces[0].mac, 4s));
}

TEST(ArpAnswers, OnlyTheInterfaceThatHasTheAddress) {
  TestHost host;
  const Fd pod = netns::make().value();
  const Desired desired{
      IntentId("a"),
      {testMacvlanPlan("net1", "10.30.0.", 6), testMacvlanPlan("net2", "10.31.0.", 7)}};
  const auto attached = host.attach(desired, pod);
  ASSERT_TRUE(attached) << attached.error().message;
  const auto scope = netns::Scope::enter(host.wire()).value();
  netlink::Socket wire = netlink::Socket::open().value();
  const auto parent1 = netlink::findLink(wire, {0, "parent1"}).value();
  auto arp = netns::PacketSocket::open(parent1.index, ETHERTYPE_ARP).value();
  // "Who has 10.31.0.7, tell 10.31.0.200": an announcement with another target.
  auto question = announcementOf(ip("10.31.0.200"), parent1.mac).frame;
  const auto target = ip("10.31.0.7").bytes();
  std::copy(target.begin(), target.begin() + 4, question.payload.end() - 4);
  std::set<MacAddress> answered;
  const auto hear = [&] {
    arp.drain(64, [&](const netns::EthernetFrame& frame) {
      if (frame.payload.size() >= 28 && frame.payload[7] == 2) answered.insert(frame.from);
    });
  };
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(arp.send(question));
    const auto end = std::chrono::steady_clock::now() + (answered.empty() ? 2s : 100ms);
    while (std::chrono::steady_clock::now() < end) {
      hear();
      if (answered.size() == 1 && round == 0) break;
      std::this_thread::sleep_for(2ms);
    }
  }
  EXPECT_EQ(answered, std::set<MacAddress>{desired.interfaces[1].mac});
}

/// A pod with eth0, whose default route leads nowhere, and net1; a router with a host behind it.
class SourceRouting : public testing::Test {
 protected:
  SourceRouting() : router_(host_, "router0"), pod_(netns::make().value()) {
    for (const char* own :
         {"10.20.255.1/16", "fd00:20::ff:1/64", "198.51.100.7/32", "2001:db8::7/128"}) {
      router_.have(own);
    }
    host_.makePair("cluster0", "eth0", pod_);
    Pod inside = TestHost::open(pod_);
    eth0_ = netlink::findLink(inside.socket(), {0, "eth0"}).value().index;
    TestHost::run(inside.socket(), netlink::setUp({eth0_, "eth0"}));
    for (const auto& [address, gateway] :
         {std::pair{"10.244.1.9/24", "10.244.1.1"}, std::pair{"fd00:244::9/64", "fd00:244::1"}}) {
      TestHost::run(inside.socket(),
                    netlink::addAddress(eth0_, InterfaceAddress::parse(address).value()));
      netlink::RouteInfo route;
      route.via = ip(gateway);
      route.to = IpPrefix(IpAddress(route.via->family(), 0), 0);
      route.linkIndex = eth0_;
      TestHost::run(inside.socket(), netlink::addRoute(route));
    }
  }
  ~SourceRouting() override { host_.removeLink("cluster0"); }

  /// Whether a connection from the host behind the router to the pod's net1 comes about.
  [[nodiscard]] bool connects(const std::string& from, const std::string& to) const {
    const IpAddress source = ip(from);
    const int family = source.isV4() ? AF_INET : AF_INET6;
    const Fd listener = socketIn(pod_, family, SOCK_STREAM);
    const SocketAddress any = socketAddress(IpAddress(source.family(), 0), 8080);
    const int yes = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(listener.get(), any.get(), any.size) != 0 || ::listen(listener.get(), 1) != 0) {
      return false;
    }
    const Fd client = socketIn(router_.netns, family, SOCK_STREAM);
    const SocketAddress local = socketAddress(source, 0);
    if (::bind(client.get(), local.get(), local.size) != 0) return false;
    const SocketAddress target = socketAddress(ip(to), 8080);
    static_cast<void>(::connect(client.get(), target.get(), target.size));
    pollfd ready{client.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 4000) != 1) return false;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0;
  }

  TestHost host_;
  Machine router_;
  Fd pod_;
  int eth0_ = 0;
  Desired desired_{IntentId("a"), {testBridgePlan("net1", 5)}};
};

TEST_F(SourceRouting, AnswersLeaveByTheInterfaceThatWasAsked) {
  const auto attached = host_.attach(desired_, pod_);
  ASSERT_TRUE(attached) << attached.error().message;
  EXPECT_TRUE(connects("198.51.100.7", "10.20.0.5"));
  EXPECT_TRUE(connects("2001:db8::7", "fd00:20::5"));
  // What the pod starts itself goes the cluster's way.
  Pod inside = TestHost::open(pod_);
  for (const char* far : {"198.51.100.7", "2001:db8::7"}) {
    EXPECT_EQ(netlink::lookUpRoute(inside.socket(), ip(far)).value().linkIndex, eth0_) << far;
  }
  EXPECT_EQ(netlink::findRules(inside.socket()).value().size(), 2U);
}

TEST_F(SourceRouting, WithoutThemTheConnectionFails) {
  // That the test above can fail: with the rules gone the answer goes to eth0.
  ASSERT_TRUE(host_.attach(desired_, pod_));
  Pod inside = TestHost::open(pod_);
  const auto rules = netlink::findRules(inside.socket()).value();
  for (const auto& rule : rules) {
    TestHost::run(inside.socket(), netlink::removeRule(rule));
  }
  EXPECT_FALSE(connects("198.51.100.7", "10.20.0.5"));
}

TEST_F(SourceRouting, AFailedAttachTakesThemBack) {
  desired_.interfaces.push_back(testMacvlanPlan("net2", "10.20.0.", 9));
  desired_.interfaces[1].routes = {{IpPrefix::parse("10.99.0.0/16").value(), ip("192.0.2.1")}};
  ASSERT_FALSE(host_.attach(desired_, pod_));
  Pod inside = TestHost::open(pod_);
  EXPECT_TRUE(netlink::findRules(inside.socket()).value().empty());
  EXPECT_TRUE(netlink::findRoutes(inside.socket(), 0, kSourceTableBase).value().empty());
}

}  // namespace
}  // namespace multinet::agent::attach
