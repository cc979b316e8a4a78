#include <gtest/gtest.h>

#include "lib/nft/committer.h"
#include "lib/nft/model.h"

namespace multinet::nft {
namespace {

Table sample() {
  return {"t",
          {{"ports", "inet_service", {"4799"}},
           {"peers", "ipv4_addr . inet_service", {"10.0.0.1 . 4799", "10.0.0.2 . 4799"}},
           {"links", "ifname", {"eth0"}}},
          {{"input", "input", -150, {"udp dport @ports counter drop"}}}};
}

std::string listing(const std::string& peers, const std::string& comment) {
  return R"({"nftables":[{"metainfo":{}},{"table":{"name":"t"}},
    {"set":{"name":"ports","elem":[4799]}},
    {"set":{"name":"peers","elem":[)" +
         peers + R"(]}},{"set":{"name":"links","elem":["eth0"]}},
    {"chain":{"name":"input"}},
    {"rule":{"chain":"input","comment":")" +
         comment + R"("}}]})";
}

const std::string kPeers = R"({"concat":["10.0.0.2",4799]},{"concat":["10.0.0.1",4799]})";

TEST(Nft, DeltaHoldsOnlyWhatDiffers) {
  Table to = sample();
  EXPECT_EQ(renderDelta(sample(), to), "");
  to.sets[1].elements = {"10.0.0.2 . 4799", "10.0.0.3 . 4799"};
  to.sets[2].elements.insert("eth1");
  EXPECT_EQ(renderDelta(sample(), to),
            "delete element inet t peers { 10.0.0.1 . 4799 }\n"
            "add element inet t peers { 10.0.0.3 . 4799 }\n"
            "add element inet t links { \"eth1\" }\n");
}

TEST(Nft, ShapeIsAllButElements) {
  Table other = sample();
  other.sets[0].elements.insert("4800");
  EXPECT_TRUE(sameShape(sample(), other));
  other.chains[0].rules.push_back("accept");
  EXPECT_FALSE(sameShape(sample(), other));
}

TEST(Nft, ListingIsComparedWhole) {
  const std::string right = commentOf("udp dport @ports counter drop");
  EXPECT_TRUE(listingMatches(listing(kPeers, right), sample()).value());
  EXPECT_FALSE(listingMatches(listing(kPeers, "other"), sample()).value());
  EXPECT_FALSE(listingMatches(listing(R"({"concat":["10.0.0.2",4799]})", right), sample()).value());
}

TEST(Nft, ListingThatCannotBeReadIsAnError) {
  for (const char* bad : {"", "[]", "{", R"({"nftables":{}})", "null"}) {
    EXPECT_EQ(listingMatches(bad, sample()).error().code, Code::DataLoss) << bad;
  }
  EXPECT_FALSE(listingMatches(R"({"nftables":[1,{"set":3},{"rule":[]}]})", sample()).value());
}

}  // namespace
}  // namespace multinet::nft
