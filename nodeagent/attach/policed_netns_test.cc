// Policies around the life of a link in a pod: asked before it is made, told while it is down, and
// when it is gone.
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>

#include "lib/base/failpoint.h"
#include "nodeagent/attach/test_host.h"

namespace multinet::agent::attach {
namespace {

/// Writes down what it is asked, and how the pod's link was then.
class FakePolicies final : public Policies {
 public:
  explicit FakePolicies(const Fd& pod) : pod_(pod) {}
  void join(Policeable /*pod*/, async::Answer<void> /*done*/) override {}
  void known(Policeable /*pod*/) override {}
  void recovered() override {}
  [[nodiscard]] Status hold(const IntentId& intent, const std::vector<isolation::Port>& ports,
                            const std::vector<PodPort>& inPod) override {
    EXPECT_TRUE(ports.empty());
    if (inPod.size() != 1) return fail(Code::Internal, "Test", std::to_string(inPod.size()));
    name = inPod[0].name;
    EXPECT_EQ(inPod[0].interface, "net1");
    addresses = inPod[0].addresses;
    EXPECT_EQ(netns::identity(*inPod[0].netns).value(), netns::identity(pod_).value());
    said.push_back("hold " + intent.str() + ", " + link());
    return refuse ? fail(Code::Unavailable, "CommitFailed", "no memory") : Status{};
  }
  [[nodiscard]] Status linked(const IntentId& intent) override {
    said.push_back("linked " + intent.str() + ", " + link());
    return {};
  }
  void release(const std::vector<std::string>& names,
               const std::vector<IntentId>& intents) override {
    for (const auto& one : names) said.push_back(one == name ? "release the link" : "release");
    for (const auto& one : intents) said.push_back("release " + one.str() + ", " + link());
  }

  std::vector<std::string> said;
  std::string name;
  std::vector<IpAddress> addresses;
  bool refuse = false;

 private:
  [[nodiscard]] std::string link() const {
    auto socket = TestHost::socketIn(pod_);
    const auto found = netlink::findLink(socket, {0, "net1"});
    if (!found) return "no link";
    return found->up ? "up" : "down";
  }
  const Fd& pod_;
};

class PolicedTest : public testing::Test {
 protected:
  ~PolicedTest() override { static_cast<void>(failpoint::arm("")); }
  using Said = std::vector<std::string>;

  const Fd pod_ = netns::make().value();
  FakePolicies policies_{pod_};
  TestHost host_{nullptr, &policies_};
  const Desired desired_{IntentId("one"), {testMacvlanPlan("net1", "10.30.0.", 7)}};
};

TEST_F(PolicedTest, AMacvlanIsHeldBeforeItIsMadeAndOnceMoreBeforeItIsUp) {
  ASSERT_TRUE(host_.attach(desired_, pod_));
  EXPECT_EQ(policies_.said, (Said{"hold one, no link", "linked one, down"}));
  std::vector<IpAddress> planned;
  for (const AddressPlan& one : desired_.interfaces[0].addresses) {
    planned.push_back(one.address.address);
  }
  EXPECT_FALSE(planned.empty());
  EXPECT_EQ(policies_.addresses, planned);
  policies_.said.clear();
  const auto looked = host_.maintain(desired_, pod_);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_TRUE(looked->repairs.empty());
  EXPECT_EQ(policies_.said, (Said{"hold one, up"}));
  policies_.said.clear();
  ASSERT_TRUE(host_.detach(desired_, pod_));
  EXPECT_EQ(policies_.said, (Said{"release one, no link"}));
}

TEST_F(PolicedTest, AMacvlanThatPoliciesAreRefusedForIsntMade) {
  policies_.refuse = true;
  const auto refused = host_.attach(desired_, pod_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "CommitFailed");
  EXPECT_EQ(policies_.said.size(),
            static_cast<std::size_t>(std::ranges::count(policies_.said, "hold one, no link")));
}

TEST_F(PolicedTest, AMacvlanThatFailsIsntHeldAnyMore) {
  ASSERT_TRUE(failpoint::arm("attach.configure.after@1=error"));
  ASSERT_FALSE(host_.attach(desired_, pod_));
  EXPECT_EQ(policies_.said, (Said{"hold one, no link", "linked one, down", "release the link"}));
}

TEST_F(PolicedTest, AMacvlanThatIsMadeAnewIsHeldBeforeItIsUp) {
  ASSERT_TRUE(host_.attach(desired_, pod_));
  auto inner = TestHost::socketIn(pod_);
  TestHost::run(inner, netlink::deleteLink({0, "net1"}));
  policies_.said.clear();
  const auto looked = host_.maintain(desired_, pod_);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_FALSE(looked->repairs.empty());
  EXPECT_EQ(policies_.said, (Said{"hold one, no link", "linked one, down"}));
}

}  // namespace
}  // namespace multinet::agent::attach
