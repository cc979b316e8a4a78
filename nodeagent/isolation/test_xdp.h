// An AF_XDP socket that sends: past queues, packet taps and every hook of the sender's namespace.
#pragma once

#include <linux/if_xdp.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstring>
#include <optional>

#include "nodeagent/isolation/test_frames.h"

namespace multinet::agent::isolation {

/// In copy mode, on the link's first queue.
class XdpSocket {
 public:
  /// nullopt where the kernel has no such sockets.
  static std::optional<XdpSocket> open(const Fd& netns, const std::string& link) {
    const auto scope = netns::Scope::enter(netns).value();
    auto socket = netlink::Socket::open().value();
    const int index = netlink::findLink(socket, {0, link}).value().index;
    XdpSocket made(Fd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)));
    if (made.fd_.get() < 0) return std::nullopt;
    made.area_ = mapped(kAreaSize, -1, 0);
    xdp_umem_reg area{};
    area.addr = reinterpret_cast<std::uintptr_t>(made.area_);
    area.len = kAreaSize;
    area.chunk_size = kFrameSize;
    made.set(XDP_UMEM_REG, area);
    for (const int ring : {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_TX_RING}) {
      made.set(ring, kFrames);
    }
    xdp_mmap_offsets offsets{};
    socklen_t length = sizeof offsets;
    EXPECT_EQ(::getsockopt(made.fd_.get(), SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length), 0);
    auto* ring =
        mapped(offsets.tx.desc + kFrames * sizeof(xdp_desc), made.fd_.get(), XDP_PGOFF_TX_RING);
    made.producer_ = reinterpret_cast<std::uint32_t*>(ring + offsets.tx.producer);
    made.descriptors_ = ring + offsets.tx.desc;
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_flags = XDP_COPY;
    address.sxdp_ifindex = static_cast<std::uint32_t>(index);
    EXPECT_EQ(::bind(made.fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
        << errno;
    return made;
  }
  /// At most as many as there are frames, each once: none is given back.
  void send(const Bytes& frame) {
    ASSERT_LT(used_, kFrames);
    const xdp_desc descriptor{used_ * kFrameSize, static_cast<std::uint32_t>(frame.size()), 0};
    std::memcpy(area_ + descriptor.addr, frame.data(), frame.size());
    std::memcpy(descriptors_ + used_ * sizeof descriptor, &descriptor, sizeof descriptor);
    std::atomic_ref(*producer_).store(static_cast<std::uint32_t>(++used_));
    while (::sendto(fd_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0) {
      ASSERT_TRUE(errno == EAGAIN || errno == EBUSY || errno == ENOBUFS) << errno;
    }
  }

 private:
  static constexpr std::uint32_t kFrames = 256;
  static constexpr std::uint32_t kFrameSize = 2048;
  static constexpr std::size_t kAreaSize = std::size_t{kFrames} * kFrameSize;

  explicit XdpSocket(Fd fd) : fd_(std::move(fd)) {}
  static char* mapped(std::size_t size, int fd, off_t offset) {
    const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
    void* made = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset);
    EXPECT_NE(made, MAP_FAILED) << errno;
    return static_cast<char*>(made);
  }
  template <class Value>
  void set(int option, const Value& value) const {
    EXPECT_EQ(::setsockopt(fd_.get(), SOL_XDP, option, &value, sizeof value), 0) << errno;
  }

  Fd fd_;
  char* area_ = nullptr;
  char* descriptors_ = nullptr;
  std::uint32_t* producer_ = nullptr;
  std::uint64_t used_ = 0;
};

}  // namespace multinet::agent::isolation
