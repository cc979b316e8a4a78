#include "lib/netlink/conntrack.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

namespace multinet::netlink {
namespace {

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

void putTuple(Message& message, std::uint16_t which, std::uint8_t protocol, const FlowEnd& from,
              const FlowEnd& to) {
  message.nest(which, [&](Message& tuple) {
    tuple.nest(CTA_TUPLE_IP, [&](Message& address) {
      address.put(from.address.isV4() ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, from.address);
      address.put(from.address.isV4() ? CTA_IP_V4_DST : CTA_IP_V6_DST, to.address);
    });
    tuple.nest(CTA_TUPLE_PROTO, [&](Message& number) {
      number.putU8(CTA_PROTO_NUM, protocol);
      number.putU16Network(CTA_PROTO_SRC_PORT, from.port);
      number.putU16Network(CTA_PROTO_DST_PORT, to.port);
    });
  });
}

std::vector<std::uint8_t> flow(std::uint8_t protocol, const std::string& client,
                               const std::string& to, const std::string& answerer) {
  Message message(0, 0);
  message.header(nfgenmsg{});
  putTuple(message, CTA_TUPLE_ORIG, protocol, {ip(client), 5000}, {ip(to), 53});
  putTuple(message, CTA_TUPLE_REPLY, protocol, {ip(answerer), 5353}, {ip(client), 5000});
  const auto bytes = message.encode(1);
  return {bytes.begin() + 16, bytes.end()};  // without the header of netlink
}

TEST(Conntrack, AFlowSaysWhomItWasMeantForAndWhoAnswers) {
  for (const auto& [client, to, answerer] : {std::tuple("10.0.0.1", "10.96.0.5", "10.20.0.5"),
                                             std::tuple("fd00::1", "fd96::5", "fd20::5")}) {
    const auto found = decodeFlow(flow(IPPROTO_UDP, client, to, answerer)).value();
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, (UdpFlow{{ip(client), 5000}, {ip(to), 53}, {ip(answerer), 5353}}));
  }
}

TEST(Conntrack, OthersAndHalvesAreNone) {
  EXPECT_FALSE(decodeFlow(flow(IPPROTO_TCP, "10.0.0.1", "10.0.0.2", "10.0.0.2")).value());
  const auto whole = flow(IPPROTO_UDP, "10.0.0.1", "10.96.0.5", "10.20.0.5");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = decodeFlow(Bytes(whole.data(), size));
    EXPECT_TRUE(!cut || !*cut) << size;
  }
}

}  // namespace
}  // namespace multinet::netlink
