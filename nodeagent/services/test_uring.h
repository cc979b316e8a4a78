// For tests: a connect that the kernel makes for a ring instead of a system call.
#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "lib/base/fd.h"

namespace multinet::agent::services {

/// One ring for one connect: io_uring(7), without a library. An errno, or 0; ENOSYS or EPERM where
/// there are no rings.
inline int connectByRing(int socket, const sockaddr* to, socklen_t size) {
  io_uring_params told{};
  const Fd ring(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &told)));
  if (!ring.valid()) return errno;
  const auto map = [&](std::size_t length, off_t what) {
    void* at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, ring.get(), what);
    return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
  };
  constexpr std::size_t kPage = 4096;  // holds rings of one entry
  std::byte* submissions = map(kPage, IORING_OFF_SQ_RING);
  std::byte* completions = map(kPage, IORING_OFF_CQ_RING);
  std::byte* entries = map(sizeof(io_uring_sqe), IORING_OFF_SQES);
  if (submissions == nullptr || completions == nullptr || entries == nullptr) return errno;
  const auto number = [](std::byte* at, std::uint32_t offset) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at + offset));
  };
  auto& asked = *reinterpret_cast<io_uring_sqe*>(entries);
  asked = {};
  asked.opcode = IORING_OP_CONNECT;
  asked.fd = socket;
  asked.addr = reinterpret_cast<std::uintptr_t>(to);
  asked.off = size;
  number(submissions, told.sq_off.array) = 0;
  number(submissions, told.sq_off.tail) = 1;
  if (::syscall(SYS_io_uring_enter, ring.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1)
    return errno;
  if (number(completions, told.cq_off.tail) != 1) return EAGAIN;
  return -reinterpret_cast<io_uring_cqe*>(completions + told.cq_off.cqes)->res;
}

}  // namespace multinet::agent::services
