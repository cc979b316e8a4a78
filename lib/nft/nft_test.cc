#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#include "lib/nft/committer.h"
#include "lib/nft/elements.h"
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

using Bytes = ElementBytes::Bytes;

std::optional<ElementBytes> bytesOf(const std::string& type, const std::string& element) {
  return ElementFormat(Set{"set", type, {}}).bytesOf(element);
}
std::optional<ElementBytes> intervalOf(const std::string& type, const std::string& element) {
  Set set{"set", type, {}};
  set.intervals = true;
  return ElementFormat(set).bytesOf(element);
}

TEST(Nft, AnElementsKeyIsAsTheKernelComparesIt) {
  EXPECT_EQ(bytesOf("inet_service", "4799"), (ElementBytes{{0x12, 0xbf}}));
  EXPECT_EQ(bytesOf("ether_addr", "02:00:00:00:00:01"), (ElementBytes{{2, 0, 0, 0, 0, 1}}));
  EXPECT_EQ(bytesOf("ether_addr . ipv4_addr", "02:00:00:00:00:01 . 10.0.0.1"),
            (ElementBytes{{2, 0, 0, 0, 0, 1, 0, 0, 10, 0, 0, 1}}));
  const auto name = bytesOf("ifname", "eth0");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->key.size(), 16U);
  const auto target = bytesOf("typeof ether saddr . @th,64,128", "02:00:00:00:00:01 . 0x1");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->key.size(), 24U);
  EXPECT_EQ(target->key.back(), 1);
}

TEST(Nft, WhatAMapGivesFollowsItsKey) {
  Set set{"classes", "mark . ipv4_addr", {}};
  set.value = "mark";
  const auto element = ElementFormat(set).bytesOf("2147483649 . 10.0.0.1 : 7");
  ASSERT_TRUE(element);
  EXPECT_EQ(element->key.size(), 8U);
  std::uint32_t mark = 0;
  std::memcpy(&mark, element->key.data(), sizeof mark);
  EXPECT_EQ(mark, 2147483649U);
  ASSERT_EQ(element->value.size(), sizeof mark);
  std::memcpy(&mark, element->value.data(), sizeof mark);
  EXPECT_EQ(mark, 7U);
  EXPECT_FALSE(ElementFormat(set).bytesOf("1 . 10.0.0.1"));
  EXPECT_FALSE(ElementFormat(set).bytesOf("1 . 10.0.0.1 : x"));
  set.value = "classid";
  EXPECT_EQ(ElementFormat(set).bytesOf("1 . 10.0.0.1 : 1:ff")->value.size(), 4U);
  EXPECT_FALSE(ElementFormat(set).bytesOf("1 . 10.0.0.1 : 1"));
  set.value = "ct zone";
  EXPECT_EQ(ElementFormat(set).bytesOf("1 . 10.0.0.1 : 9")->value.size(), 2U);
}

TEST(Nft, AnIntervalHasTwoKeys) {
  const std::string type = "ipv4_addr . inet_service";
  const auto range = intervalOf(type, "10.0.0.0/30 . 80-90");
  EXPECT_EQ(range, (ElementBytes{{10, 0, 0, 0, 0, 80, 0, 0}, {10, 0, 0, 3, 0, 90, 0, 0}}));
  EXPECT_EQ(intervalOf(type, "10.0.0.1-10.0.0.5 . 80"),
            (ElementBytes{{10, 0, 0, 1, 0, 80, 0, 0}, {10, 0, 0, 5, 0, 80, 0, 0}}));
  EXPECT_EQ(intervalOf("ipv6_addr . inet_service", "fd00::/127 . 1")->keyEnd[15], 1);
  for (const char* const element :
       {"10.0.0.1/8 . 80", "fd00::/8 . 80", "10.0.0.1- . 80", "10.0.0.1 . 80-", "10.0.0.1 . -80",
        "10.0.0.1 . 80-90-100", "10.0.0.1 . 80/8"}) {
    EXPECT_FALSE(intervalOf(type, element)) << element;
  }
  // libnftables has numbers of the machine compared in the network's order there.
  EXPECT_EQ(intervalOf("mark . inet_service", "1 . 80"),
            (ElementBytes{{0, 0, 0, 1, 0, 80, 0, 0}, {0, 0, 0, 1, 0, 80, 0, 0}}));
  EXPECT_EQ(intervalOf("classid . inet_service", "1:2 . 80-81"),
            (ElementBytes{{0, 1, 0, 2, 0, 80, 0, 0}, {0, 1, 0, 2, 0, 81, 0, 0}}));
  EXPECT_FALSE(intervalOf("inet_service", "80-90"));
  EXPECT_FALSE(intervalOf("inet_service", "80"));
}

