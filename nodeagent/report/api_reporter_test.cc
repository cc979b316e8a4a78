#include "nodeagent/report/api_reporter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "lib/base/clock.h"

namespace multinet::agent::report {
namespace {

using namespace std::chrono_literals;

class FakeApi final : public ReportApi {
 public:
  Status putSet(const api::PodInterfaceSet& set) override {
    const std::lock_guard lock(mutex_);
    if (down_ > 0) {
      --down_;
      return fail(Code::Unavailable, "ServerAway", "the server is away");
    }
    sets_[set.metadata.name] = set;
    return {};
  }
  Status deleteSet(const std::string& /*namespaceName*/, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    if (sets_.erase(name) == 0) return fail(Code::NotFound, "NotFound", "no set");
    return {};
  }
  Status putReadiness(const PodRef& /*pod*/, const Readiness& readiness) override {
    const std::lock_guard lock(mutex_);
    readiness_ = readiness;
    return {};
  }
  void recordEvent(const PodRef& /*pod*/, const Notice& notice) override {
    const std::lock_guard lock(mutex_);
    event_ = notice.reason;
  }
  void recordNodeEvent(const Notice& notice) override {
    const std::lock_guard lock(mutex_);
    event_ = "node " + notice.reason;
  }

  std::mutex mutex_;
  int down_ = 0;
  std::map<std::string, api::PodInterfaceSet> sets_;
  Readiness readiness_;
  std::string event_;
};

class FakeConditions final : public NodeConditions {
 public:
  void setNodeCondition(NodeCondition condition) override { last_ = std::move(condition); }
  NodeCondition last_;
};

class ApiReporterTest : public ::testing::Test {
 protected:
  void settle() {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (reporter_.waiting() > 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(1ms);
    }
  }
  static std::vector<InterfaceStatus> oneInterface() {
    InterfaceStatus status;
    status.plan.name = InterfaceName::parse("net1").value();
    status.plan.network = NetworkName("blue");
    status.plan.addresses = {
        {InterfaceAddress::parse("10.20.0.5/16").value(), IpAddress::parse("10.20.0.1").value()}};
    status.plan.mtu = 1450;
    status.state = InterfaceState::Attached;
    return {status};
  }

  SystemClock clock_;
  FakeApi api_;
  FakeConditions conditions_;
  ApiReporter reporter_{api_, conditions_, clock_, NodeName("n1")};
  const PodRef pod_{PodUid("12345678-aaaa"), "default", "web-0", 0};
};

TEST_F(ApiReporterTest, WritesTheSetAndTheConditionOnceTheServerIsBack) {
  {
    const std::lock_guard lock(api_.mutex_);
    api_.down_ = 2;
  }
  reporter_.attached(pod_, SandboxId("s1"), oneInterface());
  settle();
  ASSERT_EQ(api_.sets_.size(), 1U);
  const api::PodInterfaceSet& set = api_.sets_.begin()->second;
  EXPECT_EQ(set.metadata.name, "web-0-12345678");
  EXPECT_EQ(set.metadata.ownerReferences.at(0).uid, "12345678-aaaa");
  EXPECT_EQ(set.interfaces.at(0).ips.at(0).gateway, "10.20.0.1");
  EXPECT_TRUE(set.interfaces.at(0).conditions.isTrue("Ready"));
  EXPECT_TRUE(api_.readiness_.ready);
}

TEST_F(ApiReporterTest, AnOldSandboxesEndLeavesTheNewOnesSet) {
  reporter_.attached(pod_, SandboxId("s2"), oneInterface());
  reporter_.detached(pod_, SandboxId("s1"));
  settle();
  EXPECT_EQ(api_.sets_.size(), 1U);
  EXPECT_TRUE(api_.readiness_.ready);
  reporter_.detached(pod_, SandboxId("s2"));
  settle();
  EXPECT_TRUE(api_.sets_.empty());
  EXPECT_FALSE(api_.readiness_.ready);
}

TEST_F(ApiReporterTest, ARefusalIsAnEventAndTheConditionsReason) {
  reporter_.refused(pod_, {Code::NotFound, "NetworkNotFound", "network \"blu\" does not exist"});
  settle();
  EXPECT_EQ(api_.event_, "NetworkNotFound");
  EXPECT_EQ(api_.readiness_.reason, "NetworkNotFound");
}

TEST_F(ApiReporterTest, OtherRoomsPutEventsOnPodsAndTheNodeAndSetItsConditions) {
  reporter_.event(pod_, {kube::Severity::Warning, "Contested", "two pods have 10.20.0.5"});
  EXPECT_EQ(api_.event_, "Contested");
  reporter_.nodeEvent(
      {kube::Severity::Warning, "AgentBypassed", "the kubelet goes past the agent"});
  EXPECT_EQ(api_.event_, "node AgentBypassed");
  const NodeCondition condition{"AgentBypassed", k8s::ConditionStatus::True, "Seen", "it does"};
  reporter_.setNodeCondition(condition);
  EXPECT_EQ(conditions_.last_, condition);
}

}  // namespace
}  // namespace multinet::agent::report
