#include "nodeagent/open_pods.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "lib/netlink/link.h"
#include "lib/netns/keep.h"
#include "lib/netns/netns.h"
#include "lib/nft/committer.h"
#include "nodeagent/drivers/op.h"

namespace multinet::agent {
namespace {

namespace fs = std::filesystem;

class OpenPodsTest : public ::testing::Test {
 protected:
  OpenPodsTest() {
    std::string path = fs::temp_directory_path() / "open-pods-XXXXXX";
    directory_ = ::mkdtemp(path.data());
    fs::create_directory(directory_ + "/proc");
    settings_.listen = directory_ + "/nodeagent.sock";
    switch_ = netns::keep(directory_ + "/switch").value();
    pod_ = netns::keep(directory_ + "/pod").value();
    other_ = netns::keep(directory_ + "/other").value();
  }
  ~OpenPodsTest() override {
    for (const char* const name : {"/switch", "/pod", "/other"}) {
      EXPECT_TRUE(netns::forget(directory_ + name));
    }
    fs::remove_all(directory_);
  }
  static void link(const Fd& netns, const std::string& intent) {
    const auto scope = netns::Scope::enter(netns).value();
    auto socket = netlink::Socket::open().value();
    netlink::VethSpec spec;
    spec.hostName = "net1";
    spec.peerName = "far1";
    spec.peerMac = MacAddress::parse("02:00:00:00:00:01").value();
    spec.mtu = 1500;
    const Status made = socket.run(netlink::createVeth(spec));
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(
        socket.run(netlink::setAlias({0, "net1"}, drivers::aliasOf(IntentId(intent), "net1"))));
  }
  static void commit(const Fd& netns, const std::string& commands) {
    const auto scope = netns::Scope::enter(netns).value();
    auto committer = nft::Committer::open().value();
    const Status done = committer.commit(commands);
    ASSERT_TRUE(done) << done.error().message;
  }
  static bool exists(const Fd& netns, const std::string& table, const std::string& family) {
    const auto scope = netns::Scope::enter(netns).value();
    return nft::Committer::open().value().exists(table, family).value();
  }
  /// Of this machine's processes none is a pod's.
  std::size_t open() const {
    const auto opened = openPods(settings_, isOurs, directory_ + "/proc");
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
    return opened.value_or(0);
  }
  static bool isOurs(const IntentId& intent) { return intent == IntentId("i-ours"); }

  std::string directory_;
  Settings settings_;
  Fd switch_;
  Fd pod_;
  Fd other_;
};

constexpr const char* kInPod =
    "add table inet multinet-policy\nadd table inet multinet-flows\n"
    "add table netdev multinet-raw\nadd table netdev multinet\nadd table inet own\n";

TEST_F(OpenPodsTest, WhatHoldsPodsGoesAndNothingElse) {
  link(pod_, "i-ours");
  link(other_, "i-another-nodes");
  commit(pod_, kInPod);
  commit(other_, kInPod);
  commit(switch_,
         "add table bridge multinet-policy\nadd table inet multinet-flows\n"
         "add table bridge multinet\n");
  EXPECT_EQ(open(), 1U);
  for (const char* const table : {"multinet-policy", "multinet-flows"}) {
    EXPECT_FALSE(exists(pod_, table, "inet")) << table;
    EXPECT_TRUE(exists(other_, table, "inet")) << table << " of a pod that isn't ours";
  }
  for (const char* const table : {"multinet-raw", "multinet"}) {
    EXPECT_FALSE(exists(pod_, table, "netdev")) << table;
    EXPECT_TRUE(exists(other_, table, "netdev")) << table << " of a pod that isn't ours";
  }
  EXPECT_TRUE(exists(pod_, "own", "inet")) << "the pod's own";
  EXPECT_FALSE(exists(switch_, "multinet-policy", "bridge"));
  EXPECT_FALSE(exists(switch_, "multinet-flows", "inet"));
  EXPECT_FALSE(exists(switch_, "multinet", "bridge"));
  {
    const auto scope = netns::Scope::enter(pod_).value();
    auto socket = netlink::Socket::open().value();
    EXPECT_TRUE(netlink::findLink(socket, {0, "net1"})) << "what runs is never taken away";
  }
  EXPECT_EQ(open(), 1U) << "again";
}

TEST_F(OpenPodsTest, ANodeWithoutASwitchIsNoError) {
  ASSERT_TRUE(netns::forget(directory_ + "/switch"));
  EXPECT_EQ(open(), 0U);
}

}  // namespace
}  // namespace multinet::agent
