#include "lib/netlink/codec.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <limits>

#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/neighbour.h"
#include "lib/netlink/route.h"

namespace multinet::netlink {
namespace {

using Buffer = std::vector<std::uint8_t>;

MacAddress mac(const std::string& text) {
  return MacAddress::parse(text).value();
}

/// RTM_NEWLINK as a kernel 6.18 sends it for a VXLAN link, shortened to what we read.
Buffer vxlanLink() {
  return {0x00, 0x00, 0x01, 0x00, 0x07, 0x00, 0x00, 0x00,  // family, type Ethernet, index 7
          0x43, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,  // UP, LOWER_UP
          0x0a, 0x00, 0x03, 0x00, 'm',  'n',  'x',  'a',   // IFLA_IFNAME
          'b',  0x00, 0x00, 0x00,                          //
          0x08, 0x00, 0x04, 0x00, 0xaa, 0x05, 0x00, 0x00,  // IFLA_MTU 1450
          0x08, 0x00, 0x0a, 0x00, 0x06, 0x00, 0x00, 0x00,  // IFLA_MASTER 6
          0x0a, 0x00, 0x01, 0x00, 0x02, 0x11, 0x22, 0x33,  // IFLA_ADDRESS
          0x44, 0x55, 0x00, 0x00,                          //
          0x40, 0x00, 0x12, 0x80,                          // IFLA_LINKINFO, nested, 64 bytes
          0x0a, 0x00, 0x01, 0x00, 'v',  'x',  'l',  'a',   //   kind
          'n',  0x00, 0x00, 0x00,                          //
          0x30, 0x00, 0x02, 0x80,                          //   data, 48 bytes
          0x08, 0x00, 0x01, 0x00, 0x59, 0x1b, 0x00, 0x00,  //     VNI 7001
          0x08, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x00,  //     underlay 2
          0x08, 0x00, 0x04, 0x00, 0xac, 0x12, 0x00, 0x01,  //     local 172.18.0.1
          0x05, 0x00, 0x07, 0x00, 0x01, 0x00, 0x00, 0x00,  //     learning
          0x06, 0x00, 0x0f, 0x00, 0x12, 0xbf, 0x00, 0x00,  //     port 4799, big endian
          0x04, 0x00, 0x63, 0x00};                         //     something unknown and empty
}

Buffer datagram(std::uint16_t type, std::uint16_t flags, const Buffer& payload) {
  const nlmsghdr header{static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()), type, flags,
                        7, 0};
  Buffer bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

TEST(Codec, BuildsWhatItReads) {
  Message message(RTM_NEWLINK, NLM_F_ACK);
  ifinfomsg header{};
  header.ifi_index = 9;
  message.header(header).put(3, "eth0").putU8(20, 7).putU16(21, 300).putU16Network(22, 4799);
  message.putU32(23, 70000).put(24, IpAddress::parse("fd00::1").value());
  message.put(25, mac("02:00:00:00:00:05"));
  message.nest(26,
               [](Message& outer) { outer.nest(1, [](Message& inner) { inner.put(2, "deep"); }); });
  const Buffer bytes = message.encode(5);
  const auto frames = parseFrames(bytes).value();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].sequence, 5U);
  EXPECT_EQ(frames[0].flags, NLM_F_ACK | NLM_F_REQUEST);
  EXPECT_EQ(readHeader<ifinfomsg>(frames[0].payload)->ifi_index, 9);
  const auto attributes = Attributes::parse(frames[0].payload, sizeof header).value();
  EXPECT_EQ(attributes.text(3), "eth0");
  EXPECT_EQ(attributes.u8(20), 7);
  EXPECT_EQ(attributes.u16(21), 300);
  EXPECT_EQ(attributes.u16Network(22), 4799);
  EXPECT_EQ(attributes.u32(23), 70000U);
  EXPECT_EQ(attributes.ip(24)->str(), "fd00::1");
  EXPECT_EQ(attributes.mac(25), mac("02:00:00:00:00:05"));
  EXPECT_EQ(attributes.nested(26).nested(1).text(2), "deep");
  EXPECT_EQ(attributes.u32(3), std::nullopt);  // of the wrong size
  EXPECT_EQ(attributes.u32(99), std::nullopt);
}

