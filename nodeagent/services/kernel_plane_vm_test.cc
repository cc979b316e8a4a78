// Needs root, as lib/bpf/object_vm_test.cc. Servers listen on the loopback; clients are processes
// of a control group of their own, in this network namespace.
#include "nodeagent/services/kernel_plane.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/bpf/test_ground.h"
#include "lib/netns/cookie.h"
#include "nodeagent/services/test_uring.h"

namespace multinet::agent::services {
namespace {

using testing::HasSubstr;

constexpr NetworkKey kBlue = 7;
constexpr NetworkKey kGreen = 8;

struct Address {
  sockaddr_in6 six{};
  sockaddr_in four{};
  bool isSix = false;

  Address(const std::string& text, std::uint16_t port)
      : isSix(text.find(':') != std::string::npos) {
    six.sin6_family = AF_INET6;
    four.sin_family = AF_INET;
    six.sin6_port = four.sin_port = htons(port);
    if (isSix) {
      ::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr);
    } else {
      ::inet_pton(AF_INET, text.c_str(), &four.sin_addr);
    }
  }
  [[nodiscard]] int family() const { return isSix ? AF_INET6 : AF_INET; }
  [[nodiscard]] const sockaddr* get() const {
    return isSix ? reinterpret_cast<const sockaddr*>(&six)
                 : reinterpret_cast<const sockaddr*>(&four);
  }
  [[nodiscard]] socklen_t size() const { return isSix ? sizeof six : sizeof four; }
};

std::string textOf(const sockaddr_storage& from) {
  std::array<char, 64> text{};
  if (from.ss_family == AF_INET6) {
    const auto& six = reinterpret_cast<const sockaddr_in6&>(from);
    ::inet_ntop(AF_INET6, &six.sin6_addr, text.data(), text.size());
    return std::string(text.data()) + " " + std::to_string(ntohs(six.sin6_port));
  }
  const auto& four = reinterpret_cast<const sockaddr_in&>(from);
  ::inet_ntop(AF_INET, &four.sin_addr, text.data(), text.size());
  return std::string(text.data()) + " " + std::to_string(ntohs(four.sin_port));
}

/// Milliseconds. What was sent over the loopback may be a busy kernel thread's to deliver.
constexpr int kUnderWay = 50;
constexpr int kAnswered = 1000;

/// Bound to that address; TCP listens.
class Server {
 public:
  Server(const std::string& address, Transport transport) : address_(address) {
    const Address own(address, 0);
    const int type = transport == Transport::Tcp ? SOCK_STREAM : SOCK_DGRAM;
    socket_ = Fd(::socket(own.family(), type | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    EXPECT_EQ(::bind(socket_.get(), own.get(), own.size()), 0) << std::strerror(errno);
    if (transport == Transport::Tcp) {
      EXPECT_EQ(::listen(socket_.get(), 100), 0);
    }
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &length);
    port_ = ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  }
  [[nodiscard]] Target target() const { return {*IpAddress::parse(address_), port_}; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Connections or datagrams that have come since the last call; a datagram is answered.
  unsigned take() {
    unsigned count = 0;
    pollfd waits{socket_.get(), POLLIN, 0};
    while (::poll(&waits, 1, kUnderWay) == 1) {
      const Fd connection(::accept(socket_.get(), nullptr, nullptr));
      if (!connection.valid()) {
        char byte = 0;
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        ::recvfrom(socket_.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &length);
        ::sendto(socket_.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), length);
      }
      ++count;
    }
    return count;
  }

 private:
  std::string address_;
  Fd socket_;
  std::uint16_t port_ = 0;
};

class PlaneTest : public testing::Test {
 protected:
  PlaneTest() {
    bpf::TestGround::loopbackUp();
    const std::string mount = *bpf::cgroup2Mount();
    plane_ = std::make_unique<KernelPlane>(
        PlaneOptions{ground_.directory(), ground_.group().substr(mount.size() + 1)});
  }
  void SetUp() override {
    const auto ready = plane_->ensure();
    ASSERT_TRUE(ready) << ready.error().message;
    table_ = std::make_unique<ServiceTable>(plane_->maps());
    ASSERT_TRUE(table_->adopt());
    ASSERT_TRUE(members_.open(plane_->members()));
    const auto home = netns::openHome();
    netns_ = *netns::cookie(home->netns, *home);
  }

