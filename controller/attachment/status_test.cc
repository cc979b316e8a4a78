#include "controller/attachment/status.h"

namespace multinet::controller {
namespace {

using State = ConditionWish::Status;

AttachmentObservation attachment() {
  AttachmentObservation observed;
  observed.meta.namespaceName = "team-a";
  observed.meta.name = "nas";
  observed.networkName = "storage";
  observed.networkReady = ConditionWish{"Ready", State::True, "Accepted", ""};
  observed.granted = true;
  return observed;
}

TEST(ReconcileAttachment, AcceptsWhatItsNetworkAccepts) {
  EXPECT_EQ(reconcileAttachment(attachment()).ready.status, State::True);
}

TEST(ReconcileAttachment, SaysWhichNetworkIsMissing) {
  auto observed = attachment();
  observed.networkReady.reset();
  const auto ready = reconcileAttachment(observed).ready;
  EXPECT_EQ(ready.status, State::False);
  EXPECT_EQ(ready.reason, "NetworkNotFound");
  EXPECT_NE(ready.message.find("\"storage\""), std::string::npos);
}

TEST(ReconcileAttachment, SaysThatTheNamespaceIsNotGranted) {
  auto observed = attachment();
  observed.granted = false;
  EXPECT_EQ(reconcileAttachment(observed).ready.reason, "NotGranted");
}

TEST(ReconcileAttachment, PassesOnWhyTheNetworkIsNotReady) {
  auto observed = attachment();
  observed.networkReady = ConditionWish{"Ready", State::False, "Conflict", "VNI 7 is red's."};
  const auto ready = reconcileAttachment(observed).ready;
  EXPECT_EQ(ready.reason, "NetworkNotReady");
  EXPECT_NE(ready.message.find("VNI 7 is red's."), std::string::npos);
}

TEST(ReconcileAttachment, NamesItsOwnViolations) {
  auto observed = attachment();
  observed.violations = {"spec.mtu: 9000: at most 1500", "spec.interfaceName: \"lo\""};
  EXPECT_EQ(reconcileAttachment(observed).ready.message,
            "spec.mtu: 9000: at most 1500 (and 1 more)");
}

TEST(ReconcileAttachment, CountsPodsOnceHoweverManyInterfaces) {
  InterfaceSet twice;
  twice.podUid = "u1";
  twice.interfaces = {{"storage", "nas"}, {"storage", "nas"}};
  InterfaceSet other;
  other.podUid = "u2";
  other.interfaces = {{"storage", ""}};
  auto observed = attachment();
  observed.sets = {&twice, &other};
  EXPECT_EQ(reconcileAttachment(observed).attachedPods, 1);
}

}  // namespace
}  // namespace multinet::controller