TEST(Codec, AnAttributeAbove64KiBMakesTheMessageInvalid) {
  Message message(RTM_NEWLINK, 0);
  EXPECT_TRUE(message.valid());
  message.put(1, std::string(70000, 'x'));
  EXPECT_FALSE(message.valid());
  Message nested(RTM_NEWLINK, 0);
  nested.nest(1, [](Message& inner) {
    inner.put(1, std::string(40000, 'x')).put(2, std::string(40000, 'x'));
  });
  EXPECT_FALSE(nested.valid());
}

TEST(Codec, ReadsAVxlanLink) {
  const auto link = decodeLink(vxlanLink()).value();
  EXPECT_EQ(link.index, 7);
  EXPECT_EQ(link.name, "mnxab");
  EXPECT_EQ(link.mtu, 1450U);
  EXPECT_EQ(link.master, 6);
  EXPECT_EQ(link.mac, mac("02:11:22:33:44:55"));
  EXPECT_TRUE(link.up);
  EXPECT_TRUE(link.carrier);
  EXPECT_EQ(link.kind, "vxlan");
  ASSERT_TRUE(link.vxlan);
  EXPECT_EQ(link.vxlan->vni, 7001U);
  EXPECT_EQ(link.vxlan->port, 4799);
  EXPECT_EQ(link.vxlan->underlayIndex, 2);
  EXPECT_EQ(link.vxlan->local->str(), "172.18.0.1");
  EXPECT_TRUE(link.vxlan->learning);
}

TEST(Codec, ReadsAVlanAsItIsAskedFor) {
  const Request request = createStacked({.kind = "vlan",
                                         .name = "mnl0",
                                         .parent = "eth1",
                                         .parentIndex = 3,
                                         .options = {{IFLA_VLAN_ID, std::uint16_t{100}}},
                                         .mtu = 1500});
  EXPECT_EQ(request.what, "create vlan mnl0 on eth1");
  const Buffer bytes = request.message.encode(1);
  const auto link = decodeLink(std::span(bytes).subspan(sizeof(nlmsghdr))).value();
  EXPECT_EQ(link.kind, "vlan");
  EXPECT_EQ(link.lower, 3);
  EXPECT_EQ(link.vlanId, 100);
  EXPECT_EQ(link.mtu, 1500U);
  EXPECT_EQ(link.mac, MacAddress{}) << "the parent's";
}

TEST(Codec, TruncatedAtEveryByteIsAnErrorOrLessNeverMore) {
  const Buffer whole = vxlanLink();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Buffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto link = decodeLink(cut);
    if (link) {
      EXPECT_NE(*link, *decodeLink(whole)) << size;
    } else {
      EXPECT_EQ(link.error().code, Code::DataLoss);
    }
    static_cast<void>(decodeAddress(cut));
    static_cast<void>(decodeRoute(cut));
    static_cast<void>(decodeFdb(cut));
  }
}

TEST(Codec, LengthsThatLieAreErrors) {
  Buffer bytes = datagram(RTM_NEWLINK, 0, vxlanLink());
  bytes[0] = 15;  // shorter than its own header
  EXPECT_EQ(parseFrames(bytes).error().code, Code::DataLoss);
  bytes[0] = 0xff;
  bytes[1] = 0xff;  // longer than the datagram
  EXPECT_EQ(parseFrames(bytes).error().code, Code::DataLoss);
  EXPECT_EQ(parseFrames(Buffer(7)).error().code, Code::DataLoss);
  EXPECT_EQ(Attributes::parse(Buffer{3, 0, 1, 0}).error().code, Code::DataLoss);
  EXPECT_EQ(Attributes::parse(Buffer{9, 0, 1, 0, 1, 1, 1, 1}).error().code, Code::DataLoss);
  EXPECT_EQ(Attributes::parse(Buffer(4), 16).error().code, Code::DataLoss);
}

TEST(Codec, SeveralMessagesInADatagram) {
  Buffer bytes = datagram(RTM_NEWADDR, 0, {1, 2, 3});  // padded by the next
  bytes.push_back(0);
  const Buffer second = datagram(RTM_NEWROUTE, NLM_F_DUMP_INTR, {});
  bytes.insert(bytes.end(), second.begin(), second.end());
  const auto frames = parseFrames(bytes).value();
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].payload.size(), 3U);
  EXPECT_EQ(frames[1].flags, NLM_F_DUMP_INTR);
}

Buffer errorPayload(int error, std::uint32_t originalLength, const Buffer& after) {
  nlmsgerr header{};
  header.error = error;
  header.msg.nlmsg_len = originalLength;
  Buffer bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.insert(bytes.end(), after.begin(), after.end());
  return bytes;
}

