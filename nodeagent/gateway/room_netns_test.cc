// Gateways of two networks with the same addresses, in the test's own namespace as the node's, with
// rules such as kube-proxy's beside them.
#include "nodeagent/gateway/room.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <tuple>

#include "lib/nft/committer.h"
#include "nodeagent/gateway/test_node.h"
#include "nodeagent/model/gateway_ports.h"

namespace multinet::agent::gateway {
namespace {

class GatewayTest : public testing::Test {
 protected:
  /// A network: its gateway's port, and an endpoint.
  struct Net {
    NetworkUid uid;
    Pair pair;
    Room room;
    bool hasIpv6 = false;
    Fd endpoint = netns::make().value();
    std::unique_ptr<Server> server{};
    std::unique_ptr<Server> server6{};
  };

  GatewayTest() {
    join(here_, "out0", {"10.9.0.1/24", "fd09::1/64"}, client_, "in0",
         {"10.9.0.2/24", "fd09::2/64"});
    auto inside = socketIn(client_);
    const auto in0 = netlink::findLink(inside, {0, "in0"}).value();
    for (const auto& [to, via] :
         {std::pair("0.0.0.0/0", "10.9.0.1"), std::pair("::/0", "fd09::1")}) {
      must(inside.run(routeTo(to, via, in0.index)));
    }
    must(node_.run(netlink::setUp({0, "lo"})));
    const auto out0 = netlink::findLink(node_, {0, "out0"}).value();
    must(node_.run(routeTo("0.0.0.0/0", "10.9.0.77", out0.index)));
    must(netns::writeSysctl("ipv4/ip_forward", "1"));
    must(netns::writeSysctl("ipv6/conf/all/forwarding", "1"));
    // As kube-proxy's, which knows nothing of our services: NodePorts are somebody else's, and what
    // it has no service for is dropped.
    must(other_.commit(
        "table ip kube-proxy {\n"
        "  chain nat { type nat hook prerouting priority -100; tcp dport 30080 dnat to 10.9.0.77\n "
        "}\n"
        "  chain nat-out { type nat hook output priority -100; tcp dport 30080 dnat to 10.9.0.77\n "
        "}\n"
        "  chain forward { type filter hook forward priority 0; ip daddr 10.96.0.0/12 drop\n }\n"
        "  chain output { type filter hook output priority 0; ip daddr 10.96.0.0/12 drop\n }\n"
        "}\n"));
  }
  ~GatewayTest() override {
    static_cast<void>(clearGateways(directory_));
    static_cast<void>(other_.commit("flush ruleset\n"));
    static_cast<void>(node_.run(netlink::deleteLink({0, "out0"})));
  }

  Net makeNet(const std::string& name, unsigned number) {
    const NetworkUid uid("uid-" + name);
    Net net{uid, pairOf(uid, number), Room::open(pathOf(directory_, uid), {}).value()};
    net.hasIpv6 = net.room.wire(node_, uid, net.pair).value();
    join(net.room.netns(), "net1", {"10.20.0.1/16", "fd20::1/64"}, net.endpoint, "net1",
         {"10.20.0.5/16", "fd20::5/64"});
    net.server = std::make_unique<Server>(net.endpoint, name, "10.20.0.5", 8080);
    net.server6 = std::make_unique<Server>(net.endpoint, name, "fd20::5", 8080);
    return net;
  }

  static Way way(const std::string& name, std::vector<Entrance> entrances,
                 const std::string& target = "10.20.0.5") {
    Way made{name};
    made.family = ip(target).family();
    made.entrances = std::move(entrances);
    made.targets = {{ip(target), 8080}};
    return made;
  }

  Opened open(Net& net, const std::vector<Way>& ways) {
    const WayPorts ports = portsFor(ways, {});
    EXPECT_TRUE(net.room.put(gatewayTable(ways, ports), clock_.now()).value());
    return {net.pair, net.hasIpv6, ways, ports};
  }
  void commit(const std::vector<Opened>& opened) {
    const auto table = nodeTable(opened, {}, {ip("10.96.0.5"), ip("10.96.0.6"), ip("fd96::5")});
    must(rules_.isCommitted(table, clock_.now()).value() ? Status() : rules_.commit(table));
  }

