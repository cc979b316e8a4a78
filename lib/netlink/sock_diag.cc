#include "lib/netlink/sock_diag.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/fd.h"
#include "lib/netlink/codec.h"

namespace multinet::netlink {
namespace {

constexpr std::uint32_t kEstablished = 1U << 1U;  // TCP_ESTABLISHED: for UDP, connected
constexpr timeval kPatience{2, 0};
constexpr const char* kWhat = "ask the kernel for its sockets";

struct Question {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

Result<Fd> open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket.valid()) return fail(errnoError(kWhat, errno));
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return fail(errnoError(kWhat, errno));
  }
  return socket;
}

Question question(std::uint16_t type, std::uint16_t flags, std::uint8_t family) {
  Question asked;
  asked.header.nlmsg_len = sizeof asked;
  asked.header.nlmsg_type = type;
  asked.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  asked.body.sdiag_family = family;
  asked.body.sdiag_protocol = IPPROTO_UDP;
  asked.body.idiag_states = kEstablished;
  return asked;
}

UdpSocket socketOf(const inet_diag_msg& message) {
  UdpSocket socket;
  socket.family = message.idiag_family;
  socket.id = message.id;
  socket.cookie = message.id.idiag_cookie[0] | std::uint64_t{message.id.idiag_cookie[1]}
                                                   << 32U;  // sock_diag_save_cookie
  socket.port = message.id.idiag_dport;
  if (message.idiag_family == AF_INET6) {
    std::memcpy(socket.remote.data(), message.id.idiag_dst, 16);
  } else {
    socket.remote[10] = socket.remote[11] = 0xff;
    std::memcpy(socket.remote.data() + 12, message.id.idiag_dst, 4);
  }
  return socket;
}

/// Hands over each message of the answer until its end; errno of the kernel's refusal.
template <class Each>
Result<int> converse(const Fd& socket, const Question& asked, const Each& each) {
  if (::send(socket.get(), &asked, sizeof asked, 0) < 0) return fail(errnoError(kWhat, errno));
  std::array<std::uint8_t, 32768> buffer{};
  while (true) {
    const ssize_t length = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (length < 0) return fail(errnoError(kWhat, errno));
    MULTINET_TRY(const std::vector<Frame> frames,
                 parseFrames({buffer.data(), static_cast<std::size_t>(length)}));
    for (const Frame& frame : frames) {
      if (frame.type == NLMSG_DONE) return 0;
      if (frame.type == NLMSG_ERROR) {
        MULTINET_TRY(const Ack ack, parseAck(frame));
        return ack.errorNumber;
      }
      if (frame.payload.size() < sizeof(inet_diag_msg)) continue;
      inet_diag_msg message{};
      std::memcpy(&message, frame.payload.data(), sizeof message);
      each(message);
    }
  }
}

}  // namespace

Result<std::vector<UdpSocket>> connectedUdp() {
  std::vector<UdpSocket> found;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    MULTINET_TRY(const Fd socket, open());
    MULTINET_TRY(const int error,
                 converse(socket, question(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family),
                          [&](const inet_diag_msg& one) { found.push_back(socketOf(one)); }));
    if (error != 0) return fail(errnoError(kWhat, error));
  }
  return found;
}

Status destroy(const UdpSocket& socket) {
  Question asked = question(SOCK_DESTROY, NLM_F_ACK, socket.family);
  asked.body.id = socket.id;
  MULTINET_TRY(const Fd door, open());
  MULTINET_TRY(const int error, converse(door, asked, [](const inet_diag_msg&) {}));
  if (error == 0 || error == ENOENT) return {};
  return fail(errnoError("end a UDP socket whose endpoint is gone", error));
}

}  // namespace multinet::netlink
