#include "lib/netlink/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "lib/netlink/conversation.h"

namespace multinet::netlink {
namespace {

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

}  // namespace

Result<std::optional<UdpFlow>> decodeFlow(Bytes payload) {
  MULTINET_TRY(const auto attributes, Attributes::parse(payload, sizeof(nfgenmsg)));
  const auto original = tupleIn(attributes, CTA_TUPLE_ORIG);
  const auto reply = tupleIn(attributes, CTA_TUPLE_REPLY);
  if (!original || !reply || original->protocol != IPPROTO_UDP) return std::optional<UdpFlow>();
  return std::optional(UdpFlow{original->from, original->to, reply->from});
}

Result<unsigned> endUdpFlows(const std::function<bool(const UdpFlow&)>& ends) {
  MULTINET_TRY(const Fd socket, openFor(NETLINK_NETFILTER, kWhat));
  const auto ask = [&socket](const Message& asked, const std::function<void(Bytes)>& each) {
    return converse(socket, asked.encode(1), kWhat, each);
  };
  std::vector<UdpFlow> ended;
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    MULTINET_TRY(const int refused,
                 ask(messageFor(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family), [&](Bytes payload) {
                   const auto flow = decodeFlow(payload);
                   if (flow && *flow && ends(**flow)) ended.push_back(**flow);
                 }));
    if (refused != 0) return fail(errnoError(kWhat, refused));
  }
  unsigned count = 0;
  for (const UdpFlow& flow : ended) {
    MULTINET_TRY(const int refused, ask(removalOf(flow), [](Bytes) {}));
    // It may have ended by itself.
    if (refused != 0 && refused != ENOENT) return fail(errnoError(kWhat, refused));
    if (refused == 0) ++count;
  }
  return count;
}

}  // namespace multinet::netlink
