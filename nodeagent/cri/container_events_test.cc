#include "nodeagent/cri/container_events.h"

#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <future>

#include "nodeagent/cri/extension.h"
#include "nodeagent/cri/relay_fixture.h"

namespace multinet::agent::cri {
namespace {

subset::ContainerEventResponse eventOf(const std::string& sandbox, const std::string& uid) {
  subset::ContainerEventResponse event;
  event.set_container_id(sandbox);
  event.mutable_pod_sandbox_status()->set_id(sandbox);
  event.mutable_pod_sandbox_status()->mutable_metadata()->set_uid(uid);
  event.mutable_pod_sandbox_status()->mutable_network()->set_ip("10.0.0.1");
  return event;
}
sandbox::Snapshot recovered() {
  return {.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
}
sandbox::Snapshot running(const std::string& uid) {
  auto snapshot = recovered();
  snapshot.running.insert({PodUid(uid), 0});
  return snapshot;
}
bool hasExtension(const subset::ContainerEventResponse& event) {
  const auto& network = event.pod_sandbox_status().network();
  const auto& unknown = network.GetReflection()->GetUnknownFields(network);
  return unknown.field_count() == 1 &&
         unknown.field(0).number() == static_cast<int>(kExtensionField);
}

TEST_F(RelayTest, EventsOfPlainPodsPassByteForByte) {
  auto snapshot = running("other");
  snapshot.sandboxes[SandboxId("known")].attached = true;
  sandboxes.show(snapshot);
  for (const std::string& bytes :
       {eventOf("s1", "u1").SerializeAsString(), std::string("\xff\xff no event")}) {
    runtime.answer = bytes;
    EXPECT_EQ(call(cri("GetContainerEvents"), "").bytes, bytes);
  }
}

TEST_F(RelayTest, EventsOfASandboxWithNetworksSayWhatItGot) {
  auto snapshot = recovered();
  snapshot.sandboxes[SandboxId("s1")].attached = true;
  snapshot.sandboxes[SandboxId("bad")].verdict = sandbox::Verdict::NotReady;
  sandboxes.show(snapshot);
  subset::ContainerEventResponse shown;
  runtime.answer = eventOf("s1", "u1").SerializeAsString();
  ASSERT_TRUE(shown.ParseFromString(call(cri("GetContainerEvents"), "").bytes));
  EXPECT_TRUE(hasExtension(shown));
  EXPECT_EQ(shown.pod_sandbox_status().network().ip(), "10.0.0.1");
  EXPECT_EQ(shown.pod_sandbox_status().state(), subset::SANDBOX_READY);
  runtime.answer = eventOf("bad", "u2").SerializeAsString();
  ASSERT_TRUE(shown.ParseFromString(call(cri("GetContainerEvents"), "").bytes));
  EXPECT_EQ(shown.pod_sandbox_status().state(), subset::SANDBOX_NOTREADY);
  // Of a sandbox that is gone there is no status, and none is made up.
  subset::ContainerEventResponse deleted;
  deleted.set_container_id("s1");
  runtime.answer = deleted.SerializeAsString();
  EXPECT_EQ(call(cri("GetContainerEvents"), "").bytes, runtime.answer);
}

TEST_F(RelayTest, AnEventOfAHiddenSandboxWaitsUntilItIsShown) {
  sandboxes.show(running("u1"));
  runtime.answer = eventOf("s1", "u1").SerializeAsString();
  auto waits =
      std::async(std::launch::async, [this] { return call(cri("GetContainerEvents"), ""); });
  EXPECT_EQ(waits.wait_for(40ms), std::future_status::timeout);
  timePasses = true;
  auto attached = recovered();
  attached.sandboxes[SandboxId("s1")].attached = true;
  sandboxes.show(attached);
  subset::ContainerEventResponse shown;
  ASSERT_TRUE(shown.ParseFromString(waits.get().bytes));
  EXPECT_TRUE(hasExtension(shown));
}

TEST_F(RelayTest, AnEventOfASandboxThatWasRolledBackIsNeverShown) {
  sandboxes.show(running("u1"));
  runtime.answer = eventOf("s1", "u1").SerializeAsString();
  auto waits =
      std::async(std::launch::async, [this] { return call(cri("GetContainerEvents"), ""); });
  EXPECT_EQ(waits.wait_for(40ms), std::future_status::timeout);
  timePasses = true;
  sandboxes.show(recovered());
  EXPECT_EQ(waits.get().bytes, "");
}

TEST_F(RelayTest, AnEventIsHeldForABoundedTime) {
  sandboxes.show(running("u1"));
  runtime.answer = eventOf("s1", "u1").SerializeAsString();
  timePasses = true;
  EXPECT_EQ(call(cri("GetContainerEvents"), "", 60s).bytes, "");
  timePasses = false;
  EXPECT_EQ(call(cri("GetContainerEvents"), "", 200ms).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

}  // namespace
}  // namespace multinet::agent::cri