  SystemClock clock_;
  const std::string directory_ = ownDirectory();
  Fd here_ = netns::openOwn().value();
  Fd client_ = netns::make().value();
  netlink::Socket node_ = netlink::Socket::open().value();
  nft::Committer other_ = nft::Committer::open().value();
  nft::TableKeeper rules_ = nft::TableKeeper::open({}).value();
};

TEST_F(GatewayTest, LeadIntoNetworksThatHaveTheSameAddresses) {
  Net blue = makeNet("blue", 0);
  Net green = makeNet("green", 1);
  const auto toBlue =
      open(blue, {way("a", {{std::nullopt, 30080}}), way("b", {{ip("10.96.0.5"), 80}}),
                  way("c", {{ip("192.0.2.1"), 80},
                            {ip("192.0.2.2"), 80, {IpPrefix::parse("10.9.0.0/16").value()}}}),
                  way("six", {{std::nullopt, 30080}, {ip("fd96::5"), 80}}, "fd20::5")});
  const auto toGreen = open(green, {way("a", {{std::nullopt, 30081}})});
  commit({toBlue, toGreen});
  for (const Fd* from : {&client_, &here_}) {
    EXPECT_EQ(ask(*from, "10.9.0.1", 30080), "blue 10.20.0.1") << "the gateway's own address";
    EXPECT_EQ(ask(*from, "10.9.0.1", 30081), "green 10.20.0.1");
    EXPECT_EQ(ask(*from, "fd09::1", 30080), "blue fd20::1");
  }
  EXPECT_EQ(ask(client_, "10.96.0.5", 80), "blue 10.20.0.1");
  EXPECT_EQ(ask(client_, "fd96::5", 80), "blue fd20::1");
  EXPECT_EQ(ask(client_, "192.0.2.1", 80), "blue 10.20.0.1");
  EXPECT_EQ(ask(client_, "192.0.2.2", 80), "blue 10.20.0.1") << "within its source ranges";
  EXPECT_EQ(ask(client_, "10.96.0.5", 81), kRefused) << "no such port";
  EXPECT_EQ(ask(client_, "10.96.0.6", 80), kRefused) << "not for whoever isn't on the network";
  EXPECT_EQ(ask(here_, "10.96.0.6", 80), kRefused) << "nor for the node";
  EXPECT_EQ(ask(client_, "10.9.0.1", 30082), kRefused);
  EXPECT_EQ(ask(client_, "10.96.7.7", 80, 500), "timed out") << "as kube-proxy has it for others";
}

TEST_F(GatewayTest, RefuseAtOnceWhatHasNoEndpoint) {
  Net blue = makeNet("blue", 0);
  Way none = way("a", {{std::nullopt, 30080}, {ip("10.96.0.5"), 80}, {ip("192.0.2.1"), 80}});
  none.targets.clear();
  commit({open(blue, {none})});
  EXPECT_EQ(ask(client_, "10.96.0.5", 80), kRefused);
  EXPECT_EQ(ask(client_, "192.0.2.1", 80), kRefused);
}

TEST_F(GatewayTest, AreTheNodesWayInAndNobodysWayOut) {
  Net blue = makeNet("blue", 0);
  commit({open(blue, {way("a", {{std::nullopt, 30080}})})});
  Server node(here_, "node", "10.9.0.1", 9000);
  auto inside = socketIn(blue.endpoint);
  const auto net1 = netlink::findLink(inside, {0, "net1"}).value();
  must(inside.run(routeTo("0.0.0.0/0", "10.20.0.1", net1.index)));
  must(inside.run(routeTo("169.254.0.0/16", "10.20.0.1", net1.index)));
  EXPECT_NE(ask(blue.endpoint, "169.254.208.1", 9000, 500).substr(0, 4), "node");
  EXPECT_NE(ask(blue.endpoint, "10.9.0.1", 9000, 500).substr(0, 4), "node");
}

/// The port that a server sees of a connection; `from`: the client's own. 0: there is none.
std::uint16_t portSeen(const Fd& server, const Fd& client, const std::string& to,
                       std::uint16_t port, std::uint16_t from) {
  const SocketAddress at(ip("10.20.0.5"), 8081);
  Fd listening;
  {
    const auto scope = netns::Scope::enter(server).value();
    listening = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  const int on = 1;
  ::setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listening.get(), at.get(), at.size) != 0 || ::listen(listening.get(), 1) != 0)
    return 0;
  Fd asking;
  {
    const auto scope = netns::Scope::enter(client).value();
    asking = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  const SocketAddress own(IpAddress::fromV4({0, 0, 0, 0}), from);
  if (from != 0 && ::bind(asking.get(), own.get(), own.size) != 0) return 0;
  const SocketAddress target(ip(to), port);
  static_cast<void>(::connect(asking.get(), target.get(), target.size));
  pollfd polled{listening.get(), POLLIN, 0};
  if (::poll(&polled, 1, kPatience) <= 0) return 0;
  sockaddr_in seen{};
  socklen_t size = sizeof seen;
  const Fd accepted(::accept(listening.get(), reinterpret_cast<sockaddr*>(&seen), &size));
  // Nobody's next connection finds the port taken.
  const linger none{1, 0};
  ::setsockopt(asking.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  return ntohs(seen.sin_port);
}

TEST_F(GatewayTest, TellTheirChecksFromClientsByThePort) {
  Net blue = makeNet("blue", 0);
  Way made = way("a", {{std::nullopt, 30080}});
  made.targets = {{ip("10.20.0.5"), 8081}};
  commit({open(blue, {made})});
  for (const std::uint16_t from : std::initializer_list<std::uint16_t>{511, 512, 700, 1023}) {
    EXPECT_GE(portSeen(blue.endpoint, client_, "10.9.0.1", 30080, from), kFirstClientPort) << from;
  }
  EXPECT_EQ(portSeen(blue.endpoint, client_, "10.9.0.1", 30080, 40001), 40001);
  for (int again = 0; again < 8; ++again) {
    const auto seen = portSeen(blue.endpoint, blue.room.netns(), "10.20.0.5", 8081, 0);
    EXPECT_GE(seen, kFirstCheckPort);
    EXPECT_LE(seen, kLastCheckPort);
  }
}

/// A connection that stays.
class Held {
 public:
  Held(const Fd& server, const Fd& client, const std::string& at, const std::string& to,
       std::uint16_t port) {
    const SocketAddress here(ip(at), 8082);
    const Fd listening = open(server, here.family());
    if (::bind(listening.get(), here.get(), here.size) != 0 || ::listen(listening.get(), 1) != 0) {
      throw std::runtime_error("listen");
    }
    const SocketAddress there(ip(to), port);
    client_ = open(client, there.family());
    static_cast<void>(::connect(client_.get(), there.get(), there.size));
    pollfd polled{listening.get(), POLLIN, 0};
    if (::poll(&polled, 1, kPatience) != 1) throw std::runtime_error("nobody comes");
    sockaddr_storage seen{};
    socklen_t size = sizeof seen;
    server_ = Fd(::accept(listening.get(), reinterpret_cast<sockaddr*>(&seen), &size));
    const bool isV4 = seen.ss_family == AF_INET;
    port_ = ntohs(isV4 ? reinterpret_cast<sockaddr_in*>(&seen)->sin_port
                       : reinterpret_cast<sockaddr_in6*>(&seen)->sin6_port);
  }
  /// Its client's, as the server sees it.
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Whether the server hears the client, each wait so many ms; what it missed before, too.
  bool hears(int patience) {
    static_cast<void>(::send(client_.get(), "x", 1, MSG_NOSIGNAL));
    ++missing_;
    while (missing_ > 0) {
      pollfd polled{server_.get(), POLLIN, 0};
      if (::poll(&polled, 1, patience) != 1) return false;
      char heard[100];
      const auto got = ::recv(server_.get(), heard, sizeof heard, 0);
      if (got <= 0) return false;
      missing_ -= got;
    }
    return true;
  }

 private:
  static Fd open(const Fd& netns, int family) {
    const auto scope = netns::Scope::enter(netns).value();
    Fd made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return made;
  }

  Fd client_;
  Fd server_;
  std::uint16_t port_ = 0;
  std::int64_t missing_ = 0;  ///< bytes that were sent and not heard
};

TEST_F(GatewayTest, ClientsWhomPoliciesAdmitAreToldByTheirPort) {
  Net blue = makeNet("blue", 0);
  const auto isJudged = [](std::uint16_t port) {
    return port >= kFirstJudgedPort && port <= kLastJudgedPort;
  };
  const auto ranges = [](const std::string& text) {
    const IpPrefix prefix = IpPrefix::parse(text).value();
    return policy::Ranges{{prefix.first(), prefix.last()}};
  };
  for (const auto& [target, node, one, other, all] :
       {std::tuple("10.20.0.5", "10.9.0.1", "10.9.0.2/32", "10.9.0.3/32", "0.0.0.0/0"),
        std::tuple("fd20::5", "fd09::1", "fd09::/64", "fd0a::/64", "::/0")}) {
    const IpAddress balanced = ip(ip(target).isV4() ? "192.0.2.1" : "2001:db8::1");
    Way made = way("a", {{std::nullopt, 30080}, {balanced, 80}}, target);
    made.targets = made.here = {{ip(target), 8082}};
    const auto admit = [&](policy::Ranges clients) {
      made.clients = std::move(clients);
      const WayPorts ports = portsFor({made}, {});
      const auto put = blue.room.put(gatewayTable({made}, ports), clock_.now());
      ASSERT_TRUE(put) << put.error().message;
      commit({{blue.pair, blue.hasIpv6, {made}, ports}});
    };
    const auto seen = [&](const Fd& from, const std::string& to, std::uint16_t port) {
      return Held(blue.endpoint, from, target, to, port).port();
    };
    admit({});
    EXPECT_GE(seen(client_, node, 30080), kFirstClientPort);
    for (const char* const text : {one, all}) {
      admit(ranges(text));
      EXPECT_TRUE(isJudged(seen(client_, node, 30080))) << text;
      EXPECT_TRUE(isJudged(seen(client_, balanced.str(), 80))) << text;
    }
    EXPECT_TRUE(isJudged(seen(here_, node, 30080))) << "a node is a client, too";
    const auto table = nodeTable({{blue.pair, blue.hasIpv6, {made}, portsFor({made}, {})}}, {},
                                 {ip("10.96.0.5"), ip("10.96.0.6"), ip("fd96::5")});
    EXPECT_TRUE(rules_.isCommitted(table, clock_.now()).value()) << "as nft lists it";
    admit(ranges(other));
    EXPECT_GE(seen(client_, node, 30080), kFirstClientPort);

    admit(ranges(one));
    Held held(blue.endpoint, client_, target, node, 30080);
    EXPECT_TRUE(held.hears(kPatience));
    // No longer, and it isn't anybody's way in.
    for (const policy::Ranges& less : {ranges(other), policy::Ranges{}}) {
      admit(less);
      EXPECT_FALSE(held.hears(300));
    }
    admit(ranges(one));
    EXPECT_TRUE(held.hears(kPatience)) << "TCP repeats it";
    // Its endpoint isn't one any more, and nobody asks its policies.
    made.here = {{ip(ip(target).isV4() ? "10.20.0.6" : "fd20::6"), 8082}};
    admit(ranges(one));
    EXPECT_FALSE(held.hears(300));
    made.here = {{ip(target), 8082}};
    // An endpoint that is led to no more keeps its connections as long as it admits them.
    made.targets.clear();
    admit(ranges(one));
    EXPECT_TRUE(held.hears(kPatience));
  }
}

/// What a datagram socket of the client gets back, by a socket that stays.
class Sender {
 public:
  Sender(const Fd& netns, const std::string& address, std::uint16_t port) : to_(ip(address), port) {
    const auto scope = netns::Scope::enter(netns).value();
    socket_ = Fd(::socket(to_.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  }
  std::string ask(int patience = kPatience) {
    static_cast<void>(::sendto(socket_.get(), "x", 1, 0, to_.get(), to_.size));
    pollfd polled{socket_.get(), POLLIN, 0};
    if (::poll(&polled, 1, patience) <= 0) return "timed out";
    char text[100];
    const auto got = ::recv(socket_.get(), text, sizeof text, 0);
    return got < 0 ? std::strerror(errno) : std::string(text, static_cast<std::size_t>(got));
  }

 private:
  SocketAddress to_;
  Fd socket_;
};

/// Answers each datagram with its name.
class Echo {
 public:
  Echo(const Fd& netns, std::string name, const std::string& address, std::uint16_t port)
      : name_(std::move(name)) {
    const SocketAddress at(ip(address), port);
    const auto scope = netns::Scope::enter(netns).value();
    socket_ = Fd(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (::bind(socket_.get(), at.get(), at.size) != 0) throw std::runtime_error("bind");
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        pollfd polled{socket_.get(), POLLIN, 0};
        if (::poll(&polled, 1, 50) <= 0) continue;
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        char ignored[10];
        static_cast<void>(::recvfrom(socket_.get(), ignored, sizeof ignored, 0,
                                     reinterpret_cast<sockaddr*>(&from), &size));
        static_cast<void>(::sendto(socket_.get(), name_.data(), name_.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), size));
      }
    });
  }

 private:
  const std::string name_;
  Fd socket_;
  std::jthread thread_;
};

// The sender is one that never gives up, and never takes another port.
TEST_F(GatewayTest, UdpGoesOnToAnotherEndpoint) {
  Net blue = makeNet("blue", 0);
  auto inside = socketIn(blue.endpoint);
  const auto net1 = netlink::findLink(inside, {0, "net1"}).value();
  must(inside.run(netlink::addAddress(net1.index, on("10.20.0.6/16"))));
  const Echo one(blue.endpoint, "one", "10.20.0.5", 5353);
  const Echo two(blue.endpoint, "two", "10.20.0.6", 5353);
  Sender sender(client_, "10.9.0.1", 30053);
  EXPECT_EQ(sender.ask(500), "timed out") << "before there is a service";
  Way dns{"dns"};
  dns.transport = Transport::Udp;
  dns.entrances = {{std::nullopt, 30053}};
  const auto lead = [&](const std::string& to) {
    dns.targets = {{ip(to), 5353}};
    const auto opened = open(blue, {dns});
    commit({opened});
    EXPECT_TRUE(blue.room.endFlows(GatewayFlows(opened.ways, opened.ports)));
    const NodeFlows flows({opened});
    EXPECT_TRUE(
        netlink::endUdpFlows([&](const netlink::UdpFlow& flow) { return flows.isStale(flow); }));
  };
  lead("10.20.0.5");
  EXPECT_EQ(sender.ask(), "one");
  lead("10.20.0.6");
  EXPECT_EQ(sender.ask(), "two");
}

/// Two endpoints of both families on `blue`, `one` and `two`.
class KeepingTest : public GatewayTest {
 protected:
  KeepingTest() {
    auto inside = socketIn(blue_.endpoint);
    const auto net1 = netlink::findLink(inside, {0, "net1"}).value();
    for (const char* more : {"10.20.0.6/16", "10.20.0.7/16", "fd20::6/64", "fd20::7/64"}) {
      must(inside.run(netlink::addAddress(net1.index, on(more))));
    }
    for (const auto& [name, address] :
         {std::pair("one", "10.20.0.6"), std::pair("two", "10.20.0.7"), std::pair("one", "fd20::6"),
          std::pair("two", "fd20::7")}) {
      servers_.push_back(std::make_unique<Server>(blue_.endpoint, name, address, 8080));
      echoes_.push_back(std::make_unique<Echo>(blue_.endpoint, name, address, 8080));
    }
    auto client = socketIn(client_);
    const auto in0 = netlink::findLink(client, {0, "in0"}).value();
    for (unsigned i = 0; i < kClients; ++i) {
      must(client.run(netlink::addAddress(in0.index, on(clientOf(i) + "/24"))));
    }
  }

