#include "lib/netlink/sock_diag.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/netlink/conversation.h"

namespace multinet::netlink {
namespace {

constexpr std::uint32_t kEstablished = 1U << 1U;  // TCP_ESTABLISHED: for UDP, connected
constexpr const char* kWhat = "ask the kernel for its sockets";

struct Question {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

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

/// Hands over each socket of the answer.
template <class Each>
Result<int> ask(const Fd& socket, const Question& asked, const Each& each) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&asked);
  return converse(socket, {bytes, sizeof asked}, kWhat, [&each](Bytes payload) {
    if (payload.size() < sizeof(inet_diag_msg)) return;
    inet_diag_msg message{};
    std::memcpy(&message, payload.data(), sizeof message);
    each(message);
  });
}

}  // namespace

Result<std::vector<UdpSocket>> connectedUdp() {
  std::vector<UdpSocket> found;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    MULTINET_TRY(const Fd socket, openFor(NETLINK_SOCK_DIAG, kWhat));
    MULTINET_TRY(const int error,
                 ask(socket, question(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family),
                     [&](const inet_diag_msg& one) { found.push_back(socketOf(one)); }));
    if (error != 0) return fail(errnoError(kWhat, error));
  }
  return found;
}

Status destroy(const UdpSocket& socket) {
  Question asked = question(SOCK_DESTROY, NLM_F_ACK, socket.family);
  asked.body.id = socket.id;
  MULTINET_TRY(const Fd door, openFor(NETLINK_SOCK_DIAG, kWhat));
  MULTINET_TRY(const int error, ask(door, asked, [](const inet_diag_msg&) {}));
  if (error == 0 || error == ENOENT) return {};
  return fail(errnoError("end a UDP socket whose endpoint is gone", error));
}

}  // namespace multinet::netlink