  void join(const std::set<NetworkKey>& networks) {
    ASSERT_TRUE(members_.joined(IntentId("web"), netns_, networks));
  }
  void lead(const std::string& vip, std::uint16_t port, Transport transport,
            const std::vector<const Server*>& servers, std::uint32_t affinity = 0,
            bool reachesCluster = false) {
    std::vector<Target> targets;
    for (const Server* one : servers) targets.push_back(one->target());
    const auto put = table_->put({*IpAddress::parse(vip), port, transport},
                                 {kBlue, affinity, reachesCluster}, targets, ended_);
    ASSERT_TRUE(put) << put.error().message;
  }
  /// errno of a connect, or of what is checked afterwards: 200 where another peer is shown.
  [[nodiscard]] int connect(const std::string& to, std::uint16_t port, int type = SOCK_STREAM,
                            const std::string& shown = "", int protocol = 0) const {
    return connectBy(bySystemCall, to, port, type, shown, protocol);
  }
  static int bySystemCall(int socket, const Address& there) {
    return ::connect(socket, there.get(), there.size()) == 0 ? 0 : errno;
  }
  template <class How>
  [[nodiscard]] int connectBy(const How& how, const std::string& to, std::uint16_t port,
                              int type = SOCK_STREAM, const std::string& shown = "",
                              int protocol = 0) const {
    return ground_.inGroup([&] {
      const Address there(to, port);
      const Fd socket(::socket(there.family(), type, protocol));
      if (!socket.valid()) return errno;
      if (const int failed = how(socket.get(), there); failed != 0) return failed;
      sockaddr_storage peer{};
      socklen_t length = sizeof peer;
      ::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&peer), &length);
      const std::string wanted = shown.empty() ? to + " " + std::to_string(port) : shown;
      return textOf(peer) == wanted ? 0 : 200;
    });
  }

  bpf::TestGround ground_;
  std::unique_ptr<KernelPlane> plane_;
  std::unique_ptr<ServiceTable> table_;
  Members members_;
  std::uint64_t netns_ = 0;
  std::vector<Ended> ended_;
};

struct Ends {
  std::string vip;
  std::string server;
  std::string asked;  ///< as the client writes it
};
const std::vector<Ends> kEnds{{"127.96.0.1", "127.0.0.2", "127.96.0.1"},
                              {"fd00:96::1", "::1", "fd00:96::1"},
                              {"127.96.0.1", "127.0.0.2", "::ffff:127.96.0.1"}};

TEST_F(PlaneTest, ConnectsGoToAnEndpointAndShowTheService) {
  join({kBlue, kGreen});
  for (const Ends& one : kEnds) {
    Server tcp(one.server, Transport::Tcp);
    Server udp(one.server, Transport::Udp);
    lead(one.vip, 80, Transport::Tcp, {&tcp});
    lead(one.vip, 80, Transport::Udp, {&udp});
    EXPECT_EQ(connect(one.asked, 80), 0) << one.asked;
    EXPECT_EQ(tcp.take(), 1U) << one.asked;
    EXPECT_EQ(connect(one.asked, 80, SOCK_DGRAM), 0) << one.asked;
  }
}

TEST_F(PlaneTest, EachEndpointGetsSomeAndOneThatLeftGetsNone) {
  join({kBlue});
  Server one("127.0.0.2", Transport::Tcp);
  Server other("127.0.0.3", Transport::Tcp);
  lead("127.96.0.1", 80, Transport::Tcp, {&one, &other});
  for (int i = 0; i < 40; ++i) ASSERT_EQ(connect("127.96.0.1", 80), 0);
  const unsigned first = one.take();
  const unsigned second = other.take();
  EXPECT_GT(first, 0U);
  EXPECT_GT(second, 0U);
  EXPECT_EQ(first + second, 40U);
  lead("127.96.0.1", 80, Transport::Tcp, {&other});
  for (int i = 0; i < 20; ++i) ASSERT_EQ(connect("127.96.0.1", 80), 0);
  EXPECT_EQ(one.take(), 0U);
  EXPECT_EQ(other.take(), 20U);
}

