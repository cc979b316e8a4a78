#include "lib/netlink/conversation.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <vector>

namespace multinet::netlink {
namespace {

constexpr timeval kPatience{2, 0};

}  // namespace

Result<Fd> openFor(int protocol, const char* what) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket.valid()) return fail(errnoError(what, errno));
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return fail(errnoError(what, errno));
  }
  return socket;
}

Result<int> converse(const Fd& socket, Bytes asked, const char* what,
                     const std::function<void(Bytes)>& each) {
  if (::send(socket.get(), asked.data(), asked.size(), 0) < 0) return fail(errnoError(what, errno));
  std::array<std::uint8_t, 32768> buffer{};
  while (true) {
    const ssize_t length = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (length < 0) return fail(errnoError(what, errno));
    MULTINET_TRY(const std::vector<Frame> frames,
                 parseFrames({buffer.data(), static_cast<std::size_t>(length)}));
    for (const Frame& frame : frames) {
      if (frame.type == NLMSG_DONE) return 0;
      if (frame.type == NLMSG_ERROR) {
        MULTINET_TRY(const Ack ack, parseAck(frame));
        return ack.errorNumber;
      }
      each(frame.payload);
    }
  }
}

}  // namespace multinet::netlink
