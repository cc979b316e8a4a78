// Frames as an attacker writes them, byte by byte, and raw sockets that send and hear them.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/fd.h"
#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "lib/netlink/link.h"
#include "lib/netlink/socket.h"
#include "lib/netns/netns.h"

namespace multinet::agent::isolation {

using Bytes = std::vector<std::uint8_t>;

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}
inline Bytes word(unsigned number) {
  return {static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)};
}
inline Bytes of(const MacAddress& mac) {
  return {mac.bytes().begin(), mac.bytes().end()};
}
inline Bytes of(const std::string& address) {
  const IpAddress ip = IpAddress::parse(address).value();
  const auto bytes = ip.bytes();
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(ip.byteCount())};
}
inline MacAddress macOf(const std::string& text) {
  return MacAddress::parse(text).value();
}
inline const Bytes kEverybody(6, 0xff);

inline Bytes ethernet(const Bytes& to, const MacAddress& from, unsigned type,
                      const Bytes& payload) {
  return to + of(from) + word(type) + payload;
}
inline Bytes ethernet(const MacAddress& to, const MacAddress& from, unsigned type,
                      const Bytes& payload) {
  return ethernet(of(to), from, type, payload);
}
inline Bytes ipv4(const std::string& from, const std::string& to, std::uint8_t protocol,
                  const Bytes& payload, unsigned fragment = 0) {
  const auto header = [&](unsigned checksum) {
    return Bytes{0x45, 0} + word(static_cast<unsigned>(20 + payload.size())) + Bytes{0, 7} +
           word(fragment) + Bytes{64, protocol} + word(checksum) + of(from) + of(to);
  };
  const Bytes bare = header(0);
  unsigned sum = 0;
  for (std::size_t i = 0; i < bare.size(); i += 2) sum += bare[i] * 256U + bare[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return header(~sum & 0xffffU) + payload;
}
inline Bytes ipv6(const std::string& from, const std::string& to, std::uint8_t next,
                  const Bytes& payload, std::uint8_t hops = 255) {
  return Bytes{0x60, 0, 0, 0} + word(static_cast<unsigned>(payload.size())) + Bytes{next, hops} +
         of(from) + of(to) + payload;
}
inline Bytes udp(unsigned from, unsigned to) {
  const Bytes data(16, 0x55);
  return word(from) + word(to) + word(static_cast<unsigned>(8 + data.size())) + Bytes{0, 0} + data;
}
inline Bytes icmp(std::uint8_t type, const Bytes& rest = Bytes(20, 0)) {
  return Bytes{type, 0, 0, 0} + rest;
}
/// A neighbour's question (135) or answer (136), RFC 4861.
inline Bytes neighbour(std::uint8_t type, const std::string& target) {
  return icmp(type, Bytes(4, 0) + of(target));
}
inline Bytes arp(unsigned operation, const MacAddress& mac, const std::string& from,
                 const std::string& to) {
  return Bytes{0, 1, 8, 0, 6, 4} + word(operation) + of(mac) + of(from) + Bytes(6, 0) + of(to) +
         Bytes(18, 0);
}
/// The frame with an 802.1Q tag.
inline Bytes tagged(const Bytes& frame, unsigned vlan) {
  const auto types = frame.begin() + 12;
  return Bytes(frame.begin(), types) + word(0x8100) + word(vlan) + Bytes(types, frame.end());
}

/// Until the link's bridge forwards what comes in at it: the kernel begins that some time after
/// both ends are up (linkwatch), and a machine that is busy with namespaces takes its time.
inline void awaitForwarding(netlink::Socket& socket, const std::string& link) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (;;) {
    const auto port = netlink::findLink(socket, {0, link});
    ASSERT_TRUE(port) << port.error().message;
    if (port->up && port->carrier && port->changedPort.empty()) return;
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << link << " doesn't forward";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// All frames of one link.
class RawSocket {
 public:
  /// `bypass`: past the link's queues (PACKET_QDISC_BYPASS).
  RawSocket(const Fd& netns, const std::string& link, bool bypass = false) : bypass_(bypass) {
    const auto scope = netns::Scope::enter(netns).value();
    auto socket = netlink::Socket::open().value();
    index_ = netlink::findLink(socket, {0, link}).value().index;
    fd_ = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index_;
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const int on = 1;
    if (bypass) {
      EXPECT_EQ(::setsockopt(fd_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on), 0);
    }
    // Else frames that come untagged from the driver have lost their tag.
    EXPECT_EQ(::setsockopt(fd_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on), 0);
    const timeval patience{20, 0};
    EXPECT_EQ(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    const int room = 8 << 20;
    static_cast<void>(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room));
  }
  void send(const Bytes& frame) const {
    // ENOBUFS: the link's queue is full, as it is in a flood.
    while (!isSent(frame, typeOf(frame))) {
      ASSERT_TRUE(errno == ENOBUFS || errno == EAGAIN) << errno;
    }
  }
  /// Where rules of its own namespace may drop it: then the kernel says ENOBUFS too.
  void offer(const Bytes& frame) const { offerAs(frame, typeOf(frame)); }
  /// As of a protocol that it needn't be of; 0: the kernel is to find out.
  void offerAs(const Bytes& frame, unsigned protocol) const {
    if (isSent(frame, protocol)) return;
    ASSERT_TRUE(errno == ENOBUFS || errno == EPERM) << errno;
  }
  /// The next that came in; empty after 20 s without one.
  [[nodiscard]] Bytes next() const {
    for (;;) {
      Bytes frame(65536);
      sockaddr_ll from{};
      socklen_t length = sizeof from;
      const ssize_t size = ::recvfrom(fd_.get(), frame.data(), frame.size(), 0,
                                      reinterpret_cast<sockaddr*>(&from), &length);
      if (size < 0) return {};
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<std::size_t>(size));
      return frame;
    }
  }

 private:
  /// Past the queues a frame whose protocol is named has no place of its Ethernet header noted, and
  /// rules that read it don't apply.
  [[nodiscard]] unsigned typeOf(const Bytes& frame) const {
    return bypass_ ? 0 : frame.at(12) * 256U + frame.at(13);
  }
  [[nodiscard]] bool isSent(const Bytes& frame, unsigned protocol) const {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(static_cast<std::uint16_t>(protocol));
    to.sll_ifindex = index_;
    return ::sendto(fd_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to),
                    sizeof to) >= 0;
  }

  Fd fd_;
  int index_ = 0;
  const bool bypass_;
};