  static constexpr unsigned kClients = 16;
  static std::string clientOf(unsigned number) { return "10.9.0." + std::to_string(100 + number); }

  /// At port 30080 of the node, in each family and protocol.
  std::vector<Way> ways(std::uint32_t seconds, const std::vector<std::string>& names) const {
    std::vector<Way> all;
    for (const auto& [family, base] :
         {std::pair(IpFamily::V4, "10.20.0."), std::pair(IpFamily::V6, "fd20::")}) {
      for (const Transport transport : {Transport::Tcp, Transport::Udp}) {
        Way way{std::string(base) + std::to_string(static_cast<int>(transport))};
        way.family = family;
        way.transport = transport;
        way.entrances = {{std::nullopt, 30080}};
        way.affinity = seconds;
        for (const std::string& name : names) {
          way.targets.push_back({ip(base + std::string(name == "one" ? "6" : "7")), 8080});
        }
        all.push_back(way);
      }
    }
    return all;
  }
  void lead(const std::vector<Way>& ways) {
    const WayPorts ports = portsFor(ways, {});
    const auto put = blue_.room.put(gatewayTable(ways, ports), clock_.now());
    if (!put) throw std::runtime_error(put.error().message);
    commit({{blue_.pair, blue_.hasIpv6, ways, ports}});
  }
  /// The endpoint that a client gets.
  std::string asks(const std::string& at, const std::string& from = "") {
    const std::string got = ask(client_, at, 30080, kPatience, from);
    return got.substr(0, got.find(' '));
  }
  std::string sends(const std::string& at) { return Sender(client_, at, 30080).ask(); }

