#include "lib/api/names.h"

#include <gtest/gtest.h>

#include "lib/api/reservations.h"

namespace multinet::api {
namespace {

IpPrefix prefix(const char* text) {
  return IpPrefix::parse(text).value();
}

TEST(Names, SayWhatTheyAreMadeOf) {
  const PodUid uid("1a2b3c4d-0000-4000-8000-000000000000");
  EXPECT_EQ(interfaceSetName("web-0", uid), "web-0-1a2b3c4d");
  EXPECT_EQ(peerName(NetworkName("blue"), NodeName("node-1.example")), "blue.node-1.example");
  EXPECT_EQ(blockName(NetworkName("blue"), prefix("10.20.0.64/26")), "blue-v4-0a140040-26");
  EXPECT_EQ(blockName(NetworkName("blue"), prefix("0.0.0.0/8")), "blue-v4-00000000-8");
  EXPECT_EQ(blockName(NetworkName("blue"), prefix("fd00:20::40/122")),
            "blue-v6-fd000020000000000000000000000040-122");
  EXPECT_EQ(vxlanIdentifierName(7001), "vxlan-7001");
}

TEST(Names, TellApartWhatAHyphenWouldNot) {
  EXPECT_NE(peerName(NetworkName("a-b"), NodeName("c")),
            peerName(NetworkName("a"), NodeName("b-c")));
}

TEST(Names, StayLegalAtTheirLongest) {
  const std::string network(63, 'n');
  const std::string node(253, 'h');
  const std::string peer = peerName(NetworkName(network), NodeName(node));
  EXPECT_EQ(peer.size(), 253U);
  EXPECT_TRUE(isDnsSubdomain(peer));
  const std::string other = peerName(NetworkName(network), NodeName(node.substr(1) + "i"));
  EXPECT_NE(peer, other);
  const PodUid uid("1a2b3c4d-0000-4000-8000-000000000000");
  const std::string set = interfaceSetName(std::string(243, 'p') + "." + std::string(9, 'q'), uid);
  EXPECT_EQ(set, std::string(243, 'p') + "-1a2b3c4d");
  EXPECT_TRUE(isDnsSubdomain(set));
  EXPECT_TRUE(isDnsSubdomain(blockName(NetworkName(network), prefix("fd00:20::40/122"))));
}

TEST(PolicySlices, AreNamedByTheirPolicyAndItsUid) {
  EXPECT_EQ(policyHeadName("db", "12345678-9abc"), "db-12345678");
  EXPECT_EQ(policySliceName("db-12345678", 3), "db-12345678-3");
  const std::string cut = policyHeadName(std::string(39, 'a') + "." + std::string(200, 'b'), "u1");
  EXPECT_EQ(cut, std::string(39, 'a') + "-u1");
  EXPECT_TRUE(isDnsSubdomain(cut));
}

TEST(DnsNames, AreKubernetes) {
  EXPECT_TRUE(isDnsLabel("a-1"));
  for (const char* text : {"", "-a", "a-", "A", "a.b", "a_b", "a b"}) {
    EXPECT_FALSE(isDnsLabel(text)) << text;
  }
  EXPECT_FALSE(isDnsLabel(std::string(64, 'a')));
  EXPECT_TRUE(isDnsSubdomain("a.b-c.9"));
  for (const char* text : {"", ".", "a.", ".a", "a..b", "a.-b"}) {
    EXPECT_FALSE(isDnsSubdomain(text)) << text;
  }
  EXPECT_FALSE(isDnsSubdomain(std::string(254, 'a')));
}

TEST(IPBlock, HasOneNameForOnePrefix) {
  IPBlock block;
  block.metadata.name = "blue-v4-0a140040-26";
  block.spec = {"blue", "u1", "10.20.0.64/26", "n1"};
  EXPECT_TRUE(checkName(block));
  block.spec.cidr = "10.20.0.128/26";
  ASSERT_FALSE(checkName(block));
  EXPECT_EQ(checkName(block).error().message,
            "read IPBlock blue-v4-0a140040-26: its spec makes the name blue-v4-0a140080-26");
  block.spec.cidr = "10.20.0.65/26";
  EXPECT_FALSE(checkName(block));
}

}  // namespace
}  // namespace multinet::api
