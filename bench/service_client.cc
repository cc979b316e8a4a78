#include "bench/service_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <utility>
#include <vector>

#include "bench/in_turn.h"
#include "lib/netns/netns.h"

namespace multinet::bench {
namespace {

constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};
constexpr std::size_t kChunk = std::size_t{128} * 1024;
constexpr int kStreams = 8;

struct Order {
  char what = 0;
  int count = 0;
};
/// Milliseconds, or below zero a negative errno.
using Answer = double;

sockaddr* raw(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

sockaddr_in named(const ServiceClient::Peer& peer) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(peer.port);
  ::inet_pton(AF_INET, peer.address.c_str(), &address.sin_addr);
  return address;
}

/// On a processor of its own, where the machine has two: client and server are then measured with
/// the same wake-ups each time.
void pin(int wanted) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(wanted, &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

Fd opened(int type) {
  Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(socket.get(), SOL_SOCKET, option, &kPatience, sizeof kPatience);
  }
  return socket;
}

/// 0, or errno.
int connectOnce(sockaddr_in peer, Fd& socket) {
  socket = opened(SOCK_STREAM);
  return ::connect(socket.get(), raw(peer), sizeof peer) == 0 ? 0 : errno;
}

int connects(const sockaddr_in& peer, int count) {
  const linger atOnce{.l_onoff = 1, .l_linger = 0};
  for (int i = 0; i < count; ++i) {
    Fd socket;
    if (const int error = connectOnce(peer, socket)) return error;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
  }
  return 0;
}

int roundTrips(sockaddr_in peer, int count, bool isConnected) {
  const Fd socket = opened(SOCK_DGRAM);
  if (isConnected && ::connect(socket.get(), raw(peer), sizeof peer) != 0) return errno;
  char byte = 'm';
  for (int i = 0; i < count; ++i) {
    const ssize_t sent = isConnected ? ::send(socket.get(), &byte, 1, 0)
                                     : ::sendto(socket.get(), &byte, 1, 0, raw(peer), sizeof peer);
    if (sent != 1 || ::recv(socket.get(), &byte, 1, 0) != 1) return errno;
  }
  return 0;
}

/// Until the server has read all and closed.
int streams(const sockaddr_in& peer, int mebibytes, int number) {
  std::vector<Fd> sockets(static_cast<std::size_t>(number));
  for (Fd& one : sockets) {
    if (const int error = connectOnce(peer, one)) return error;
  }
  const std::vector<char> chunk(kChunk, 'm');
  const std::size_t rounds = (static_cast<std::size_t>(mebibytes) << 20U) / kChunk / sockets.size();
  for (std::size_t i = 0; i < rounds; ++i) {
    for (const Fd& one : sockets) {
      for (std::size_t sent = 0; sent < kChunk;) {
        const ssize_t now = ::send(one.get(), chunk.data() + sent, kChunk - sent, MSG_NOSIGNAL);
        if (now <= 0) return errno;
        sent += static_cast<std::size_t>(now);
      }
    }
  }
  for (const Fd& one : sockets) ::shutdown(one.get(), SHUT_WR);
  for (const Fd& one : sockets) {
    char byte = 0;
    if (::recv(one.get(), &byte, 1, 0) != 0) return errno;
  }
  return 0;
}

int obey(const Order& order, const sockaddr_in& peer) {
  switch (order.what) {
    case 'c':
      return connects(peer, order.count);
    case 'r':
      return roundTrips(peer, order.count, true);
    case 'u':
      return roundTrips(peer, order.count, false);
    case 's':
      return streams(peer, order.count, 1);
    default:
      return streams(peer, order.count, kStreams);
  }
}

[[noreturn]] void serveOrders(const Fd& orders, const Fd& answers, const sockaddr_in& peer) {
  pin(0);
  Order order;
  while (::read(orders.get(), &order, sizeof order) == sizeof order) {
    const auto begin = Steady::now();
    const int error = obey(order, peer);
    const Answer answer = error == 0 ? milliseconds(Steady::now() - begin) : -error;
    if (::write(answers.get(), &answer, sizeof answer) != sizeof answer) break;
  }
  ::_exit(0);
}

void echo(int socket, std::vector<char>& chunk) {
  sockaddr_in from{};
  socklen_t length = sizeof from;
  const ssize_t size = ::recvfrom(socket, chunk.data(), chunk.size(), 0, raw(from), &length);
  if (size < 0) return;
  ::sendto(socket, chunk.data(), static_cast<std::size_t>(size), 0, raw(from), length);
}

/// `sockets`: the one that listens first, then those of datagrams.
[[noreturn]] void serveTraffic(const std::vector<Fd>& sockets) {
  pin(1);
  std::vector<pollfd> waits;
  for (const Fd& one : sockets) waits.push_back({one.get(), POLLIN, 0});
  std::vector<char> chunk(kChunk);
  while (::poll(waits.data(), waits.size(), -1) > 0) {
    for (std::size_t i = 1; i < sockets.size(); ++i) {
      if (waits[i].revents != 0) echo(waits[i].fd, chunk);
    }
    for (std::size_t i = sockets.size(); i < waits.size();) {
      const bool isOver =
          waits[i].revents != 0 && ::recv(waits[i].fd, chunk.data(), chunk.size(), 0) <= 0;
      if (!isOver) {
        ++i;
        continue;
      }
      ::close(waits[i].fd);
      waits[i] = waits.back();
      waits.pop_back();
    }
    if (waits[0].revents != 0) {
      const int one = ::accept4(sockets[0].get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (one >= 0) waits.push_back({one, POLLIN, 0});
    }
  }
  ::_exit(0);
}

/// In the child: there, and ended with its parent.
bool arrive(const ServiceClient::Place& place) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!place.cgroup.empty()) {
    std::ofstream file(place.cgroup + "/cgroup.procs");
    file << ::getpid() << std::flush;
    if (!file) return false;
  }
  return ::setns(place.netns.get(), CLONE_NEWNET) == 0;
}

