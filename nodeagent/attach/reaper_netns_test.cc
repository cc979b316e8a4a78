// Removing links on the real kernel. `lo` stands for a link that can't go.
#include "nodeagent/attach/reaper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "lib/netlink/link.h"
#include "nodeagent/drivers/op.h"

namespace multinet::agent::attach {
namespace {

class ReaperTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = netlink::Socket::open();
    ASSERT_TRUE(opened) << opened.error().message;
    socket_.emplace(std::move(*opened));
  }
  void TearDown() override { run(netlink::setAlias({0, "lo"}, "")); }

  void run(const netlink::Request& request) {
    const Status status = socket_->run(request);
    ASSERT_TRUE(status) << status.error().message;
  }
  void make(const std::string& name, const std::string& intent) {
    run(netlink::createBridge({name, MacAddress::derive(name), 1500}));
    run(netlink::setAlias({0, name}, drivers::aliasOf(IntentId(intent), "net1")));
  }
  bool isThere(const std::string& name) {
    const auto links = netlink::findLinks(*socket_).value();
    return std::any_of(links.begin(), links.end(),
                       [&](const auto& one) { return one.name == name; });
  }

  std::optional<netlink::Socket> socket_;
};

TEST_F(ReaperTest, OneLinkThatCantGoFailsItsOwnDetachAlone) {
  run(netlink::setAlias({0, "lo"}, drivers::aliasOf(IntentId("stuck"), "net1")));
  make("br-a", "a");
  make("br-b", "b");
  std::vector<netlink::Socket> hosts;
  hosts.push_back(netlink::Socket::open().value());
  Reaper reaper(std::move(hosts), {});
  std::map<std::string, Status> results;
  std::vector<Removal> removals;
  for (const char* intent : {"a", "stuck", "b", "nothing"}) {
    removals.push_back(
        {std::nullopt, Detach{IntentId(intent), std::nullopt},
         [&results, intent](Status status) { results[intent] = std::move(status); }});
  }
  reaper.run(std::move(removals));
  EXPECT_EQ(results.size(), 4U);
  EXPECT_FALSE(results["stuck"].has_value());
  for (const char* fine : {"a", "b", "nothing"}) {
    EXPECT_TRUE(results[fine].has_value()) << fine << ": " << results[fine].error().message;
  }
  EXPECT_FALSE(isThere("br-a"));
  EXPECT_FALSE(isThere("br-b"));
}

TEST_F(ReaperTest, AGroupThatTheKernelRefusedSpoilsNoLaterOne) {
  make("br-a", "a");
  make("br-b", "b");
  EXPECT_EQ(deleteLinks(*socket_, {"lo", "br-a"}).size(), 1U);
  make("br-c", "c");
  EXPECT_TRUE(deleteLinks(*socket_, {"br-b", "br-c", "br-gone"}).empty());
  EXPECT_FALSE(isThere("br-b"));
  EXPECT_FALSE(isThere("br-c"));
}

}  // namespace
}  // namespace multinet::agent::attach
