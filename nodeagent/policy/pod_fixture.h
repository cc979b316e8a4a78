// Pods whose links stand on a device of the node, for tests on the real kernel: no bridge sees what
// they send each other, so each is held in its own namespace.
#pragma once

#include <netinet/in.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/netlink/route.h"
#include "nodeagent/policy/flows_fixture.h"
#include "nodeagent/policy/pod_guards.h"

namespace multinet::agent::policing {

/// A node with `parent0`, and guards.
class ParentNode {
 public:
  /// Its pods' links are ipvlans of such a mode; nothing: macvlans.
  explicit ParentNode(std::optional<std::uint16_t> ipvlanMode = std::nullopt)
      : ipvlanMode_(ipvlanMode), netns_(netns::make().value()), wire_(netns::make().value()) {
    const auto scope = netns::Scope::enter(netns_).value();
    socket_.emplace(netlink::Socket::open().value());
    netlink::VethSpec spec;
    spec.hostName = "parent0";
    spec.peerName = "wire0";
    spec.peerNetns = wire_.get();
    spec.peerMac = macOf("02:00:00:00:09:09");
    spec.mtu = 1500;
    EXPECT_TRUE(socket_->run(netlink::createVeth(spec)));
    EXPECT_TRUE(socket_->run(netlink::setUp({0, "parent0"})));
    const auto inWire = netns::Scope::enter(wire_).value();
    auto wire = netlink::Socket::open().value();
    EXPECT_TRUE(wire.run(netlink::setUp({0, "wire0"})));
    start();
  }
  [[nodiscard]] MacAddress parentMac() {
    return netlink::findLink(*socket_, {0, "parent0"}).value().mac;
  }
  /// Where the parent's cable ends, and whoever is there.
  [[nodiscard]] const Fd& wire() const { return wire_; }
  /// A new agent.
  void start() {
    guards_.reset();
    PolicyGuardOptions options;
    options.lookEvery = std::chrono::milliseconds(50);
    guards_ = std::make_unique<PodGuards>(std::move(options), clock_);
  }
  [[nodiscard]] PodGuards& guards() { return *guards_; }
  /// As an attach does it: rules, the link, rules that need the link, and up.
  void attach(TestPod& pod) {
    if (ipvlanMode_) {
      pod.stand(*socket_, "parent0", *ipvlanMode_);
    } else {
      pod.stand(*socket_, "parent0");
    }
    const Status linked = guards_->linked(portOf(pod));
    ASSERT_TRUE(linked) << linked.error().message;
    pod.begin();
    pod.address();
  }
  [[nodiscard]] static attach::PodPort portOf(const TestPod& pod) {
    auto netns = std::make_shared<const Fd>(pod.netns().duplicate().value());
    return {pod.port(), "net1", kBlue, std::move(netns)};
  }
  /// What is in the tables of a pod; nothing where there are none.
  [[nodiscard]] static nft::Elements elements(const TestPod& pod) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    auto committer = nft::Committer::open().value();
    const Tables tables = tablesFor(Tracking::Pod, 0);
    nft::Elements all;
    for (const auto* table : {&tables.rules, &tables.flows}) {
      const auto listing = committer.list(*table).value();
      if (listing) all.insert(listing->sets.begin(), listing->sets.end());
    }
    return all;
  }
  /// What a container of the pod that may do so does to its rules.
  [[nodiscard]] static Status nft(const TestPod& pod, const std::string& commands) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    return nft::Committer::open().value().commit(commands);
  }
  [[nodiscard]] static std::uint32_t generation(const TestPod& pod) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    return nft::Generation::open().value().read().value();
  }

 private:
  const std::optional<std::uint16_t> ipvlanMode_;
  SystemClock clock_;
  Fd netns_;
  Fd wire_;
  std::optional<netlink::Socket> socket_;
  std::unique_ptr<PodGuards> guards_;
};

/// Sends and hears packets as its kernel routes them, with whatever headers.
class RoutedSocket {
 public:
  explicit RoutedSocket(const TestPod& pod) {
    const auto scope = netns::Scope::enter(pod.netns()).value();
    for (const bool isV6 : {false, true}) {
      const int family = isV6 ? AF_INET6 : AF_INET;
      (isV6 ? out6_ : out4_) = Fd(::socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
      for (const int protocol :
           std::array<int, 4>{IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP,
                              isV6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}}) {
        in_.emplace_back(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
        EXPECT_GE(in_.back().get(), 0) << std::strerror(errno);
      }
    }
  }
  /// `packet` with its IP header. Whether its own kernel took it.
  bool send(const policy::Packet& packet, const Bytes& bytes) const {
    const std::string to = packet.destination.str();
    if (packet.destination.isV4()) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      ::inet_pton(AF_INET, to.c_str(), &address.sin_addr);
      return ::sendto(out4_.get(), bytes.data(), bytes.size(), 0,
                      reinterpret_cast<sockaddr*>(&address), sizeof address) > 0;
    }
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    ::inet_pton(AF_INET6, to.c_str(), &address.sin6_addr);
    return ::sendto(out6_.get(), bytes.data(), bytes.size(), 0,
                    reinterpret_cast<sockaddr*>(&address), sizeof address) > 0;
  }
  /// Whether what came in since the last time has one with that behind its IP header.
  [[nodiscard]] bool heard(const Bytes& inner) const {
    bool found = false;
    Bytes packet(4096);
    for (const Fd& fd : in_) {
      for (;;) {
        const ssize_t size = ::recv(fd.get(), packet.data(), packet.size(), 0);
        if (size < 0) break;
        const auto length = static_cast<std::size_t>(size);
        const bool isThis = length >= inner.size() &&
                            std::equal(inner.begin(), inner.end(),
                                       packet.begin() + size - static_cast<long>(inner.size()));
        found = found || isThis;
      }
    }
    return found;
  }

 private:
  Fd out4_;
  Fd out6_;
  std::vector<Fd> in_;
};

}  // namespace multinet::agent::policing