// Somebody listens at the service's own address here, so that what isn't translated is seen.
TEST_F(PlaneTest, WhoIsOnNoNetworkPassesAndWhoIsOnAnotherIsTold) {
  Server endpoint("127.0.0.2", Transport::Tcp);
  Server itself("127.96.0.1", Transport::Tcp);
  lead("127.96.0.1", itself.port(), Transport::Tcp, {&endpoint});
  EXPECT_EQ(connect("127.96.0.1", itself.port()), 0);
  EXPECT_EQ(itself.take(), 1U) << "a pod without networks";
  join({kGreen});
  EXPECT_EQ(connect("127.96.0.1", itself.port()), ENETUNREACH);
  join({kGreen, kBlue});
  EXPECT_EQ(connect("127.96.0.1", itself.port()), 0);
  EXPECT_EQ(endpoint.take(), 1U);
  members_.left(IntentId("web"));
  EXPECT_EQ(connect("127.96.0.1", itself.port()), 0);
  EXPECT_EQ(itself.take(), 1U) << "after the pod left";
  EXPECT_EQ(endpoint.take(), 0U);
}

TEST_F(PlaneTest, WithoutAnEndpointItIsRefusedAtOnce) {
  join({kBlue});
  Server itself("127.96.0.1", Transport::Tcp);
  Server silent("127.96.0.1", Transport::Udp);
  lead("127.96.0.1", itself.port(), Transport::Tcp, {});
  lead("127.96.0.1", silent.port(), Transport::Udp, {});
  EXPECT_EQ(connect("127.96.0.1", itself.port()), ECONNREFUSED);
  EXPECT_EQ(itself.take(), 0U);
  EXPECT_EQ(connect("127.96.0.1", silent.port(), SOCK_DGRAM), ECONNREFUSED);
  const int sent = ground_.inGroup([&] {
    const Address there("127.96.0.1", silent.port());
    const Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
    return ::sendto(socket.get(), "x", 1, 0, there.get(), there.size()) < 0 ? errno : 0;
  });
  EXPECT_EQ(sent, ECONNREFUSED);
  EXPECT_EQ(connect("fd00:96::9", 80), ENETUNREACH) << "no service: as the pod's routes say";
}

TEST_F(PlaneTest, WhatReachesTheClusterPassesForThoseWhoArentOnItsNetwork) {
  Server endpoint("127.0.0.2", Transport::Tcp);
  Server itself("127.96.0.1", Transport::Tcp);
  lead("127.96.0.1", itself.port(), Transport::Tcp, {&endpoint}, 0, true);
  join({kGreen});
  EXPECT_EQ(connect("127.96.0.1", itself.port()), 0);
  EXPECT_EQ(itself.take(), 1U) << "the gateway's";
  join({kBlue});
  EXPECT_EQ(connect("127.96.0.1", itself.port()), 0);
  EXPECT_EQ(endpoint.take(), 1U) << "translated here";
  lead("127.96.0.1", itself.port(), Transport::Tcp, {&endpoint});
  members_.left(IntentId("web"));
  join({kGreen});
  EXPECT_EQ(connect("127.96.0.1", itself.port()), ENETUNREACH);
}

TEST_F(PlaneTest, MptcpIsTranslatedToo) {
  join({kBlue});
  Server endpoint("127.0.0.2", Transport::Tcp);
  lead("127.96.0.1", 80, Transport::Tcp, {&endpoint});
  const Fd can(::socket(AF_INET, SOCK_STREAM, 262));
  if (!can.valid()) GTEST_SKIP() << "this kernel has no MPTCP";
  const int result = connect("127.96.0.1", 80, SOCK_STREAM, "", 262);
  EXPECT_TRUE(result == 0 || result == 200) << std::strerror(result);  // the name may be either
  EXPECT_EQ(endpoint.take(), 1U);
}

