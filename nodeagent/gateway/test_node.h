// Clients and servers of gateways, in namespaces of their own, for tests on the real kernel. What
// can't be made throws, which ends the test.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/socket_address.h"
#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/route.h"
#include "lib/netns/netns.h"

namespace multinet::agent::gateway {

inline constexpr int kPatience = 5000;  // ms

inline IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
inline InterfaceAddress on(const std::string& text) {
  return InterfaceAddress::parse(text).value();
}

inline void must(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message);
}

/// For gateways' namespaces. Tests at the same time share /tmp, though they have mounts of their
/// own.
inline std::string ownDirectory() {
  std::string name = testing::TempDir() + "gatewaysXXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  return name;
}

inline netlink::Socket socketIn(const Fd& netns) {
  const auto scope = netns::Scope::enter(netns).value();
  return netlink::Socket::open().value();
}

/// A veth pair with an address at each end, both up.
inline void join(const Fd& one, const std::string& name, const std::vector<std::string>& addresses,
                 const Fd& other, const std::string& peer, const std::vector<std::string>& peers) {
  auto here = socketIn(one);
  auto there = socketIn(other);
  netlink::VethSpec spec;
  spec.hostName = name;
  spec.peerName = peer;
  spec.peerNetns = other.get();
  spec.peerMac = MacAddress::derive(name + peer + peers.front());
  spec.mtu = 1500;
  must(here.run(netlink::createVeth(spec)));
  must(there.run(netlink::setUp({0, peer})));
  for (const auto& each : addresses) {
    const auto link = netlink::findLink(here, {0, name}).value();
    must(here.run(netlink::addAddress(link.index, on(each))));
  }
  for (const auto& each : peers) {
    const auto link = netlink::findLink(there, {0, peer}).value();
    must(there.run(netlink::addAddress(link.index, on(each))));
  }
}

/// Answers each connection with its name and the client's address.
class Server {
 public:
  Server(const Fd& netns, std::string name, const std::string& address, std::uint16_t port)
      : name_(std::move(name)) {
    const SocketAddress at(ip(address), port);
    const auto scope = netns::Scope::enter(netns).value();
    listening_ = Fd(::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(listening_.get(), at.get(), at.size) != 0 || ::listen(listening_.get(), 16) != 0) {
      throw std::runtime_error("listen");
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }

 private:
  void serve(const std::stop_token& stop) const {
    while (!stop.stop_requested()) {
      pollfd polled{listening_.get(), POLLIN, 0};
      if (::poll(&polled, 1, 50) <= 0) continue;
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const Fd accepted(::accept(listening_.get(), reinterpret_cast<sockaddr*>(&from), &size));
      char text[INET6_ADDRSTRLEN] = "";
      if (from.ss_family == AF_INET) {
        ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&from)->sin_addr, text, sizeof text);
      } else {
        ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&from)->sin6_addr, text,
                    sizeof text);
      }
      const std::string answer = name_ + " " + text;
      static_cast<void>(::send(accepted.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
    }
  }

  const std::string name_;
  Fd listening_;
  std::jthread thread_;
};

/// What a server answers, or why nobody does; `from`: the client's address.
inline std::string ask(const Fd& netns, const std::string& address, std::uint16_t port,
                       int patience = kPatience, const std::string& from = "") {
  const SocketAddress to(ip(address), port);
  Fd socket;
  {
    const auto scope = netns::Scope::enter(netns).value();
    socket = Fd(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  if (!from.empty()) {
    const SocketAddress at(ip(from), 0);
    if (::bind(socket.get(), at.get(), at.size) != 0) return std::strerror(errno);
  }
  if (::connect(socket.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) {
    return std::strerror(errno);
  }
  pollfd polled{socket.get(), POLLOUT, 0};
  if (::poll(&polled, 1, patience) <= 0) return "timed out";
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return std::strerror(error);
  polled.events = POLLIN;
  if (::poll(&polled, 1, kPatience) <= 0) return "no answer";
  char text[200];
  const auto got = ::recv(socket.get(), text, sizeof text, 0);
  return got < 0 ? std::strerror(errno) : std::string(text, static_cast<std::size_t>(got));
}

inline const std::string kRefused = "Connection refused";

inline netlink::Request routeTo(const std::string& to, const std::string& via, int link) {
  netlink::RouteInfo route;
  route.to = IpPrefix::parse(to).value();
  route.via = ip(via);
  route.linkIndex = link;
  return netlink::addRoute(route);
}

}  // namespace multinet::agent::gateway
