#include "controller/certs/keeper.h"

#include "controller/certs/fake_certificate_door.h"
#include "lib/base/fake_clock.h"

namespace multinet::controller {
namespace {

const std::vector<std::string> kNames = {"multinet-webhook.multinet-system.svc"};

TEST(KeepCertificates, FromNothingTrustComesBeforeUse) {
  FakeCertificateDoor door;
  FakeClock clock;
  door.bundles = {{kMutateConfiguration, {""}}, {kValidateConfiguration, {"", ""}}};
  const auto wrote = keepCertificates(door, kNames, clock);
  ASSERT_TRUE(wrote.has_value()) << wrote.error().message;
  EXPECT_TRUE(*wrote);
  EXPECT_EQ(door.log,
            (std::vector<std::string>{"create multinet-webhook-ca", "bundle multinet-mutate",
                                      "bundle multinet-validate", "create multinet-webhook-tls"}));
}

TEST(KeepCertificates, IdleWritesNothing) {
  FakeCertificateDoor door;
  FakeClock clock;
  door.bundles = {{kMutateConfiguration, {""}}};
  ASSERT_TRUE(keepCertificates(door, kNames, clock).has_value());
  door.log.clear();
  const auto wrote = keepCertificates(door, kNames, clock);
  ASSERT_TRUE(wrote.has_value());
  EXPECT_FALSE(*wrote);
  EXPECT_TRUE(door.log.empty());
}

TEST(KeepCertificates, WithoutConfigurationsTheCertificateIsMadeAllTheSame) {
  FakeCertificateDoor door;
  FakeClock clock;
  ASSERT_TRUE(keepCertificates(door, kNames, clock).has_value());
  EXPECT_TRUE(door.secrets.contains(kServingSecret));
}

TEST(KeepCertificates, AStaleLeaderLosesAndTakesOverTheWinnersCa) {
  FakeCertificateDoor door;
  FakeClock clock;
  FakeCertificateDoor other;
  ASSERT_TRUE(keepCertificates(other, kNames, clock).has_value());
  door.beforeWrite = [&] {
    door.beforeWrite = nullptr;
    door.secrets[kAuthoritySecret] = other.secrets[kAuthoritySecret];
  };
  const auto lost = keepCertificates(door, kNames, clock);
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, Code::AlreadyExists);
  ASSERT_TRUE(keepCertificates(door, kNames, clock).has_value());
  EXPECT_EQ(door.secrets[kServingSecret].data.at("ca.crt"),
            other.secrets[kAuthoritySecret].data.at("ca.crt"));
}

TEST(KeepCertificates, GivesUpWhereSomebodyUndoesEachStep) {
  FakeCertificateDoor door;
  FakeClock clock;
  door.bundles = {{kMutateConfiguration, {""}}};
  ASSERT_TRUE(keepCertificates(door, kNames, clock).has_value());
  door.secrets.erase(kServingSecret);
  door.beforeWrite = [&] { door.secrets.erase(kAuthoritySecret); };
  const auto result = keepCertificates(door, kNames, clock);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().reason, "NotConverging");
}

}  // namespace
}  // namespace multinet::controller