void end(pid_t child) {
  if (child <= 0) return;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

Result<std::pair<Fd, Fd>> makePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(errnoError("make a pipe", errno));
  return std::pair{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace

Result<ServiceClient> ServiceClient::start(const Place& place, const Peer& peer) {
  MULTINET_TRY(auto orders, makePipe());
  MULTINET_TRY(auto answers, makePipe());
  const pid_t child = ::fork();
  if (child < 0) return fail(errnoError("start a client", errno));
  if (child == 0) {
    orders.second = Fd();
    if (!arrive(place)) ::_exit(1);
    serveOrders(orders.first, answers.second, named(peer));
  }
  return ServiceClient(child, std::move(orders.second), std::move(answers.first));
}

ServiceClient::~ServiceClient() {
  end(child_);
}

ServiceClient::ServiceClient(ServiceClient&& other) noexcept
    : child_(std::exchange(other.child_, -1)),
      orders_(std::move(other.orders_)),
      answers_(std::move(other.answers_)) {}

Result<double> ServiceClient::ask(char what, int count) {
  const Order order{what, count};
  Answer answer = -ECHILD;
  if (::write(orders_.get(), &order, sizeof order) == sizeof order) {
    pollfd waits{answers_.get(), POLLIN, 0};
    if (::poll(&waits, 1, 60000) == 1 &&
        ::read(answers_.get(), &answer, sizeof answer) != sizeof answer) {
      answer = -ECHILD;
    }
  }
  if (answer >= 0) return answer;
  return fail(
      errnoError(std::string("measure '") + what + "' as a client", static_cast<int>(-answer)));
}

Result<ServiceServer> ServiceServer::start(const Fd& netns,
                                           const std::vector<std::string>& addresses,
                                           std::uint16_t port) {
  std::vector<Fd> sockets;
  {
    MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
    sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      sockets.emplace_back(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    }
  }
  // An answer comes from the address that was asked.
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    auto own = named({i == 0 ? "0.0.0.0" : addresses[i - 1], port});
    if (::bind(sockets[i].get(), raw(own), sizeof own) != 0) {
      return fail(errnoError("bind port " + std::to_string(port), errno));
    }
  }
  if (::listen(sockets[0].get(), 1024) != 0) {
    return fail(errnoError("listen on port " + std::to_string(port), errno));
  }
  const pid_t child = ::fork();
  if (child < 0) return fail(errnoError("start a server", errno));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    serveTraffic(sockets);
  }
  return ServiceServer(child);
}

ServiceServer::~ServiceServer() {
  end(child_);
}

ServiceServer::ServiceServer(ServiceServer&& other) noexcept
    : child_(std::exchange(other.child_, -1)) {}

}  // namespace multinet::bench
