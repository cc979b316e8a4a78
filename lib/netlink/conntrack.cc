#include "lib/netlink/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <vector>

#include "lib/base/fd.h"

namespace multinet::netlink {
namespace {

constexpr timeval kPatience{2, 0};
constexpr const char* kWhat = "look at the kernel's connections";

constexpr std::uint16_t typeOf(std::uint16_t message) {
  return static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8U) | message);
}

struct Tuple {
  std::uint8_t protocol = 0;
  FlowEnd from;
  FlowEnd to;
};

std::optional<Tuple> tupleIn(const Attributes& attributes, std::uint16_t which) {
  const Attributes tuple = attributes.nested(which);
  const Attributes address = tuple.nested(CTA_TUPLE_IP);
  const Attributes protocol = tuple.nested(CTA_TUPLE_PROTO);
  auto from = address.ip(CTA_IP_V4_SRC);
  auto to = address.ip(CTA_IP_V4_DST);
  if (!from) from = address.ip(CTA_IP_V6_SRC);
  if (!to) to = address.ip(CTA_IP_V6_DST);
  const auto number = protocol.u8(CTA_PROTO_NUM);
  if (!from || !to || !number) return std::nullopt;
  return Tuple{*number,
               {*from, protocol.u16Network(CTA_PROTO_SRC_PORT).value_or(0)},
               {*to, protocol.u16Network(CTA_PROTO_DST_PORT).value_or(0)}};
}

Message messageFor(std::uint16_t type, std::uint16_t flags, IpFamily family) {
  Message message(typeOf(type), flags);
  nfgenmsg header{};
  header.nfgen_family = family == IpFamily::V4 ? AF_INET : AF_INET6;
  message.header(header);
  return message;
}

Message removalOf(const UdpFlow& flow) {
  const bool v4 = flow.from.address.isV4();
  Message message = messageFor(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flow.from.address.family());
  message.nest(CTA_TUPLE_ORIG, [&](Message& tuple) {
    tuple.nest(CTA_TUPLE_IP, [&](Message& ip) {
      ip.put(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, flow.from.address);
      ip.put(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, flow.to.address);
    });
    tuple.nest(CTA_TUPLE_PROTO, [&](Message& protocol) {
      protocol.putU8(CTA_PROTO_NUM, IPPROTO_UDP);
      protocol.putU16Network(CTA_PROTO_SRC_PORT, flow.from.port);
      protocol.putU16Network(CTA_PROTO_DST_PORT, flow.to.port);
    });
  });
  return message;
}

Result<Fd> open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket.valid()) return fail(errnoError(kWhat, errno));
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return fail(errnoError(kWhat, errno));
  }
  return socket;
}

/// Hands over each message of the answer until its end; the kernel's errno.
template <class Each>
Result<int> converse(const Fd& socket, const Message& asked, const Each& each) {
  const std::vector<std::uint8_t> bytes = asked.encode(1);
  if (::send(socket.get(), bytes.data(), bytes.size(), 0) < 0) {
    return fail(errnoError(kWhat, errno));
  }
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
      each(frame.payload);
    }
  }
}

}  // namespace

Result<std::optional<UdpFlow>> decodeFlow(Bytes payload) {
  MULTINET_TRY(const auto attributes, Attributes::parse(payload, sizeof(nfgenmsg)));
  const auto original = tupleIn(attributes, CTA_TUPLE_ORIG);
  const auto reply = tupleIn(attributes, CTA_TUPLE_REPLY);
  if (!original || !reply || original->protocol != IPPROTO_UDP) return std::optional<UdpFlow>();
  return std::optional(UdpFlow{original->from, original->to, reply->from});
}

Result<unsigned> endUdpFlows(const std::function<bool(const UdpFlow&)>& ends) {
  MULTINET_TRY(const Fd socket, open());
  std::vector<UdpFlow> ended;
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    MULTINET_TRY(
        const int refused,
        converse(socket, messageFor(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family), [&](Bytes payload) {
          const auto flow = decodeFlow(payload);
          if (flow && *flow && ends(**flow)) ended.push_back(**flow);
        }));
    if (refused != 0) return fail(errnoError(kWhat, refused));
  }
  unsigned count = 0;
  for (const UdpFlow& flow : ended) {
    MULTINET_TRY(const int refused, converse(socket, removalOf(flow), [](Bytes) {}));
    // It may have ended by itself.
    if (refused != 0 && refused != ENOENT) return fail(errnoError(kWhat, refused));
    if (refused == 0) ++count;
  }
  return count;
}

}  // namespace multinet::netlink