/// RFC 7413, without cookies (tcp(7)): the first byte goes with the SYN, by sendto() alone.
TEST_F(PlaneTest, FastOpenIsTranslatedToo) {
  std::ofstream("/proc/sys/net/ipv4/tcp_fastopen") << 0x607 << std::flush;
  join({kBlue});
  const auto withData = [](int socket, const Address& there) {
    if (::sendto(socket, "x", 1, MSG_FASTOPEN, there.get(), there.size()) != 1) return errno;
    pollfd waits{socket, POLLOUT, 0};
    return ::poll(&waits, 1, kAnswered) == 1 ? 0 : ETIMEDOUT;
  };
  for (const Ends& one : kEnds) {
    Server tcp(one.server, Transport::Tcp);
    lead(one.vip, 80, Transport::Tcp, {&tcp});
    EXPECT_EQ(connectBy(withData, one.asked, 80), 0) << one.asked;
    EXPECT_EQ(tcp.take(), 1U) << one.asked;
  }
}

TEST_F(PlaneTest, AConnectThatARingMakesIsTranslatedToo) {
  join({kBlue});
  const auto byRing = [](int socket, const Address& there) {
    return connectByRing(socket, there.get(), there.size());
  };
  for (const Ends& one : kEnds) {
    Server tcp(one.server, Transport::Tcp);
    lead(one.vip, 80, Transport::Tcp, {&tcp});
    EXPECT_EQ(connectBy(byRing, one.asked, 80), 0) << one.asked;
    EXPECT_EQ(tcp.take(), 1U) << one.asked;
  }
}

/// A client in another process that sends a byte when told to and says from whom the answer came.
class Client {
 public:
  Client(const bpf::TestGround& ground, const std::string& to, std::uint16_t port, bool connects) {
    int orders[2];
    int answers[2];
    EXPECT_EQ(::pipe(orders) + ::pipe(answers), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::close(orders[1]);
      std::ofstream(ground.group() + "/cgroup.procs") << ::getpid() << std::flush;
      const Address there(to, port);
      const Fd socket(::socket(there.family(), SOCK_DGRAM, 0));
      if (connects) static_cast<void>(::connect(socket.get(), there.get(), there.size()));
      for (char order = 0; ::read(orders[0], &order, 1) == 1;) {
        std::string said;
        const ssize_t sent = connects
                                 ? ::send(socket.get(), "x", 1, 0)
                                 : ::sendto(socket.get(), "x", 1, 0, there.get(), there.size());
        if (sent < 0) said = "errno " + std::to_string(errno);
        if (::write(answers[1], "s", 1) != 1) break;
        if (::read(orders[0], &order, 1) != 1) break;
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        char byte = 0;
        pollfd waits{socket.get(), POLLIN, 0};
        if (said.empty() && ::poll(&waits, 1, kAnswered) == 1 &&
            ::recvfrom(socket.get(), &byte, 1, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from),
                       &length) == 1) {
          said = textOf(from);
        }
        said.resize(80);
        if (::write(answers[1], said.data(), said.size()) != 80) break;
      }
      ::_exit(0);
    }
    ::close(orders[0]);
    ::close(answers[1]);
    orders_ = Fd(orders[1]);
    answers_ = Fd(answers[0]);
  }
  ~Client() {
    orders_.reset();
    int status = 0;
    ::waitpid(child_, &status, 0);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  /// Sends; `serve` answers; then from whom that came.
  template <class Serve>
  std::string ask(const Serve& serve) {
    char byte = 'x';
    EXPECT_EQ(::write(orders_.get(), &byte, 1), 1);
    EXPECT_EQ(::read(answers_.get(), &byte, 1), 1);
    serve();
    EXPECT_EQ(::write(orders_.get(), &byte, 1), 1);
    std::array<char, 80> said{};
    EXPECT_EQ(::read(answers_.get(), said.data(), said.size()), 80);
    return said.data();
  }

 private:
  pid_t child_ = -1;
  Fd orders_;
  Fd answers_;
};