  /// How many clients are remembered.
  std::size_t kept() {
    const auto scope = netns::Scope::enter(blue_.room.netns()).value();
    const auto listed = nft::Committer::open().value().list(gatewayTable({}, {})).value();
    return listed->sets.at("had").size();
  }

  Net blue_ = makeNet("blue", 0);
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<Echo>> echoes_;
};

TEST_F(KeepingTest, AClientKeepsItsEndpointInEachFamilyAndProtocol) {
  lead(ways(10800, {"one", "two"}));
  std::set<std::string> seen;
  for (unsigned i = 0; i < kClients; ++i) {
    const std::string first = asks("10.9.0.1", clientOf(i));
    for (int again = 0; again < 4; ++again) EXPECT_EQ(asks("10.9.0.1", clientOf(i)), first);
    seen.insert(first);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"one", "two"})) << "clients aren't one client";
  const std::string six = asks("fd09::1");
  const std::string udp = sends("10.9.0.1");
  const std::string udp6 = sends("fd09::1");
  const std::string node = ask(here_, "10.9.0.1", 30080);
  for (int again = 0; again < 12; ++again) {
    EXPECT_EQ(asks("fd09::1"), six);
    EXPECT_EQ(sends("10.9.0.1"), udp);
    EXPECT_EQ(sends("fd09::1"), udp6);
    EXPECT_EQ(ask(here_, "10.9.0.1", 30080), node) << "a node is a client, too";
  }
}

