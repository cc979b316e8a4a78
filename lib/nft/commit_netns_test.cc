// libnftables against the kernel, in the test's own namespace.
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <atomic>
#include <thread>
#include <vector>

#include "lib/nft/batch.h"
#include "lib/nft/committer.h"
#include "lib/nft/comparison.h"
#include "lib/nft/elements.h"
#include "lib/nft/generation.h"
#include "lib/nft/skeletons.h"

namespace multinet::nft {
namespace {

Table sample() {
  return {"multinet_test",
          {{"ports", "inet_service", {"4799"}},
           {"peers4", "ipv4_addr . inet_service", {"10.0.0.1 . 4799"}},
           {"peers6", "ipv6_addr . inet_service", {"fd00::1 . 4799"}},
           {"links", "ifname", {"eth0", "a.b"}}},
          {{"input",
            "input",
            -150,
            {"udp dport @ports iifname != @links counter drop",
             "udp dport @ports ip saddr . udp dport != @peers4 counter drop"}}}};
}

Set mapOf(const char* name, const char* type, const char* element, const char* value,
          bool intervals = false) {
  return {name, type, {element}, value, intervals};
}

/// With a set of each type that changeOf() knows.
Table typed() {
  Table table{
      "multinet_typed",
      {{"ports", "inet_service", {"4799"}},
       {"names", "ifname", {"eth0"}},
       {"macs", "ether_addr . ether_addr", {"02:00:00:00:00:01 . 02:00:00:00:00:02"}},
       {"one", "ether_addr", {"02:00:00:00:00:01"}},
       {"v4", "ifname . ipv4_addr", {"mnvaaaaaaaaaaa . 10.0.0.1"}},
       {"v6", "ether_addr . ipv6_addr", {"02:00:00:00:00:01 . fd00::1"}},
       {"targets", "typeof iifname . @th,64,128", {"mnva . 0x64ff9b000000000000000000000001"}},
       {"every", "classid . mark", {"1:2f . 4294967295", "0:1 . 0"}},
       {"current", "ifname . mark", {"br0 . 305419896"}},
       mapOf("marks", "ifname", "eth0 : 305419896", "mark"),
       mapOf("subjects", "ifname", "eth0 : a:ff", "classid"),
       mapOf("zones", "typeof meta ibrname", "br0 : 258", "ct zone"),
       mapOf("classes4", "mark . ipv4_addr", "305419896 . 10.0.0.1 : 7", "mark"),
       mapOf("classes6", "mark . ipv6_addr", "305419896 . fd00::1 : 7", "mark"),
       mapOf("ranges4", "ipv4_addr . inet_service", "10.0.0.0/24 . 80-90 : 7", "mark", true),
       mapOf("ranges6", "ipv6_addr . inet_proto", "fd00::1-fd00::5 . 6 : 7", "mark", true),
       mapOf("marked4", "mark . ipv4_addr", "305419896 . 10.0.0.0/24 : 7", "mark", true),
       mapOf("permits", "classid . mark . inet_proto . inet_service",
             "1:2f . 305419896 . 6 . 80-90", "", true)},
      {}};
  table.family = "bridge";
  return table;
}

TEST(NftCommit, FewElementsAreWrittenAsLibnftablesWouldWriteThem) {
  auto committer = Committer::open().value();
  Table table = typed();
  Elements all;
  for (Set& set : table.sets) all[set.name] = std::exchange(set.elements, {});
  ASSERT_TRUE(committer.commit(renderReplace(table)));
  ASSERT_TRUE(canWrite({&table}, {}, all));
  const Status added = committer.change({&table}, {}, all);
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_TRUE(committer.matches(typed()).value());
  const Status again = committer.change({&table}, {}, all);
  EXPECT_TRUE(again) << again.error().message;
  // What libnftables wrote is found to be removed, and the other way round.
  ASSERT_TRUE(committer.commit(renderReplace(typed())));
  const Elements more = {{"ports", {"4800"}}, {"names", {"a.b"}}};
  const Status moved = committer.change({&table}, all, more);
  ASSERT_TRUE(moved) << moved.error().message;
  ASSERT_TRUE(committer.commit(renderChange(table, more, {})));
  EXPECT_TRUE(committer.matches(table).value());
  EXPECT_EQ(committer.commits(), 6U);
}

TEST(NftCommit, ElementsOfTwoTablesGoAndComeTogether) {
  auto committer = Committer::open().value();
  Table one = typed();
  Table other = sample();
  for (Table* table : {&one, &other}) ASSERT_TRUE(committer.commit(renderReplace(*table)));
  const Elements more = {{"names", {"a.b"}}, {"links", {"lo"}}};
  const std::uint64_t before = committer.commits();
  const Status moved = committer.change({&one, &other}, {{"links", {"eth0"}}}, more);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(committer.commits(), before + 1);
  for (Table* table : {&one, &other}) {
    apply({{"links", {"eth0"}}}, more, *table);
    EXPECT_TRUE(committer.matches(*table).value()) << table->name;
  }
  // What one of them refuses neither of them has.
  ASSERT_FALSE(committer.change({&one, &other}, {{"links", {"nobody"}}}, {{"names", {"c"}}}));
  for (const Table* table : {&one, &other}) {
    EXPECT_TRUE(committer.matches(*table).value()) << table->name;
  }
}

TEST(NftCommit, WhatAMapGivesIsAnotherAfterwards) {
  auto committer = Committer::open().value();
  Table table = typed();
  ASSERT_TRUE(committer.commit(renderReplace(table)));
  const Elements gone = {{"classes4", {"305419896 . 10.0.0.1 : 7"}},
                         {"ranges4", {"10.0.0.0/24 . 80-90 : 7"}}};
  const Elements added = {{"classes4", {"305419896 . 10.0.0.1 : 8"}},
                          {"ranges4", {"10.0.0.0/24 . 80-90 : 8"}}};
  ASSERT_TRUE(canWrite({&table}, gone, added));
  const Status moved = committer.change({&table}, gone, added);
  ASSERT_TRUE(moved) << moved.error().message;
  apply(gone, added, table);
  EXPECT_TRUE(committer.matches(table).value());
}

TEST(NftCommit, AChangeIsMadeAsAWholeOrNotAtAll) {
  auto committer = Committer::open().value();
  const Table table = typed();
  ASSERT_TRUE(committer.commit(renderReplace(table)));
  const Status refused =
      committer.change({&table}, {{"names", {"nobody"}}}, {{"ports", {"4800"}}, {"one", {}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "NftablesRefused");
  EXPECT_TRUE(committer.matches(table).value());
  const Status next = committer.change({&table}, {{"names", {"eth0"}}}, {});
  EXPECT_TRUE(next) << next.error().message;
  Table none = table;
  none.name = "multinet_nowhere";
  EXPECT_FALSE(committer.change({&none}, {}, {{"ports", {"1"}}}));
  EXPECT_TRUE(committer.change({&table}, {}, {}));
}

TEST(NftCommit, WhatIsWrittenIsFoundAgain) {
  auto committer = Committer::open().value();
  const Table table = sample();
  EXPECT_FALSE(committer.matches(table).value());
  const Status written = committer.commit(renderReplace(table));
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(committer.matches(table).value());

  Table next = table;
  next.sets[1].elements = {"10.0.0.2 . 4799", "10.0.0.3 . 4799"};
  next.sets[2].elements.clear();
  EXPECT_FALSE(committer.matches(next).value());
  const Status moved = committer.commit(renderDelta(table, next));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_TRUE(committer.matches(next).value());

  next.chains[0].rules.pop_back();
  EXPECT_FALSE(committer.matches(next).value());
  ASSERT_TRUE(committer.commit(renderReplace(next)));
  EXPECT_TRUE(committer.matches(next).value());
  ASSERT_TRUE(committer.commit(renderDelete(next.name)));
  ASSERT_TRUE(committer.commit(renderDelete(next.name)));
  EXPECT_FALSE(committer.matches(next).value());
}

/// libnftables' own state would end the process, mostly at the first hundred.
TEST(NftCommit, ThreadsMayListAtOnce) {
  const Table table = sample();
  ASSERT_TRUE(Committer::open().value().commit(renderReplace(table)));
  std::atomic<int> same = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        auto committer = Committer::open().value();
        for (int look = 0; look < 250; ++look) same += committer.matches(table).value() ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(same, 1000);
}

TEST(NftCommit, MapsAndPrefixesAreFoundAgain) {
  auto committer = Committer::open().value();
  Table table{"multinet_test",
              {{"ways4",
                "ipv4_addr . inet_proto . inet_service",
                {"10.96.0.5 . 6 . 80 : 169.254.1.1 . 4000"},
                "ipv4_addr . inet_service"},
               {"ways6",
                "inet_proto . inet_service . mark",
                {"17 . 53 . 3 : fd00::1 . 4000"},
                "ipv6_addr . inet_service"},
               {"from",
                "ipv4_addr . ipv4_addr",
                {"10.0.0.1 . 10.1.0.0/16", "10.0.0.1 . 10.2.0.1"},
                "",
                true}},
              {{"in",
                "prerouting",
                -101,
                {"dnat ip to ip daddr . meta l4proto . th dport map @ways4",
                 "ip daddr . ip saddr != @from drop"},
                "nat"}}};
  const Status written = committer.commit(renderReplace(table));
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_TRUE(committer.matches(table).value());
  Table next = table;
  next.sets[0].elements = {"10.96.0.5 . 6 . 80 : 169.254.1.1 . 4001"};
  next.sets[2].elements = {"10.0.0.1 . 10.1.0.0/24"};
  EXPECT_FALSE(committer.matches(next).value());
  const Status moved = committer.commit(renderDelta(table, next));
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_TRUE(committer.matches(next).value());
  ASSERT_TRUE(committer.commit(renderDelete(table.name)));
}

TEST(NftCommit, ARefusedTransactionChangesNothing) {
  auto committer = Committer::open().value();
  const Table table = sample();
  ASSERT_TRUE(committer.commit(renderReplace(table)));
  const Status refused = committer.commit(
      "add element inet multinet_test ports { 4800 }\nadd element inet multinet_test none { 1 }\n");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("No such file"), std::string::npos)
      << refused.error().message;
  EXPECT_TRUE(committer.matches(table).value());
  ASSERT_TRUE(committer.commit(renderDelete(table.name)));
}

/// Has what a table may have within it.
Table rich() {
  Table table = typed();
  table.family = "inet";
  table.counters = {"seen"};
  table.sets.push_back({"told", "ifname", {}});
  table.sets.back().filledBy = "size 65535; flags dynamic,timeout; timeout 1h; counter";
  table.chains = {
      {"in", "input", -150, {"meta nfproto vmap { ipv4 : jump other, ipv6 : drop }"}},
      {"other",
       "",
       0,
       {"icmpv6 type { 130, 131, 133 } accept", "udp dport { 80-90, 100 } counter drop",
        "ip daddr 224.0.0.0-255.255.255.255 return", "ct state established,related accept",
        "counter name \"seen\" update @told { iifname }", "meta mark set iifname map @marks"}}};
  return table;
}

TEST(NftCommit, ATableIsTheSameByTheKernelsOwnMessages) {
  auto committer = Committer::open().value();
  Skeletons skeletons;
  Table second = sample();
  for (const Table& table : {rich(), typed(), sample()}) {
    ASSERT_NE(skeletons.of(table), nullptr) << table.name;
    // Once where nothing is, then in place of itself and of another.
    for (int i = 0; i < 3; ++i) {
      if (i == 2) {
        ASSERT_TRUE(committer.commit("add set " + table.family + " " + table.name +
                                     " stranger { type mark; }\n"));
        ASSERT_FALSE(committer.matches(table).value());
      }
      const Status done = committer.replace({&table}, skeletons);
      ASSERT_TRUE(done) << done.error().message;
      EXPECT_TRUE(committer.matches(table).value()) << table.name;
    }
    ASSERT_TRUE(committer.commit(renderDelete(table.name, table.family)));
    EXPECT_FALSE(committer.exists(table.name, table.family).value());
  }
  EXPECT_EQ(skeletons.size(), 3U);
  // Elements that aren't known are committed all the same, by libnftables.
  second.sets[0].intervals = true;
  second.sets[0].elements = {"80-90"};
  ASSERT_TRUE(committer.replace({&second}, skeletons));
  EXPECT_TRUE(committer.matches(second).value());
  ASSERT_TRUE(committer.commit(renderDelete(second.name)));
}

TEST(NftCommit, WhatIsntKnownOrIsRefusedIsLibnftables) {
  auto committer = Committer::open().value();
  Skeletons skeletons;
  // Elements of sets within rules that count.
  Table table = sample();
  table.chains[0].rules.emplace_back("udp dport { 80 counter, 90 counter } drop");
  EXPECT_EQ(skeletons.of(table), nullptr);
  EXPECT_EQ(skeletons.size(), 1U);
  ASSERT_TRUE(committer.replace({&table}, skeletons));
  EXPECT_TRUE(committer.matches(table).value());
  // Of another table than is said: the kernel refuses elements of sets that aren't there.
  int asked = 0;
  Skeletons wrong([&](const Table&) {
    ++asked;
    return readSkeleton({"multinet_other", {}, {}});
  });
  table = sample();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(committer.commit(renderDelete(table.name)));
    ASSERT_NE(wrong.of(table), nullptr);
    ASSERT_TRUE(committer.replace({&table}, wrong));
    EXPECT_TRUE(committer.matches(table).value());
    EXPECT_FALSE(committer.exists("multinet_other").value()) << "all or nothing";
  }
  EXPECT_EQ(asked, 1);
  ASSERT_TRUE(committer.commit(renderDelete(table.name)));
}

TEST(NftCommit, WhatCantBeReadNowIsReadLater) {
  auto committer = Committer::open().value();
  int asked = 0;
  Skeletons skeletons([&](const Table& table) -> Result<std::vector<std::uint8_t>> {
    if (++asked == 1) return fail(Code::ResourceExhausted, "TooMany", "make network namespace");
    return readSkeleton(table);
  });
  const Table table = sample();
  ASSERT_TRUE(committer.replace({&table}, skeletons));
  EXPECT_TRUE(committer.matches(table).value());
  EXPECT_EQ(skeletons.size(), 0U);
  EXPECT_NE(skeletons.of(table), nullptr);
  // Not more than a bound is kept.
  Table other = table;
  constexpr std::size_t kMost = 64;
  while (asked < 100) {
    other.counters.push_back("c" + std::to_string(asked));
    if (skeletons.of(other) == nullptr) break;
  }
  EXPECT_EQ(skeletons.size(), kMost);
  ASSERT_TRUE(committer.replace({&other}, skeletons));
  EXPECT_TRUE(committer.matches(other).value());
  ASSERT_TRUE(committer.commit(renderDelete(table.name)));
}

TEST(NftCommit, TheFirstOfManyRefusalsIsTheAnswer) {
  auto socket = BatchSocket::open().value();
  constexpr int kMany = 3000;
  Batch batch;
  for (int i = 0; i < kMany; ++i) {
    netlink::Message message = nftMessage(NFT_MSG_DELTABLE, 0, familyOf("inet"));
    message.put(NFTA_TABLE_NAME, std::string("multinet_nobody"));
    batch.put(message);
  }
  const Status done = socket.commit(std::move(batch));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::Internal);
  EXPECT_NE(done.error().message.find("No such file"), std::string::npos) << done.error().message;
  // What the socket wasn't told of disturbs nobody.
  EXPECT_FALSE(socket.hasTable("multinet_nobody", "inet").value());
  Batch table;
  netlink::Message message = nftMessage(NFT_MSG_NEWTABLE, NLM_F_CREATE, familyOf("inet"));
  message.put(NFTA_TABLE_NAME, std::string("multinet_somebody"));
  table.put(message);
  ASSERT_TRUE(socket.commit(std::move(table)));
  EXPECT_TRUE(socket.hasTable("multinet_somebody", "inet").value());
  ASSERT_TRUE(Committer::open().value().commit(renderDelete("multinet_somebody")));
}

TEST(NftCommit, OfWhatStrangersPutInNoMoreIsReadThanIsAskedFor) {
  auto committer = Committer::open().value();
  const Table table = sample();
  constexpr std::size_t kFew = 100;
  constexpr unsigned kMany = 300;
  const auto many = [](const std::string& before, const std::string& after) {
    std::string text;
    for (unsigned i = 1; i <= kMany; ++i) text += before + std::to_string(i) + after;
    return text;
  };
  const std::string in = " inet multinet_test ";
  for (const std::string& edit :
       {"add element" + in + "ports { " + many("", ",") + " }\n",
        "add set" + in + "theirs { type mark; elements = { " + many("", ",") + " }; }\n",
        many("add set" + in + "s", " { type mark; }\n"), many("add chain" + in + "c", "\n"),
        many("add rule" + in + "input meta mark ", " drop\n"),
        many("add counter" + in + "c", "\n")}) {
    ASSERT_TRUE(committer.commit(renderReplace(table)));
    EXPECT_TRUE(committer.matches(table, kFew).value());
    ASSERT_TRUE(committer.commit(edit)) << edit.substr(0, 80);
    const auto listing = committer.list(table, kFew).value();
    ASSERT_TRUE(listing) << edit.substr(0, 80);
    EXPECT_TRUE(listing->sets.empty() && listing->comments.empty()) << edit.substr(0, 80);
    EXPECT_FALSE(committer.matches(table, kFew).value());
    EXPECT_FALSE(committer.list(table, kFewStrangers).value()->sets.empty());
  }
  // What is as wished may be any size.
  Table large = table;
  for (unsigned i = 1; i <= kMany; ++i) large.sets[0].elements.insert(std::to_string(i));
  ASSERT_TRUE(committer.commit(renderReplace(large)));
  EXPECT_TRUE(committer.matches(large, 0).value());
  ASSERT_TRUE(committer.commit(renderDelete(table.name)));
  EXPECT_FALSE(committer.list(table, kFew).value());
}

TEST(NftCommit, AComparisonSaysWhatAListingSays) {
  auto committer = Committer::open().value();
  Skeletons skeletons;
  const auto compared = [](const Table& table) {
    return compare(BatchSocket::open().value(), table).value();
  };
  // Of another table nothing counts.
  ASSERT_TRUE(
      committer.commit("add table inet theirs\nadd chain inet theirs input\n"
                       "add counter inet theirs c\nadd set inet theirs s { type mark; }\n"));
  for (const Table& table : {rich(), typed(), sample()}) {
    ASSERT_TRUE(committer.replace({&table}, skeletons));
    EXPECT_EQ(compared(table), true) << table.name;
    const std::string in = table.family + " " + table.name + " ";
    std::vector<std::string> edits = {"add set " + in + "stranger { type mark; }\n",
                                      "add chain " + in + "stranger\n",
                                      "add counter " + in + "stranger\n"};
    for (const Set& set : table.sets) {
      if (set.elements.empty()) continue;
      edits.push_back(renderChange(table, {{set.name, {*set.elements.begin()}}}, {}));
    }
    if (!table.chains.empty()) {
      edits.push_back("insert rule " + in + table.chains[0].name + " accept\n");
      edits.push_back("add rule " + in + table.chains[0].name + " accept\n");
      edits.push_back("flush chain " + in + table.chains[0].name + "\n");
    }
    for (const std::string& edit : edits) {
      ASSERT_TRUE(committer.commit(renderReplace(table)));
      EXPECT_EQ(compared(table), true) << "by libnftables";
      ASSERT_TRUE(committer.commit(edit)) << edit;
      EXPECT_EQ(compared(table), false) << edit;
      EXPECT_FALSE(committer.matches(table).value()) << edit;
    }
    ASSERT_TRUE(committer.commit(renderReplace(table)));
    Table more = table;
    more.sets[0].elements.insert("4801");
    EXPECT_EQ(compared(more), false) << "what isn't there";
    ASSERT_TRUE(committer.commit(renderDelete(table.name, table.family)));
    EXPECT_FALSE(committer.matches(table, kFewStrangers).value()) << "there is none";
  }
  // What it doesn't know it leaves to libnftables.
  Table unknown = sample();
  unknown.sets[0].intervals = true;
  unknown.sets[0].elements = {"80-90"};
  ASSERT_TRUE(committer.commit(renderReplace(unknown)));
  EXPECT_EQ(compared(unknown), std::nullopt);
  EXPECT_TRUE(committer.matches(unknown, kFewStrangers).value());
  ASSERT_TRUE(committer.commit(renderDelete(unknown.name) + renderDelete("theirs")));
}

TEST(NftCommit, CountersAreReadOfOneTableAlone) {
  auto committer = Committer::open().value();
  Table table = sample();
  table.counters = {"seen", "unseen"};
  EXPECT_TRUE(committer.counters(table).value().empty()) << "there is none";
  ASSERT_TRUE(committer.commit(renderReplace(table)));
  ASSERT_TRUE(
      committer.commit("delete counter inet multinet_test seen\n"
                       "add counter inet multinet_test seen { packets 258 bytes 1 }\n"
                       "add counter inet multinet_test theirs { packets 7 bytes 1 }\n"
                       "add table inet theirs\n"
                       "add counter inet theirs unseen { packets 7 bytes 1 }\n"));
  EXPECT_EQ(committer.counters(table).value(), (Counts{{"seen", 258}, {"unseen", 0}}));
  ASSERT_TRUE(committer.commit(renderDelete(table.name) + renderDelete("theirs")));
}

TEST(NftCommit, WhatIsRefusedIsNoTransaction) {
  auto committer = Committer::open().value();
  Skeletons skeletons;
  Table table = sample();
  ASSERT_TRUE(committer.replace({&table}, skeletons));
  ASSERT_EQ(committer.commits(), 1U);
  EXPECT_FALSE(committer.change({&table}, {{"ports", {"9"}}}, {}));
  EXPECT_FALSE(committer.commit("delete table inet multinet_nowhere\n"));
  table.chains[0].hook = "nowhere";
  EXPECT_FALSE(committer.replace({&table}, skeletons));
  EXPECT_EQ(committer.commits(), 1U);
  ASSERT_TRUE(committer.commit(renderDelete(table.name)));
}

TEST(NftCommit, ManyElementsOfAWholeTableAreOneTransaction) {
  auto committer = Committer::open().value();
  auto generation = Generation::open().value();
  Skeletons skeletons;
  Table table = sample();
  for (unsigned i = 1; i <= 3000; ++i) table.sets[0].elements.insert(std::to_string(i));
  const Table second = typed();
  const auto before = generation.read().value();
  ASSERT_TRUE(committer.replace({&table, &second}, skeletons));
  EXPECT_EQ(generation.read().value(), before + 1);
  EXPECT_EQ(skeletons.size(), 2U);
  EXPECT_TRUE(committer.matches(table).value());
  EXPECT_TRUE(committer.matches(second).value());
  ASSERT_TRUE(committer.commit(renderDelete(second.name, second.family)));
  Table bad = table;
  bad.chains[0].hook = "nowhere";
  EXPECT_FALSE(committer.replace({&bad}, skeletons));
  EXPECT_TRUE(committer.matches(table).value());
  ASSERT_TRUE(committer.commit(renderDelete(table.name)));
}

}  // namespace
}  // namespace multinet::nft