TEST_F(PlaneTest, AnUnconnectedSocketKeepsItsEndpointAndHearsTheService) {
  join({kBlue});
  for (const Ends& one : kEnds) {
    Server first(one.server, Transport::Udp);
    Server second(one.server, Transport::Udp);
    lead(one.vip, 53, Transport::Udp, {&first, &second});
    Client client(ground_, one.asked, 53, false);
    unsigned ofFirst = 0;
    unsigned ofSecond = 0;
    const auto serve = [&] {
      ofFirst += first.take();
      ofSecond += second.take();
    };
    for (int i = 0; i < 10; ++i) EXPECT_EQ(client.ask(serve), one.asked + " 53");
    EXPECT_EQ(ofFirst + ofSecond, 10U);
    EXPECT_TRUE(ofFirst == 0 || ofSecond == 0) << ofFirst << " and " << ofSecond;
    // Another endpoint leaves: it stays where it is. Its own leaves: it goes to another.
    Server third(one.server, Transport::Udp);
    Server& own = ofFirst > 0 ? first : second;
    lead(one.vip, 53, Transport::Udp, {&own, &third});
    unsigned ofOwn = 0;
    for (int i = 0; i < 5; ++i) client.ask([&] { ofOwn += own.take(); });
    EXPECT_EQ(ofOwn, 5U);
    lead(one.vip, 53, Transport::Udp, {&third});
    unsigned ofThird = 0;
    EXPECT_EQ(client.ask([&] { ofThird += third.take(); }), one.asked + " 53");
    EXPECT_EQ(ofThird, 1U);
  }
}

TEST_F(PlaneTest, AConnectedUdpSocketEndsWithItsEndpoint) {
  join({kBlue});
  for (const Ends& one : kEnds) {
    Server first(one.server, Transport::Udp);
    Server second(one.server, Transport::Udp);
    lead(one.vip, 53, Transport::Udp, {&first});
    Client client(ground_, one.asked, 53, true);
    // Past the service, to the same pod: stays.
    const bool mapped = one.asked.starts_with("::ffff:");
    Client direct(ground_, (mapped ? "::ffff:" : "") + one.server, first.port(), true);
    EXPECT_EQ(client.ask([&] { first.take(); }), one.asked + " 53");
    ended_.clear();
    lead(one.vip, 53, Transport::Udp, {&second});
    ASSERT_EQ(ended_.size(), 1U);
    const auto count = plane_->end(ended_, members_);
    ASSERT_TRUE(count) << count.error().message;
    EXPECT_EQ(*count, 1U) << one.asked;
    EXPECT_THAT(client.ask([] {}), HasSubstr("errno")) << "its next send fails";
    EXPECT_THAT(direct.ask([&] { first.take(); }), HasSubstr(std::to_string(first.port())));
  }
}

TEST_F(PlaneTest, WithAnAffinityAPodKeepsItsEndpointAsLongAsThatIsThere) {
  join({kBlue});
  constexpr std::uint32_t kLong = 10800;
  for (const Ends& one : kEnds) {
    Server first(one.server, Transport::Tcp);
    Server second(one.server, Transport::Tcp);
    Server third(one.server, Transport::Tcp);
    lead(one.vip, 80, Transport::Tcp, {&first, &second, &third}, kLong);
    const auto connects = [&](int times) {
      for (int i = 0; i < times; ++i) ASSERT_EQ(connect(one.asked, 80), 0);
    };
    connects(20);
    std::vector<Server*> servers{&first, &second, &third};
    const auto own = std::ranges::find_if(servers, [](Server* it) { return it->take() == 20; });
    ASSERT_NE(own, servers.end()) << one.asked << ": one has them all";
    std::swap(*own, servers.front());
    // Others leave and come: it stays. Its own leaves: another, and that one from then on.
    lead(one.vip, 80, Transport::Tcp, {servers[0], servers[1]}, kLong);
    connects(10);
    EXPECT_EQ(servers[0]->take(), 10U);
    lead(one.vip, 80, Transport::Tcp, {servers[1], servers[2]}, kLong);
    connects(20);
    const unsigned ofSecond = servers[1]->take();
    const unsigned ofThird = servers[2]->take();
    EXPECT_TRUE((ofSecond == 20 && ofThird == 0) || (ofSecond == 0 && ofThird == 20))
        << ofSecond << " and " << ofThird;
    EXPECT_EQ(servers[0]->take(), 0U);
    // None left is refused; without the affinity all get some.
    lead(one.vip, 80, Transport::Tcp, {}, kLong);
    EXPECT_EQ(connect(one.asked, 80), ECONNREFUSED);
    lead(one.vip, 80, Transport::Tcp, {servers[1], servers[2]}, 0);
    connects(40);
    EXPECT_GT(servers[1]->take(), 0U);
    EXPECT_GT(servers[2]->take(), 0U);
  }
}

