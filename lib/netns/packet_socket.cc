#include "lib/netns/packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace multinet::netns {
namespace {

constexpr std::size_t kHeader = 14;
constexpr std::size_t kLargestFrame = 65536;

}  // namespace

PacketSocket::PacketSocket(Fd fd, int linkIndex, std::uint16_t ethertype)
    : fd_(std::move(fd)), linkIndex_(linkIndex), ethertype_(ethertype) {}

Result<PacketSocket> PacketSocket::open(int linkIndex, std::uint16_t ethertype) {
  const std::string what = "open packet socket on link " + std::to_string(linkIndex);
  // Protocol 0 hears nothing until bind, so that no frame of another link slips in.
  Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail(errnoError(what, errno));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ethertype);
  address.sll_ifindex = linkIndex;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail(errnoError(what, errno));
  }
  return PacketSocket(std::move(fd), linkIndex, ethertype);
}

Status PacketSocket::send(const EthernetFrame& frame) {
  std::vector<std::uint8_t> bytes(kHeader + frame.payload.size());
  std::copy(frame.to.bytes().begin(), frame.to.bytes().end(), bytes.begin());
  std::copy(frame.from.bytes().begin(), frame.from.bytes().end(), bytes.begin() + 6);
  const std::uint16_t type = htons(ethertype_);
  std::memcpy(bytes.data() + 12, &type, sizeof type);
  std::copy(frame.payload.begin(), frame.payload.end(), bytes.begin() + kHeader);
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) >= 0) return {};
  return fail(errnoError("send frame on link " + std::to_string(linkIndex_), errno));
}

void PacketSocket::drain(std::size_t limit, const std::function<void(EthernetFrame)>& each) {
  std::vector<std::uint8_t> buffer(kLargestFrame);
  for (std::size_t seen = 0; seen < limit; ++seen) {
    sockaddr_ll source{};
    socklen_t length = sizeof source;
    const ssize_t size = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC,
                                    reinterpret_cast<sockaddr*>(&source), &length);
    if (size < 0) {
      // ENETDOWN is told once when the link goes down; frames may still wait behind it.
      if (errno == EINTR || errno == ENETDOWN) continue;
      return;
    }
    const auto whole = static_cast<std::size_t>(size);
    if (whole < kHeader || whole > buffer.size() || source.sll_pkttype != PACKET_HOST) continue;
    std::array<std::uint8_t, 6> to{};
    std::array<std::uint8_t, 6> from{};
    std::memcpy(to.data(), buffer.data(), to.size());
    std::memcpy(from.data(), buffer.data() + 6, from.size());
    each(EthernetFrame{
        MacAddress(from), MacAddress(to), {buffer.begin() + kHeader, buffer.begin() + size}});
  }
}

}  // namespace multinet::netns
