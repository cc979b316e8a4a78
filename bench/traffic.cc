#include "bench/traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "bench/in_turn.h"
#include "lib/netns/netns.h"

namespace multinet::bench {
namespace {

constexpr std::size_t kChunk = std::size_t{128} * 1024;
constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};

sockaddr* raw(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

Result<sockaddr_in> parse(const std::string& address, std::uint16_t port) {
  sockaddr_in parsed{};
  parsed.sin_family = AF_INET;
  parsed.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &parsed.sin_addr) == 1) return parsed;
  return fail(Code::InvalidArgument, "NoAddress", "connect to " + address + ": no IPv4 address");
}

/// A socket of a pod that gives up after a while.
Result<Fd> openSocket(const Fd& pod, int type) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(pod));
  Fd opened(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  if (!opened.valid()) return fail(errnoError("open socket", errno));
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (::setsockopt(opened.get(), SOL_SOCKET, option, &kPatience, sizeof kPatience) != 0) {
      return fail(errnoError("limit socket", errno));
    }
  }
  return opened;
}

Status bindTo(const Fd& socket, sockaddr_in address) {
  if (::bind(socket.get(), raw(address), sizeof address) == 0) return {};
  return fail(errnoError("bind socket", errno));
}

Status connectTo(const Fd& socket, sockaddr_in address) {
  if (::connect(socket.get(), raw(address), sizeof address) == 0) return {};
  return fail(errnoError("connect to port " + std::to_string(ntohs(address.sin_port)), errno));
}

/// On the n-th processor that this process may use (where there are fewer, the last of them), and
/// before all others that want it: what else the machine does is not what is measured.
void takeProcessor(int wanted) {
  const sched_param first{.sched_priority = 1};
  ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  cpu_set_t one;
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE && seen <= wanted; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ++seen;
  }
  ::sched_setaffinity(0, sizeof one, &one);
}

Status sendAll(const Fd& socket, std::size_t bytes) {
  static const std::vector<char> chunk(kChunk, 'm');
  while (bytes > 0) {
    const ssize_t sent =
        ::send(socket.get(), chunk.data(), std::min(bytes, chunk.size()), MSG_NOSIGNAL);
    if (sent <= 0) return fail(errnoError("send", errno));
    bytes -= static_cast<std::size_t>(sent);
  }
  return {};
}

Status receiveAll(const Fd& socket, std::size_t bytes) {
  std::vector<char> chunk(kChunk);
  while (bytes > 0) {
    const ssize_t received = ::recv(socket.get(), chunk.data(), std::min(bytes, chunk.size()), 0);
    if (received <= 0) return fail(errnoError("receive", received == 0 ? ECONNRESET : errno));
    bytes -= static_cast<std::size_t>(received);
  }
  return {};
}

/// Runs both ends, each pinned, and times the near one.
Result<double> timed(const std::function<Status()>& near, const std::function<Status()>& far,
                     int farProcessor) {
  takeProcessor(0);
  Status verdict;
  std::thread other([&] {
    takeProcessor(farProcessor);
    verdict = far();
  });
  const auto begin = Steady::now();
  const Status mine = near();
  const auto took = Steady::now() - begin;
  other.join();
  MULTINET_CHECK(mine);
  MULTINET_CHECK(verdict);
  return milliseconds(took);
}

}  // namespace

Result<Conversation::Ends> Conversation::connectStream(const Fd& from, const Fd& to,
                                                       const std::string& address,
                                                       std::uint16_t port) {
  MULTINET_TRY(const sockaddr_in target, parse(address, port));
  MULTINET_TRY(const Fd listener, openSocket(to, SOCK_STREAM));
  MULTINET_CHECK(bindTo(listener, target));
  if (::listen(listener.get(), 1) != 0) return fail(errnoError("listen", errno));
  MULTINET_TRY(Fd near, openSocket(from, SOCK_STREAM));
  MULTINET_CHECK(connectTo(near, target));
  Fd far(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!far.valid()) return fail(errnoError("accept", errno));
  if (::setsockopt(far.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return fail(errnoError("limit socket", errno));
  }
  return Ends{std::move(near), std::move(far)};
}

Result<Conversation::Ends> Conversation::connectPackets(const Fd& from, const Fd& to,
                                                        const std::string& address,
                                                        std::uint16_t port) {
  MULTINET_TRY(const sockaddr_in target, parse(address, port));
  MULTINET_TRY(Fd far, openSocket(to, SOCK_DGRAM));
  MULTINET_CHECK(bindTo(far, target));
  MULTINET_TRY(Fd near, openSocket(from, SOCK_DGRAM));
  MULTINET_CHECK(connectTo(near, target));
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (::getsockname(near.get(), raw(own), &size) != 0) return fail(errnoError("look", errno));
  MULTINET_CHECK(connectTo(far, own));
  return Ends{std::move(near), std::move(far)};
}

Result<Conversation> Conversation::open(const Fd& from, const Fd& to, const std::string& address,
                                        std::uint16_t port) {
  MULTINET_TRY(Ends stream, connectStream(from, to, address, port));
  MULTINET_TRY(Ends packets, connectPackets(from, to, address, port));
  return Conversation(std::move(stream), std::move(packets));
}

Result<double> Conversation::send(std::size_t bytes) {
  return timed(
      [&]() -> Status {
        MULTINET_CHECK(sendAll(stream_.near, bytes));
        return receiveAll(stream_.near, 1);
      },
      [&]() -> Status {
        MULTINET_CHECK(receiveAll(stream_.far, bytes));
        return sendAll(stream_.far, 1);
      },
      1);
}

Result<double> Conversation::roundTrips(int count) {
  return timed(
      [&]() -> Status {
        for (int i = 0; i < count; ++i) {
          MULTINET_CHECK(sendAll(packets_.near, 1));
          MULTINET_CHECK(receiveAll(packets_.near, 1));
        }
        return {};
      },
      [&]() -> Status {
        for (int i = 0; i < count; ++i) {
          MULTINET_CHECK(receiveAll(packets_.far, 1));
          MULTINET_CHECK(sendAll(packets_.far, 1));
        }
        return {};
      },
      0);
}

}  // namespace multinet::bench
