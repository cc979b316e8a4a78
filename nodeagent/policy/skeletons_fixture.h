// Each table of the agent, by the kernel's own messages and by libnftables.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "lib/netns/netns.h"
#include "lib/nft/committer.h"
#include "lib/nft/skeletons.h"
#include "nodeagent/isolation/port_rules.h"
#include "nodeagent/policy/rules.h"

namespace multinet::agent::policing {

class SkeletonsTest : public testing::Test {
 protected:
  /// Tables that come into many namespaces: in a pod's first rules there is no libnftables.
  static std::vector<nft::Table> ofPods() {
    Tables pod = tablesFor(Tracking::Pod, 0);
    for (nft::Set& set : pod.rules.sets) {
      if (set.name == "isolated") set.elements = {"net1"};
      if (set.name == "networks") set.elements = {"net1 : 2147483649"};
      if (set.name == "egress") set.elements = {"net1 : 0:1"};
      if (set.name == "classes4") set.elements = {"2147483649 . 10.0.0.1 : 5"};
      if (set.name == "classes6") set.elements = {"2147483649 . fd00::1 : 5"};
      if (set.name == "ranges4") set.elements = {"2147483649 . 10.1.0.0/24 : 5"};
      if (set.name == "ranges6") set.elements = {"2147483649 . fd01::/64 : 5"};
      if (set.name == "every") set.elements = {"0:1 . 5"};
      if (set.name == "ports") set.elements = {"0:1 . 5 . 6 . 80", "0:1 . 5 . 17 . 90-99"};
    }
    return {std::move(pod.rules), std::move(pod.flows), rawTable({"lo"})};
  }
  static std::vector<nft::Table> ofNodes() {
    std::vector<nft::Table> all = {isolation::portTable(), isolation::parentTable({"lo"}),
                                   isolation::podTable({}, {4789})};
    for (const Tracking tracking : {Tracking::Bridge, Tracking::BrNetfilter}) {
      Tables tables = tablesFor(tracking, 6400);
      all.push_back(std::move(tables.rules));
      all.push_back(std::move(tables.flows));
    }
    return all;
  }
  /// As the kernel takes it, or libnftables in its place; and again in place of what is there.
  void expectSame(const nft::Table& table) {
    const auto scope = netns::Scope::enter(netns_).value();
    auto committer = nft::Committer::open().value();
    // What this kernel lacks it has for nobody.
    if (!committer.commit(nft::renderReplace(table))) {
      unknown_.push_back(table.family + " " + table.name);
      return;
    }
    ASSERT_TRUE(committer.commit(nft::renderDelete(table.name, table.family)));
    for (int i = 0; i < 2; ++i) {
      const Status done = committer.replace({&table}, skeletons_);
      ASSERT_TRUE(done) << table.name << ": " << done.error().message;
      EXPECT_TRUE(committer.matches(table).value()) << table.family << " " << table.name;
    }
  }
  /// The kernel takes its own messages.
  void expectTaken(const nft::Table& table) {
    const auto scope = netns::Scope::enter(netns_).value();
    const auto* messages = skeletons_.of(table);
    ASSERT_NE(messages, nullptr) << table.family << " " << table.name;
    nft::Batch batch;
    batch.put(netlink::Bytes(*messages));
    auto socket = nft::BatchSocket::open().value();
    const Status done = socket.commit(std::move(batch));
    EXPECT_TRUE(done) << table.family << " " << table.name << ": " << done.error().message;
    EXPECT_TRUE(socket.hasTable(table.name, table.family).value());
  }

  /// Of those that this kernel has.
  void expectTakenAndSame(const nft::Table& table) {
    expectSame(table);
    const std::string name = table.family + " " + table.name;
    if (std::ranges::find(unknown_, name) == unknown_.end()) expectTaken(table);
  }

  Fd netns_ = netns::make().value();
  nft::Skeletons skeletons_;
  std::vector<std::string> unknown_;
};

inline constexpr const char* kLacks = "this kernel has no such table, whoever commits it: ";

}  // namespace multinet::agent::policing
