#include "controller/policies/tally.h"

#include <gtest/gtest.h>

namespace multinet::controller {
namespace {

using k8s::ConditionStatus;

struct Told {
  ConditionStatus accepted = ConditionStatus::True;
  ConditionStatus resolved = ConditionStatus::True;
  ConditionStatus enforced = ConditionStatus::True;
  std::string reason = "Enforced";
};

std::shared_ptr<Policy> policyWith(const Told& told, int selected) {
  auto policy = std::make_shared<Policy>();
  const auto set = [&](const char* type, ConditionStatus status, const std::string& reason) {
    policy->status.conditions.set({type, status, 0, std::nullopt, reason, ""}, WallTime());
  };
  set("Accepted", told.accepted, "Accepted");
  set("PeersResolved", told.resolved, "Resolved");
  set("Enforced", told.enforced, told.reason);
  policy->status.interfaces = api::PolicyInterfaceCounts{selected, selected - 1};
  return policy;
}

TEST(PolicyTally, CountsByTheFirstConditionThatLacks) {
  constexpr auto kFalse = ConditionStatus::False;
  constexpr auto kTrue = ConditionStatus::True;
  PolicyTally expected;
  expected.byState = {2, 1, 1, 1, 1, 1};
  expected.selected = 9;
  expected.enforced = 3;
  EXPECT_EQ(policyTallyOf({policyWith({}, 2), policyWith({}, 2),
                           policyWith({.enforced = kTrue, .reason = "NoneSelected"}, 1),
                           policyWith({.enforced = kFalse, .reason = "CommitFailed"}, 1),
                           policyWith({.resolved = kFalse, .enforced = kFalse}, 1),
                           policyWith({.accepted = kFalse, .resolved = kFalse}, 2),
                           std::make_shared<Policy>()},
                          {}),
            expected);
  EXPECT_EQ(policyTallyOf({}, {}), PolicyTally());
  EXPECT_EQ(policyTallyOf({}, {std::make_shared<ClusterPolicy>()}).byState[5], 1U);
}

TEST(PolicyTally, CountsNoVerdictOfAnEarlierGeneration) {
  const auto edited = [](const Told& told) {
    auto policy = policyWith(told, 1);
    ++policy->metadata.generation;
    return policy;
  };
  constexpr auto kFalse = ConditionStatus::False;
  auto half = edited({});
  for (const char* type : {"Accepted", "PeersResolved"}) {
    half->status.conditions.set({type, ConditionStatus::True, 1, std::nullopt, "", ""}, WallTime());
  }
  const auto tally =
      policyTallyOf({edited({}), edited({.accepted = kFalse}), edited({.resolved = kFalse}),
                     edited({.enforced = kFalse}), half},
                    {});
  EXPECT_EQ(tally.byState.at(5), 5U);
}

}  // namespace
}  // namespace multinet::controller
