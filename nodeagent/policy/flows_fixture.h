// Two pods that speak by sockets.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "nodeagent/policy/bridge_fixture.h"

namespace multinet::agent::policing {

enum class End : std::uint8_t { Client, Server };

inline sockaddr_in6 socketAddress(const TestPod& pod, unsigned port, bool isV6) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<std::uint16_t>(port));
  const std::string text = isV6 ? pod.v6() : "::ffff:" + pod.v4();
  EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), &address.sin6_addr), 1);
  return address;
}

/// A socket in the pod's namespace, bound to its address.
inline Fd openSocket(const TestPod& pod, int type, unsigned port, bool isV6) {
  const auto scope = netns::Scope::enter(pod.netns()).value();
  Fd fd(::socket(AF_INET6, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  const sockaddr_in6 own = socketAddress(pod, port, isV6);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0)
      << std::strerror(errno);
  return fd;
}

inline bool isReadable(const Fd& fd, int milliseconds) {
  pollfd asked{fd.get(), POLLIN, 0};
  return ::poll(&asked, 1, milliseconds) == 1;
}

/// How long what will come may take, and how long what mustn't is waited for.
inline constexpr int kPatience = 5000;
inline constexpr int kSilence = 60;

/// A datagram socket of each.
class UdpPair {
 public:
  UdpPair(const TestPod& client, const TestPod& server, unsigned port, bool isV6, unsigned from = 0)
      : server_(openSocket(server, SOCK_DGRAM, port, isV6)),
        client_(openSocket(client, SOCK_DGRAM, from, isV6)) {
    const sockaddr_in6 to = socketAddress(server, port, isV6);
    EXPECT_EQ(::connect(client_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    socklen_t size = sizeof clientAddress_;
    ::getsockname(client_.get(), reinterpret_cast<sockaddr*>(&clientAddress_), &size);
  }
  /// Whether what one end sends comes out at the other.
  [[nodiscard]] bool arrives(End from, std::size_t size = 8, int patience = kSilence) {
    const Bytes sent(size, ++count_);
    if (from == End::Client) {
      static_cast<void>(::send(client_.get(), sent.data(), sent.size(), 0));
      return hears(server_, sent, patience);
    }
    static_cast<void>(::sendto(server_.get(), sent.data(), sent.size(), 0,
                               reinterpret_cast<const sockaddr*>(&clientAddress_),
                               sizeof clientAddress_));
    return hears(client_, sent, patience);
  }
  /// There and back.
  [[nodiscard]] bool exchange(std::size_t size = 8) {
    return arrives(End::Client, size, kSilence * 5) && arrives(End::Server, size, kSilence * 5);
  }
  void closeServer() { server_ = Fd(); }
  [[nodiscard]] bool isRefused() {
    const Bytes sent(8, ++count_);
    static_cast<void>(::send(client_.get(), sent.data(), sent.size(), 0));
    pollfd asked{client_.get(), POLLIN, 0};
    if (::poll(&asked, 1, kPatience) != 1) return false;
    return ::send(client_.get(), sent.data(), sent.size(), 0) < 0 && errno == ECONNREFUSED;
  }

 private:
  static bool hears(const Fd& fd, const Bytes& wanted, int patience) {
    Bytes heard(65536);
    while (isReadable(fd, patience)) {
      const ssize_t size = ::recv(fd.get(), heard.data(), heard.size(), 0);
      if (size < 0) return false;
      if (Bytes(heard.begin(), heard.begin() + size) == wanted) return true;
    }
    return false;
  }
  Fd server_;
  Fd client_;
  sockaddr_in6 clientAddress_{};
  std::uint8_t count_ = 0;
};

/// A connection.
class TcpPair {
 public:
  TcpPair(const TestPod& client, const TestPod& server, unsigned port, bool isV6, unsigned from = 0)
      : client_(openSocket(client, SOCK_STREAM, from, isV6)) {
    const Fd listener = openSocket(server, SOCK_STREAM, port, isV6);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    const sockaddr_in6 to = socketAddress(server, port, isV6);
    EXPECT_EQ(::connect(client_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0)
        << std::strerror(errno);
    server_ = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int on = 1;
    for (const Fd* fd : {&client_, &server_}) {
      ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
  }
  /// What comes later, since TCP repeats it, counts too.
  [[nodiscard]] bool arrives(End from, int patience = kSilence) {
    const Fd& sender = from == End::Client ? client_ : server_;
    const Fd& receiver = from == End::Client ? server_ : client_;
    static_cast<void>(::send(sender.get(), "x", 1, MSG_NOSIGNAL));
    if (!isReadable(receiver, patience)) return false;
    std::array<char, 256> heard{};
    return ::recv(receiver.get(), heard.data(), heard.size(), 0) > 0;
  }
  [[nodiscard]] bool arrivesInTime(End from) { return arrives(from, kPatience); }
  [[nodiscard]] bool exchange() {
    return arrives(End::Client, kSilence * 5) && arrives(End::Server, kSilence * 5);
  }

 private:
  Fd client_;
  Fd server_;
};

}  // namespace multinet::agent::policing