/// Whether `frame` came out at `receiver` before `last`, which does in any case.
inline bool isHeard(const Bytes& frame, const Bytes& last, const RawSocket& receiver) {
  bool seen = false;
  for (Bytes heard = receiver.next(); heard != last; heard = receiver.next()) {
    if (heard.empty()) {
      ADD_FAILURE() << "nothing comes through";
      return false;
    }
    seen = seen || heard == frame;
  }
  return seen;
}

/// Hears all that comes out at a link, as it comes: a socket that nobody reads loses frames.
class Ears {
 public:
  /// Counts frames that are `wanted` until one is `last`.
  Ears(const Fd& netns, const std::string& link, Bytes wanted, Bytes last)
      : socket_(netns, link),
        wanted_(std::move(wanted)),
        last_(std::move(last)),
        thread_([this] { run(); }) {}
  ~Ears() { thread_.join(); }
  Ears(const Ears&) = delete;
  Ears& operator=(const Ears&) = delete;

  /// Sends the last frame until it is heard; how many of the wanted ones were.
  [[nodiscard]] unsigned countUntilLast(const RawSocket& sender) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!ended_) {
      sender.send(last_);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (std::chrono::steady_clock::now() > limit) break;
    }
    EXPECT_TRUE(ended_ && !lost_) << "nothing comes through";
    return count_;
  }

 private:
  void run() {
    for (Bytes heard = socket_.next(); heard != last_; heard = socket_.next()) {
      lost_ = lost_ || (heard.empty() && ++silences_ > 5);
      if (lost_) break;
      if (heard == wanted_) ++count_;
    }
    ended_ = true;
  }
  const RawSocket socket_;
  const Bytes wanted_;
  const Bytes last_;
  unsigned silences_ = 0;
  std::atomic<bool> lost_{false};
  std::atomic<bool> ended_{false};
  std::atomic<unsigned> count_{0};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace multinet::agent::isolation