TEST_F(PlaneTest, AnAffinityEndsWithItsTime) {
  join({kBlue});
  Server one("127.0.0.2", Transport::Tcp);
  Server other("127.0.0.3", Transport::Tcp);
  lead("127.96.0.1", 80, Transport::Tcp, {&one, &other}, 1);
  auto choices =
      bpf::Map::keptAt(ground_.directory() + "/v" + std::to_string(MN_LAYOUT) + "/choices");
  ASSERT_TRUE(choices) << choices.error().message;
  // Instead of a wait: it was last used when the machine started. 40 times the same endpoint is a
  // chance in a million million.
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(connect("127.96.0.1", 80), 0);
    std::vector<std::pair<mn_client, mn_choice>> found;
    ASSERT_TRUE(choices->each([&](bpf::Bytes key, bpf::Bytes value) {
      found.emplace_back(as<mn_client>(key), as<mn_choice>(value));
    }));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].first.netns, netns_);
    EXPECT_GT(found[0].second.used, 0U) << "with each connection";
    found[0].second.used = 0;
    ASSERT_TRUE(choices->put(bpf::bytesOf(found[0].first), bpf::bytesOf(found[0].second)));
  }
  const unsigned ofOne = one.take();
  const unsigned ofOther = other.take();
  EXPECT_GT(ofOne, 0U);
  EXPECT_GT(ofOther, 0U);
  EXPECT_EQ(ofOne + ofOther, 40U);
}

TEST_F(PlaneTest, WithAnAffinityEachUdpSocketOfAPodHasItsEndpoint) {
  join({kBlue});
  for (const Ends& end : kEnds) {
    Server first(end.server, Transport::Udp);
    Server second(end.server, Transport::Udp);
    lead(end.vip, 53, Transport::Udp, {&first, &second}, 60);
    unsigned ofFirst = 0;
    unsigned ofSecond = 0;
    const auto serve = [&] {
      ofFirst += first.take();
      ofSecond += second.take();
    };
    for (int i = 0; i < 16; ++i) {
      Client client(ground_, end.asked, 53, i % 2 == 0);
      EXPECT_EQ(client.ask(serve), end.asked + " 53");
    }
    EXPECT_EQ(ofFirst + ofSecond, 16U);
    EXPECT_TRUE(ofFirst == 0 || ofSecond == 0) << ofFirst << " and " << ofSecond;
  }
}

// As an agent with layout 1 leaves it: `services` with shorter values, `datagrams`, no `choices`.
TEST_F(PlaneTest, WhatAnEarlierLayoutTranslatesGoesOn) {
  join({kBlue});
  Server tcp("127.0.0.2", Transport::Tcp);
  Server udp("127.0.0.2", Transport::Udp);
  lead("127.96.0.1", 80, Transport::Tcp, {&tcp});
  lead("127.96.0.1", 53, Transport::Udp, {&udp});
  Client client(ground_, "127.96.0.1", 53, false);
  EXPECT_EQ(client.ask([&] { udp.take(); }), "127.96.0.1 53");

  const std::string now = ground_.directory() + "/v" + std::to_string(MN_LAYOUT);
  const std::string before = ground_.directory() + "/v1";
  ASSERT_EQ(::mkdir(before.c_str(), 0700), 0);
  struct Shorter {
    __u64 network;
    __u32 id;
    __u32 count;
  };
  const Fd services(bpf_map_create(BPF_MAP_TYPE_HASH, "services", sizeof(mn_frontend),
                                   sizeof(Shorter), MN_MAX_SERVICES, nullptr));
  ASSERT_TRUE(services.valid());
  auto shorter = bpf::Map::of(Fd(::fcntl(services.get(), F_DUPFD_CLOEXEC, 3)), "services");
  ASSERT_TRUE(shorter);
  const auto whole = bpf::Map::keptAt(now + "/services");
  ASSERT_TRUE(whole) << whole.error().message;
  ASSERT_TRUE(whole->each([&](bpf::Bytes key, bpf::Bytes value) {
    EXPECT_TRUE(shorter->put(key, value.first(sizeof(Shorter))));
  }));
  ASSERT_EQ(bpf_obj_pin(services.get(), (before + "/services").c_str()), 0);
  for (const auto& entry : std::filesystem::directory_iterator(now)) {
    const std::string name = entry.path().filename();
    if (name == "services" || name == "choices") continue;
    const std::string then = before + "/" + (name == "endpoints" ? "datagrams" : name);
    ASSERT_TRUE(bpf::keepAlso(entry.path(), then));
  }
  plane_.reset();
  std::filesystem::remove_all(now);
  EXPECT_EQ(connect("127.96.0.1", 80), 0) << "between the two agents";

  KernelPlane next({ground_.directory(), ground_.group().substr(bpf::cgroup2Mount()->size() + 1)});
  EXPECT_TRUE(next.isThere());
  const auto ready = next.ensure();
  ASSERT_TRUE(ready) << ready.error().message;
  EXPECT_EQ(connect("127.96.0.1", 80), 0) << "before anybody has said anything to it";
  EXPECT_EQ(client.ask([&] { udp.take(); }), "127.96.0.1 53") << "a socket that is open";
  EXPECT_FALSE(std::filesystem::exists(before));
  ServiceTable table(next.maps());
  ASSERT_TRUE(table.adopt());
  ASSERT_TRUE(table.put({*IpAddress::parse("127.96.0.1"), 80, Transport::Tcp}, {kBlue},
                        {tcp.target()}, ended_));
  ASSERT_TRUE(table.put({*IpAddress::parse("127.96.0.1"), 53, Transport::Udp}, {kBlue},
                        {udp.target()}, ended_));
  EXPECT_EQ(table.writes(), 0U);
  ASSERT_TRUE(
      table.put({*IpAddress::parse("127.96.0.1"), 80, Transport::Tcp}, {kBlue, 60}, {}, ended_));
  EXPECT_EQ(connect("127.96.0.1", 80), ECONNREFUSED) << "the programs read what it writes";
}

