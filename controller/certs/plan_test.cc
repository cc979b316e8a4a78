#include "controller/certs/plan.h"

namespace multinet::controller {
namespace {

const WallTime kStart = WallTime(std::chrono::seconds(1767225600));  // 2026-01-01

/// The cluster's part: carries out a plan.
struct World {
  CertificateObservation observed;
  WallTime now = kStart;
  int writes = 0;
  std::vector<std::string> reasons;

  World() {
    observed.dnsNames = {"multinet-webhook.multinet-system.svc"};
    observed.bundles = {{"multinet-mutate", {""}}, {"multinet-validate", {"", ""}}};
  }
  void step(const CertificatePlan& plan) {
    ++writes;
    if (!plan.why.empty()) reasons.push_back(plan.why);
    if (plan.authority) observed.authority = plan.authority;
    if (plan.serving) observed.serving = plan.serving;
    for (const auto& name : plan.configurations) {
      for (auto& bundle : observed.bundles[name]) bundle = plan.bundle;
    }
    checkTrusted();
  }
  /// What the webhook serves is trusted by every configuration, whatever step came last.
  void checkTrusted() const {
    if (!observed.serving) return;
    for (const auto& [name, bundles] : observed.bundles) {
      for (const auto& bundle : bundles) {
        const auto trusted = tls::checkSignedBy(observed.serving->at("tls.crt"), bundle, now);
        EXPECT_TRUE(trusted.has_value()) << name << ": " << trusted.error().message;
      }
    }
  }
  void passDays(int days) {
    for (int day = 0; day < days && !testing::Test::HasFailure(); ++day) {
      now += std::chrono::hours(24);
      converge();
      if (observed.authority->contains("next.crt")) return;
    }
  }
  void converge() {
    for (int pass = 0; pass < 10; ++pass) {
      const auto plan = planCertificates(observed, now);
      ASSERT_TRUE(plan.has_value()) << plan.error().message;
      if (plan->converged()) return;
      step(*plan);
    }
    FAIL() << "it doesn't converge";
  }
};

TEST(PlanCertificates, MakesEverythingFromNothing) {
  World world;
  world.converge();
  ASSERT_TRUE(world.observed.serving);
  const auto leaf = tls::parseCertificate(world.observed.serving->at("tls.crt"));
  ASSERT_TRUE(leaf.has_value());
  EXPECT_EQ(leaf->dnsNames, world.observed.dnsNames);
  EXPECT_FALSE(world.observed.serving->contains("ca.key")) << "the webhook never gets the CA's key";
}

TEST(PlanCertificates, WritesNothingOnceConverged) {
  World world;
  world.converge();
  const int before = world.writes;
  world.now += std::chrono::hours(24 * 30);
  world.converge();
  EXPECT_EQ(world.writes, before);
}

TEST(PlanCertificates, AClockThatGoesForthAndBackChangesNothing) {
  World world;
  world.converge();
  const int before = world.writes;
  for (const int hours : {1, -2, 24, -24, 1}) {
    world.now += std::chrono::hours(hours);
    world.converge();
  }
  EXPECT_EQ(world.writes, before);
}

TEST(PlanCertificates, WhatWasMadeWhileTheClockWasAheadIsMadeAnew) {
  World world;
  world.now += std::chrono::hours(24);
  world.converge();
  world.now = kStart;
  for (int pass = 0; pass < 10; ++pass) {
    const auto plan = planCertificates(world.observed, world.now);
    ASSERT_TRUE(plan.has_value());
    if (plan->converged()) break;
    if (plan->authority) world.observed.authority = plan->authority;
    if (plan->serving) world.observed.serving = plan->serving;
    for (const auto& name : plan->configurations) {
      for (auto& bundle : world.observed.bundles[name]) bundle = plan->bundle;
    }
  }
  world.checkTrusted();
  const int before = world.writes;
  world.converge();
  EXPECT_EQ(world.writes, before) << "and is kept then";
}

TEST(PlanCertificates, RenewsTheLeafBeforeItEnds) {
  World world;
  world.converge();
  const auto before = world.observed.serving->at("tls.crt");
  world.now += std::chrono::hours(24 * 61);
  world.converge();
  EXPECT_NE(world.observed.serving->at("tls.crt"), before);
}

TEST(PlanCertificates, ReplacesTheCaWithoutAGapInTrust) {
  World world;
  world.converge();
  const auto first = world.observed.authority->at("ca.crt");
  // Day by day through two years; checkTrusted runs after each write.
  for (int day = 0; day < 730; ++day) {
    world.passDays(1);
    world.checkTrusted();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_NE(world.observed.authority->at("ca.crt"), first);
  EXPECT_EQ(world.observed.serving->at("ca.crt").find(first), std::string::npos)
      << "a CA that ended is dropped";
}

TEST(PlanCertificates, TheSuccessorSignsOnlyOnceItIsTrustedEverywhere) {
  World world;
  world.converge();
  world.passDays(246);  // the CA has less than 120 of 365 days left
  ASSERT_TRUE(world.observed.authority->contains("next.crt"));
  const auto next = world.observed.authority->at("next.crt");
  EXPECT_NE(world.observed.bundles["multinet-mutate"][0].find(next), std::string::npos);
  world.observed.bundles["multinet-mutate"][0] = world.observed.authority->at("ca.crt");
  world.now += kSettle;
  const auto plan = planCertificates(world.observed, world.now);
  ASSERT_TRUE(plan.has_value());
  EXPECT_FALSE(plan->authority) << "one configuration doesn't trust it";
  EXPECT_EQ(plan->configurations, std::vector<std::string>{"multinet-mutate"});
  world.converge();
  EXPECT_EQ(world.observed.authority->at("ca.crt"), next);
}

TEST(PlanCertificates, ALostCaSecretKeepsTheOldOneTrusted) {
  World world;
  world.converge();
  const auto old = world.observed.serving->at("ca.crt");
  world.observed.authority.reset();
  world.converge();
  EXPECT_NE(world.observed.bundles["multinet-mutate"][0].find(old), std::string::npos);
}

TEST(PlanCertificates, MakesAnewWhatCantBeRead) {
  for (const std::string key : {"tls.crt", "tls.key", "ca.crt"}) {
    World world;
    world.converge();
    (*world.observed.serving)[key] = "garbage";
    world.converge();
    EXPECT_NE(world.observed.serving->at(key), "garbage");
  }
  for (const std::string key : {"ca.crt", "ca.key"}) {
    World world;
    world.converge();
    (*world.observed.authority)[key] = "garbage";
    world.converge();
    EXPECT_NE(world.observed.authority->at(key), "garbage");
  }
}

TEST(PlanCertificates, ANewNameOfTheServiceMakesANewLeaf) {
  World world;
  world.converge();
  world.observed.dnsNames.push_back("multinet-webhook.multinet-system.svc.cluster.local");
  world.converge();
  EXPECT_EQ(world.reasons.back(),
            "the certificate lacks the name multinet-webhook.multinet-system.svc.cluster.local: "
            "signed one");
}

TEST(PlanCertificates, AConfigurationThatSomebodyAppliedAgainIsPatchedAgain) {
  World world;
  world.converge();
  world.observed.bundles["multinet-validate"][1] = "";
  const auto plan = planCertificates(world.observed, world.now);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->configurations, std::vector<std::string>{"multinet-validate"});
  EXPECT_FALSE(plan->serving);
}

}  // namespace
}  // namespace multinet::controller