TEST(Nft, AnElementThatIsntKnownHasNoKey) {
  for (const auto& [type, element] :
       std::vector<std::pair<const char*, const char*>>{{"inet_service", "http"},
                                                        {"inet_service", "65536"},
                                                        {"inet_service", ""},
                                                        {"ipv4_addr", "fd00::1"},
                                                        {"ipv6_addr", "10.0.0.1"},
                                                        {"ipv4_addr", "10.0.0.0/8"},
                                                        {"ether_addr", "02:00"},
                                                        {"ifname", "sixteencharacter"},
                                                        {"mark", "4294967296"},
                                                        {"mark", "-1"},
                                                        {"classid", "1:10000"},
                                                        {"inet_proto", "256"},
                                                        {"ether_type", "0x0800"},
                                                        {"ifname . ipv4_addr", "eth0"},
                                                        {"ifname", "a . b"},
                                                        {"typeof iifname . @th,64,128", "a . 0xg"},
                                                        {"typeof iifname . @th,64,128", "a . 1"}}) {
    EXPECT_FALSE(bytesOf(type, element)) << type << ": " << element;
  }
}

TEST(Nft, ManyElementsAndUnknownTypesAreLibnftables) {
  Table table = sample();
  Elements many;
  for (unsigned i = 1; i <= 257; ++i) many["ports"].insert(std::to_string(i));
  EXPECT_FALSE(canWrite({&table}, {}, many));
  many["ports"].erase("257");
  EXPECT_TRUE(canWrite({&table}, {}, many));
  EXPECT_FALSE(canWrite({&table, &table}, {}, many));
  EXPECT_FALSE(canWrite({&table}, {}, {}));
  EXPECT_FALSE(canWrite({&table}, {}, {{"elsewhere", {"1"}}}));
  table.sets[0].intervals = true;
  EXPECT_FALSE(canWrite({&table}, {}, {{"ports", {"1"}}}));
  table.sets[0].intervals = false;
  table.sets[0].value = "verdict";
  EXPECT_FALSE(canWrite({&table}, {}, {{"ports", {"1 : drop"}}}));
}

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

TEST(Nft, AChangeNamesFamilyTableAndTheFirstPartOfAName) {
  Table table{"b", {{"macs", "ifname . ether_addr", {}}}, {}, "bridge", {"seen"}};
  EXPECT_EQ(renderChange(table, {}, {{"macs", {}}, {"other", {"x"}}}), "");
  EXPECT_EQ(renderChange(table, {{"macs", {"a . 02:00:00:00:00:01"}}},
                         {{"macs", {"b . 02:00:00:00:00:01"}}}),
            "delete element bridge b macs { \"a\" . 02:00:00:00:00:01 }\n"
            "add element bridge b macs { \"b\" . 02:00:00:00:00:01 }\n");
}

TEST(Nft, TheNameThatAMapIsAskedByIsQuoted) {
  Set set{"ends", "ifname", {}};
  set.value = "mark";
  EXPECT_EQ(renderChange({"b", {set}, {}, "bridge"}, {{"ends", {"a : 3"}}}, {}),
            "delete element bridge b ends { \"a\" : 3 }\n");
}

TEST(Nft, AnElementOfOneNumberAmongRangesIsARange) {
  Set set{"s", "mark . inet_service", {}};
  set.intervals = true;
  const Table table{"b", {set}, {}, "bridge"};
  EXPECT_EQ(renderChange(table, {{"s", {"3 . 80", "3 . 81-90"}}}, {}),
            "delete element bridge b s { 3 . 80-80, 3 . 81-90 }\n");
}

