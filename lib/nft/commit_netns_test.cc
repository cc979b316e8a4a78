// libnftables against the kernel, in the test's own namespace.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "lib/nft/committer.h"

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

}  // namespace
}  // namespace multinet::nft