TEST_F(KeepingTest, AClientWhoseEndpointGoesKeepsTheNext) {
  const auto both = ways(10800, {"one", "two"});
  lead(both);
  const std::string first = asks("10.9.0.1");
  const std::string other = first == "one" ? "two" : "one";
  lead(ways(10800, {other}));
  EXPECT_EQ(asks("10.9.0.1"), other);
  lead(both);
  for (int again = 0; again < 12; ++again) EXPECT_EQ(asks("10.9.0.1"), other);
}

TEST_F(KeepingTest, WhatIsKnownOutlivesAnAgentAndOtherServices) {
  const auto both = ways(10800, {"one", "two"});
  lead(both);
  std::map<unsigned, std::string> had;
  for (unsigned i = 0; i < kClients; ++i) had[i] = asks("10.9.0.1", clientOf(i));
  // A successor finds services changed: one is new, with another time, and has many endpoints.
  blue_.room = Room::open(pathOf(directory_, blue_.uid), {}).value();
  auto changed = both;
  Way more = way("more", {{std::nullopt, 30090}});
  more.affinity = 60;
  for (unsigned i = 10; i < 20; ++i)
    more.targets.push_back({ip("10.20.0." + std::to_string(i)), 1});
  changed.push_back(more);
  lead(changed);
  for (unsigned i = 0; i < kClients; ++i) EXPECT_EQ(asks("10.9.0.1", clientOf(i)), had[i]);
  lead(both);
  for (unsigned i = 0; i < kClients; ++i) EXPECT_EQ(asks("10.9.0.1", clientOf(i)), had[i]);
}