TEST(Nft, ListingOfRangesIsCompared) {
  const std::string listing = R"({"nftables":[{"set":{"name":"s","elem":[
    {"concat":[3,{"range":[81,90]}]},{"concat":["0:5",80]}]}}]})";
  Set set{"s", "mark . inet_service", {"3 . 81-90", "0:5 . 80"}};
  EXPECT_TRUE(listingMatches(listing, {"b", {set}, {}, "bridge"}).value());
}

TEST(Nft, WhatRulesFillIsntCompared) {
  Table table{"b", {{"floods", "ifname", {}}}, {}, "bridge", {"seen"}};
  table.sets[0].filledBy = "flags dynamic;";
  const std::string listing = R"({"nftables":[{"counter":{"name":"seen","packets":3}},
    {"set":{"name":"floods","elem":[{"elem":{"val":"a","expires":3}}]}}]})";
  EXPECT_TRUE(listingMatches(listing, table).value());
  Table other = table;
  other.counters.clear();
  EXPECT_FALSE(listingMatches(listing, other).value());
  other = table;
  other.sets[0].filledBy.clear();
  EXPECT_FALSE(listingMatches(listing, other).value());
}

TEST(Nft, CountsAreOfElements) {
  const auto counts = parseCounts(R"({"nftables":[{"metainfo":{"version":"1"}},
    {"set":{"name":"s","elem":[{"elem":{"val":{"concat":["a",2]},"counter":{"packets":5}}},
                               {"elem":{"val":"b"}}, "c", 7]}}]})");
  ASSERT_TRUE(counts);
  EXPECT_EQ(*counts, (Counts{{"a . 2", 5}}));
  EXPECT_EQ(parseCounts("[]").error().code, Code::DataLoss);
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

Table withMap() {
  return {"t",
          {{"ways",
            "inet_proto . inet_service",
            {"6 . 80 : 10.0.0.1 . 4000"},
            "ipv4_addr . inet_service"},
           {"from", "ipv4_addr . ipv4_addr", {"10.0.0.1 . 10.1.0.0/16"}, "", true}},
          {{"in", "prerouting", -101, {"accept"}, "nat"}}};
}

TEST(Nft, AMapGivesAndAChainMayBeOfAnotherType) {
  const std::string text = renderReplace(withMap());
  EXPECT_NE(
      text.find("map ways {\n    type inet_proto . inet_service : ipv4_addr . inet_service\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("type ipv4_addr . ipv4_addr\n    flags interval\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("type nat hook prerouting priority -101"), std::string::npos) << text;
  Table other = withMap();
  other.sets[0].value = "ipv4_addr";
  EXPECT_FALSE(sameShape(withMap(), other));
}

TEST(Nft, ListingOfMapsAndPrefixesIsCompared) {
  const auto listed = [](const std::string& given) {
    return R"({"nftables":[{"map":{"name":"ways","elem":[[{"concat":[6,80]},)" + given + R"(]]}},
      {"set":{"name":"from","elem":[{"concat":["10.0.0.1",{"prefix":{"addr":"10.1.0.0","len":16}}]}]}},
      {"chain":{"name":"in"}},{"rule":{"chain":"in","comment":")" +
           commentOf("accept") + R"("}}]})";
  };
  EXPECT_TRUE(listingMatches(listed(R"({"concat":["10.0.0.1",4000]})"), withMap()).value());
  EXPECT_FALSE(listingMatches(listed(R"({"concat":["10.0.0.1",4001]})"), withMap()).value());
  EXPECT_FALSE(listingMatches(listed(R"({"prefix":3})"), withMap()).value());
}

TEST(Nft, ListingThatCannotBeReadIsAnError) {
  for (const char* bad : {"", "[]", "{", R"({"nftables":{}})", "null"}) {
    EXPECT_EQ(listingMatches(bad, sample()).error().code, Code::DataLoss) << bad;
  }
  EXPECT_FALSE(listingMatches(R"({"nftables":[1,{"set":3},{"rule":[]}]})", sample()).value());
}

}  // namespace
}  // namespace multinet::nft
