// Raw Ethernet frames of one type over one link (AF_PACKET), for probes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/base/mac.h"

namespace multinet::netns {

/// One frame without its Ethernet header.
struct EthernetFrame {
  MacAddress from;
  MacAddress to;
  std::vector<std::uint8_t> payload;
};

/// Sends and hears frames of one ethertype on one link of the namespace in which it was opened.
/// Never blocks. Not thread-safe.
class PacketSocket {
 public:
  [[nodiscard]] static Result<PacketSocket> open(int linkIndex, std::uint16_t ethertype);
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The payload may be as long as the link's MTU. NotFound or Unavailable where the link is gone
  /// or down.
  [[nodiscard]] Status send(const EthernetFrame& frame);
  /// Hands over at most `limit` waiting frames that were sent to us; what was cut is left out.
  void drain(std::size_t limit, const std::function<void(EthernetFrame)>& each);

 private:
  PacketSocket(Fd fd, int linkIndex, std::uint16_t ethertype);
  Fd fd_;
  int linkIndex_;
  std::uint16_t ethertype_;
};

}  // namespace multinet::netns
