#include "cli/program_fixture.h"

namespace multinet::cli {
namespace {

const std::string kNodes = "/api/v1/nodes";
const std::string kPods = "/api/v1/namespaces/shop/pods";

class DrainTest : public ProgramTest {
 protected:
  DrainTest() { put(kNodes, "node-a", {{"metadata", json::object()}}); }
  /// `more`: of its metadata.
  void addPod(const std::string& name, const json& more) {
    json metadata = {{"namespace", "shop"}};
    metadata.update(more);
    put(kPods, name, {{"metadata", metadata}, {"spec", {{"nodeName", "node-a"}}}});
  }
  void patch(const std::string& pod, const json& change) {
    const auto answer = server_.store().patch(testing::ResourcePath::parse(kPods + "/" + pod),
                                              change, testing::ObjectStore::IfAbsent::Fail);
    ASSERT_EQ(answer.status, 200) << answer.body.dump();
  }
};

const json kAsks = {{"annotations", {{"multinet.dev/networks", "blue"}}}};

TEST_F(DrainTest, EndsPodsWithNetworksAndNoOther) {
  addPod("plain", json::object());
  addPod("asks", kAsks);
  EXPECT_EQ(run({"drain", "node-a"}), 0) << err();
  EXPECT_NE(out().find("evicting pod shop/asks\n"), std::string::npos) << out();
  EXPECT_EQ(look(kNodes + "/node-a")["spec"]["unschedulable"], true);
  EXPECT_TRUE(look(kPods + "/asks").is_null());
  EXPECT_FALSE(look(kPods + "/plain").is_null());
}

TEST_F(DrainTest, WhoeverMayNotEvictCordonsNothing) {
  addPod("asks", kAsks);
  server_.deny("create", "pods");
  EXPECT_EQ(run({"drain", "node-a"}), 2);
  EXPECT_NE(err().find("drain node-a: you may not create pods/eviction; nothing was changed"),
            std::string::npos)
      << err();
  EXPECT_FALSE(look(kNodes + "/node-a")["spec"].contains("unschedulable"));
}

// The kubelet writes the last phase first and deletes the pod then.
TEST_F(DrainTest, APodThatHasEndedIsWaitedForUntilItIsGone) {
  json held = kAsks;
  held["finalizers"] = {"example.com/kubelet"};
  addPod("asks", held);
  int rests = 0;
  meanwhile = [&](int rest) {
    rests = rest;
    if (rest == 2) patch("asks", {{"status", {{"phase", "Failed"}}}});
    if (rest == 4) patch("asks", {{"metadata", {{"finalizers", json::array()}}}});
  };
  EXPECT_EQ(run({"drain", "node-a"}), 0) << err();
  EXPECT_EQ(rests, 4);
  EXPECT_TRUE(look(kPods + "/asks").is_null());
}

TEST_F(DrainTest, PodsThatHadEndedBeforeAreNobodysToEvict) {
  addPod("over", kAsks);
  patch("over", {{"status", {{"phase", "Succeeded"}}}});
  EXPECT_EQ(run({"drain", "node-a"}), 0) << err();
  EXPECT_FALSE(look(kPods + "/over").is_null());
}

TEST_F(DrainTest, ItsTimeIsBoundedAndItSaysWhoIsLeft) {
  json held = kAsks;
  held["finalizers"] = {"example.com/never"};
  addPod("asks", held);
  EXPECT_EQ(run({"drain", "node-a", "--timeout=10s"}), 1);
  EXPECT_NE(out().find("the wait is over"), std::string::npos) << out();
  EXPECT_NE(out().find("pod shop/asks (blue)"), std::string::npos) << out();
}

}  // namespace
}  // namespace multinet::cli