TEST_F(PlaneTest, TheNextAgentWritesNothingAndInterruptsNothing) {
  join({kBlue});
  Server tcp("127.0.0.2", Transport::Tcp);
  Server udp("127.0.0.2", Transport::Udp);
  lead("127.96.0.1", 80, Transport::Tcp, {&tcp});
  lead("127.96.0.1", 53, Transport::Udp, {&udp});
  const PlaneOptions options{ground_.directory(),
                             ground_.group().substr(bpf::cgroup2Mount()->size() + 1)};
  plane_.reset();
  EXPECT_EQ(connect("127.96.0.1", 80), 0) << "while there is none";
  KernelPlane next(options);
  EXPECT_TRUE(next.isThere());
  const auto ready = next.ensure();
  ASSERT_TRUE(ready) << ready.error().message;
  ServiceTable table(next.maps());
  Members members;
  ASSERT_TRUE(table.adopt());
  ASSERT_TRUE(members.open(next.members()));
  ASSERT_TRUE(table.put({*IpAddress::parse("127.96.0.1"), 80, Transport::Tcp}, {kBlue},
                        {tcp.target()}, ended_));
  ASSERT_TRUE(table.put({*IpAddress::parse("127.96.0.1"), 53, Transport::Udp}, {kBlue},
                        {udp.target()}, ended_));
  ASSERT_TRUE(members.joined(IntentId("web"), netns_, {kBlue}));
  EXPECT_EQ(table.writes() + members.writes(), 0U);
  const auto alive = next.namespaces();
  ASSERT_TRUE(alive) << alive.error().message;
  EXPECT_TRUE(alive->contains(netns_));
  EXPECT_EQ(connect("127.96.0.1", 80), 0);
  EXPECT_EQ(tcp.take(), 2U);
}

