#include "controller/certs/keeper.h"

#include "controller/certs/fake_certificate_door.h"
#include "lib/base/fake_clock.h"

namespace multinet::controller {
namespace {

Result<Kept> keep(CertificateDoor& door, const Clock& clock) {
  return keepCertificates(door, {"multinet-webhook.multinet-system.svc"}, clock,
                          [] { return true; });
}

TEST(KeepCertificates, FromNothingTrustComesBeforeUse) {
  FakeCertificateDoor door;
  FakeClock clock;
  door.bundles = {{kMutateConfiguration, {""}}, {kValidateConfiguration, {"", ""}}};
  const auto wrote = keep(door, clock);
  ASSERT_TRUE(wrote.has_value()) << wrote.error().message;
  EXPECT_TRUE(wrote->wrote);
  EXPECT_EQ(wrote->servingEnds, clock.wall() + kLeafLifetime);
  EXPECT_EQ(wrote->authorityEnds, clock.wall() + kCaLifetime);
  EXPECT_EQ(door.log,
            (std::vector<std::string>{"create multinet-webhook-ca", "bundle multinet-mutate",
                                      "bundle multinet-validate", "create multinet-webhook-tls"}));
}

TEST(KeepCertificates, IdleWritesNothing) {
  FakeCertificateDoor door;
  FakeClock clock;
  door.bundles = {{kMutateConfiguration, {""}}};
  ASSERT_TRUE(keep(door, clock).has_value());
  door.log.clear();
  const auto wrote = keep(door, clock);
  ASSERT_TRUE(wrote.has_value());
  EXPECT_FALSE(wrote->wrote);
  EXPECT_TRUE(door.log.empty());
}

TEST(KeepCertificates, WithoutConfigurationsTheCertificateIsMadeAllTheSame) {
  FakeCertificateDoor door;
  FakeClock clock;
  ASSERT_TRUE(keep(door, clock).has_value());
  EXPECT_TRUE(door.secrets.contains(kServingSecret));
}

TEST(KeepCertificates, AStaleLeaderLosesAndTakesOverTheWinnersCa) {
  FakeCertificateDoor door;
  FakeClock clock;
  FakeCertificateDoor other;
  ASSERT_TRUE(keep(other, clock).has_value());
  door.beforeWrite = [&] {
    door.beforeWrite = nullptr;
    door.secrets[kAuthoritySecret] = other.secrets[kAuthoritySecret];
  };
  const auto lost = keep(door, clock);
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, Code::AlreadyExists);
  ASSERT_TRUE(keep(door, clock).has_value());
  EXPECT_EQ(door.secrets[kServingSecret].data.at("ca.crt"),
            other.secrets[kAuthoritySecret].data.at("ca.crt"));
}

TEST(KeepCertificates, GivesUpWhereSomebodyUndoesEachStep) {
  FakeCertificateDoor door;
  FakeClock clock;
  door.bundles = {{kMutateConfiguration, {""}}};
  ASSERT_TRUE(keep(door, clock).has_value());
  door.secrets.erase(kServingSecret);
  door.beforeWrite = [&] { door.secrets.erase(kAuthoritySecret); };
  const auto result = keep(door, clock);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().reason, "NotConverging");
}

TEST(KeepCertificates, AStaleLeaderDoesNotUndoANewersBundle) {
  FakeCertificateDoor door;
  FakeClock clock;
  door.bundles = {{kMutateConfiguration, {""}}};
  ASSERT_TRUE(keep(door, clock).has_value());
  door.bundles[kMutateConfiguration] = {"applied again"};
  door.beforeWrite = [&] {  // it was held up between its look and its write
    door.beforeWrite = nullptr;
    door.bundles[kMutateConfiguration] = {"rotated"};
    ++door.versions[kMutateConfiguration];
  };
  const auto lost = keep(door, clock);
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, Code::Aborted);
  EXPECT_EQ(door.bundles[kMutateConfiguration], std::vector<std::string>{"rotated"});
}

TEST(KeepCertificates, WhoLeadsNoMoreWritesNoStepMore) {
  FakeCertificateDoor door;
  FakeClock clock;
  int steps = 0;
  const auto stopped = keepCertificates(door, {"name"}, clock, [&] { return ++steps < 2; });
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().reason, "NotLeading");
  EXPECT_EQ(door.log, std::vector<std::string>{"create multinet-webhook-ca"});
}

}  // namespace
}  // namespace multinet::controller