const Buffer kSentence = {0x08, 0x00, 0x01, 0x00, 'b', 'a', 'd', 0};

TEST(Codec, ReadsTheKernelsSentence) {
  const Buffer capped = errorPayload(-22, 100, kSentence);
  const auto ack = parseAck({NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 1, 0, capped}).value();
  EXPECT_EQ(ack.errorNumber, 22);
  EXPECT_EQ(ack.text, "bad");

  Buffer repeated(8, 0xee);  // the request's payload comes again before the attributes
  repeated.insert(repeated.end(), kSentence.begin(), kSentence.end());
  const Buffer whole = errorPayload(-17, sizeof(nlmsghdr) + 8, repeated);
  EXPECT_EQ(parseAck({NLMSG_ERROR, NLM_F_ACK_TLVS, 1, 0, whole})->text, "bad");
  EXPECT_EQ(parseAck({NLMSG_ERROR, 0, 1, 0, errorPayload(0, 20, {})})->errorNumber, 0);
}

TEST(Codec, AnErrorThatLiesAboutTheRequestIsAnError) {
  for (const std::uint32_t length : {0U, 15U, 5000U, 0xffffffffU}) {
    const Buffer bytes = errorPayload(-17, length, kSentence);
    EXPECT_EQ(parseAck({NLMSG_ERROR, NLM_F_ACK_TLVS, 1, 0, bytes}).error().code, Code::DataLoss)
        << length;
  }
  EXPECT_EQ(parseAck({NLMSG_ERROR, 0, 1, 0, Buffer(3)}).error().code, Code::DataLoss);
}

TEST(Codec, AVerdictThatIsNoErrnoIsAnError) {
  // Negating the smallest int is undefined: found by the fuzzer.
  for (const int verdict : {std::numeric_limits<int>::min(), -4096, 1, 17}) {
    const Buffer bytes = errorPayload(verdict, 16, {});
    EXPECT_EQ(parseAck({NLMSG_ERROR, 0, 1, 0, bytes}).error().code, Code::DataLoss) << verdict;
  }
}

TEST(Codec, RefusalsNameWhatWhyAndTheKernelsOwnWords) {
  const Error error = refusal("create vxlan mnx1", {17, "A VXLAN device with that VNI exists"});
  EXPECT_EQ(error.code, Code::AlreadyExists);
  EXPECT_EQ(error.message, "create vxlan mnx1: File exists (A VXLAN device with that VNI exists)");
  EXPECT_EQ(refusal("x", {19, ""}).code, Code::NotFound);
  EXPECT_EQ(refusal("x", {1, ""}).code, Code::PermissionDenied);
  EXPECT_EQ(refusal("x", {12, ""}).code, Code::ResourceExhausted);
  EXPECT_EQ(refusal("x", {16, ""}).code, Code::Unavailable);
  EXPECT_EQ(refusal("x", {ENOBUFS, ""}).code, Code::Unavailable);
  EXPECT_EQ(refusal("x", {EADDRNOTAVAIL, ""}).code, Code::NotFound);
  EXPECT_EQ(refusal("x", {ENOTEMPTY, ""}).code, Code::FailedPrecondition);
}

TEST(Codec, DecodersReadWhatTheBuildersWrite) {
  const auto payload = [](const Request& request) {
    const Buffer bytes = request.message.encode(1);
    return Buffer(bytes.begin() + sizeof(nlmsghdr), bytes.end());
  };
  const auto address = InterfaceAddress::parse("10.20.0.5/16").value();
  EXPECT_EQ(decodeAddress(payload(addAddress(3, address)))->address, address);
  RouteInfo route;
  route.to = IpPrefix::parse("fd00:20::/64").value();
  route.via = IpAddress::parse("fd00::1").value();
  route.linkIndex = 4;
  route.metric = 77;
  route.table = 5398;
  route.mtu = 1400;
  EXPECT_EQ(decodeRoute(payload(addRoute(route))).value(), route);
  const auto remote = IpAddress::parse("172.18.0.2").value();
  FdbEntry entry{9, 0, MacAddress{}, remote, 0, true};
  EXPECT_EQ(decodeFdb(payload(addFlood(9, remote))).value(), entry);
  EXPECT_TRUE(entry.floods());
  entry = {4, 0, MacAddress::derive("pinned"), remote, 7, true};
  EXPECT_EQ(decodeFdb(payload(addFdb(entry))).value(), entry);
  EXPECT_FALSE(entry.floods());
}

}  // namespace
}  // namespace multinet::netlink