TEST_F(PlaneTest, FullMapsGrowUnderConnections) {
  join({kBlue});
  Server tcp("127.0.0.2", Transport::Tcp);
  Server udp("127.0.0.2", Transport::Udp);
  lead("127.96.0.1", 80, Transport::Tcp, {&tcp});
  lead("127.96.0.1", 53, Transport::Udp, {&udp});
  Client client(ground_, "127.96.0.1", 53, false);
  EXPECT_EQ(client.ask([&] { udp.take(); }), "127.96.0.1 53");
  const auto another = [&](std::uint32_t number) {
    const std::string address =
        "127.97." + std::to_string(number / 256) + "." + std::to_string(number % 256);
    return table_->put({*IpAddress::parse(address), 80, Transport::Tcp}, {kBlue}, {tcp.target()},
                       ended_);
  };
  std::uint32_t number = 0;
  Status put;
  while ((put = another(number))) ++number;
  EXPECT_EQ(put.error().reason, "MapFull");
  EXPECT_EQ(number, MN_MAX_SERVICES - 2);
  // Somebody connects all the time.
  std::atomic<bool> ends{false};
  std::atomic<unsigned> connected{0};
  std::vector<int> failed;
  std::thread others([&] {
    while (!ends) {
      if (const int error = connect("127.96.0.1", 80); error != 0) failed.push_back(error);
      if (++connected % 32 == 0) tcp.take();
    }
  });
  while (connected == 0) std::this_thread::yield();
  const auto grown = plane_->grow();
  const unsigned meanwhile = connected;
  while (connected == meanwhile) std::this_thread::yield();
  ends = true;
  others.join();
  ASSERT_TRUE(grown) << grown.error().message;
  EXPECT_THAT(failed, testing::IsEmpty());
  put = another(number);
  EXPECT_TRUE(put) << put.error().message;
  EXPECT_EQ(connect("127.97.0.7", 80), 0) << "one of before";
  EXPECT_EQ(
      connect("127.97." + std::to_string(number / 256) + "." + std::to_string(number % 256), 80),
      0);
  EXPECT_EQ(client.ask([&] { udp.take(); }), "127.96.0.1 53") << "a socket that is open";
  EXPECT_FALSE(std::filesystem::exists(ground_.directory() + "/v" + std::to_string(MN_LAYOUT)));

  plane_.reset();
  KernelPlane next({ground_.directory(), ground_.group().substr(bpf::cgroup2Mount()->size() + 1)});
  EXPECT_TRUE(next.isThere());
  const auto ready = next.ensure();
  ASSERT_TRUE(ready) << ready.error().message;
  ServiceTable table(next.maps());
  ASSERT_TRUE(table.adopt());
  EXPECT_EQ(table.size(), MN_MAX_SERVICES + 1U);
  EXPECT_EQ(table.writes(), 0U) << "the next agent finds them as they are";
}

// Died between the copy and the end: the smaller maps are those that were written last.
TEST_F(PlaneTest, WhatWasLeftOfGrowingIsTakenAway) {
  join({kBlue});
  Server tcp("127.0.0.2", Transport::Tcp);
  lead("127.96.0.1", 80, Transport::Tcp, {&tcp});
  const std::string left = ground_.directory() + "/v" + std::to_string(MN_LAYOUT) + "-1";
  ASSERT_EQ(::mkdir(left.c_str(), 0700), 0);
  for (const char* name : {"services", "slots"}) {
    ASSERT_TRUE(bpf::keepAlso(ground_.directory() + "/v" + std::to_string(MN_LAYOUT) + "/" + name,
                              left + "/" + name));
  }
  plane_.reset();
  KernelPlane next({ground_.directory(), ground_.group().substr(bpf::cgroup2Mount()->size() + 1)});
  const auto ready = next.ensure();
  ASSERT_TRUE(ready) << ready.error().message;
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(connect("127.96.0.1", 80), 0);
  const auto grown = next.grow();
  EXPECT_TRUE(grown) << grown.error().message;
  EXPECT_EQ(connect("127.96.0.1", 80), 0);
}

TEST(PodsCgroup, IsWhatKubeletOrContainerdMade) {
  const std::string mount = "/tmp/multinet-test-cgroup-" + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(mount.c_str(), 0755), 0);
  const auto none = podsCgroup(mount);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().reason, "NoPodsCgroup");
  EXPECT_THAT(none.error().message, HasSubstr("--pods-cgroup"));
  for (const char* name : {"/k8s.io", "/kubepods", "/kubepods.slice"}) {
    ASSERT_EQ(::mkdir((mount + name).c_str(), 0755), 0);
    EXPECT_EQ(*podsCgroup(mount), mount + name);
  }
  for (const char* name : {"/k8s.io", "/kubepods", "/kubepods.slice", ""}) {
    EXPECT_EQ(::rmdir((mount + name).c_str()), 0);
  }
}

}  // namespace
}  // namespace multinet::agent::services