TEST_F(KeepingTest, AClientIsForgottenInTime) {
  lead(ways(2, {"one", "two"}));
  asks("10.9.0.1");
  EXPECT_EQ(kept(), 1U);
  const BootTime by = clock_.now() + std::chrono::seconds(20);
  while (kept() > 0 && clock_.now() < by)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(kept(), 0U);
  lead(ways(0, {"one", "two"}));
  std::set<std::string> seen;
  for (int i = 0; i < 24; ++i) seen.insert(asks("10.9.0.1"));
  EXPECT_EQ(seen.size(), 2U) << "without an affinity each has its turn";
  EXPECT_EQ(kept(), 0U);
}

TEST_F(GatewayTest, ComeBackWholeAndAreFoundByASuccessor) {
  Net blue = makeNet("blue", 3);
  const std::vector<Way> ways = {way("a", {{std::nullopt, 30080}})};
  commit({open(blue, ways)});
  const auto writes = blue.room.writes();
  const auto wired = blue.room.wire(node_, blue.uid, blue.pair);
  ASSERT_TRUE(wired) << wired.error().message;
  EXPECT_TRUE(*wired);
  const auto put = blue.room.put(gatewayTable(ways, portsFor(ways, {})), clock_.now());
  ASSERT_TRUE(put) << put.error().message;
  EXPECT_FALSE(*put);
  EXPECT_EQ(blue.room.writes(), writes) << "what is as it shall be costs nothing";
  must(node_.run(netlink::deleteLink({0, blue.pair.device})));
  EXPECT_NE(ask(client_, "10.9.0.1", 30080, 500), "blue 10.20.0.1");
  const auto again = blue.room.wire(node_, blue.uid, blue.pair);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(ask(client_, "10.9.0.1", 30080), "blue 10.20.0.1");

  const auto found = findPairs(node_);
  ASSERT_TRUE(found) << found.error().message;
  const auto& pairs = *found;
  ASSERT_EQ(pairs.size(), 1U);
  EXPECT_EQ(pairs[0].network, blue.uid);
  EXPECT_EQ(pairs[0].number, 3U);
  EXPECT_EQ(keptIn(directory_), std::vector{blue.uid});
  auto successor = Room::open(pathOf(directory_, blue.uid), {}).value();
  EXPECT_EQ(netns::identity(successor.netns()).value(), netns::identity(blue.room.netns()).value());
  must(clearGateways(directory_));
  EXPECT_TRUE(findPairs(node_).value().empty());
  EXPECT_TRUE(keptIn(directory_).empty());
  EXPECT_FALSE(other_.exists("multinet_services").value());
  must(clearGateways(directory_));
}

}  // namespace
}  // namespace multinet::agent::gateway
