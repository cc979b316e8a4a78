#include "nodeagent/sandbox/sandboxes.h"

#include <gtest/gtest.h>

#include <future>

#include "nodeagent/sandbox/fake_node.h"

namespace multinet::agent::sandbox {
namespace {

using std::chrono::seconds;

constexpr seconds kPatience(4);

class SandboxesTest : public ::testing::Test {
 protected:
  SandboxesTest() {
    node_.start();
    node_.owner->restore({});
  }
  ~SandboxesTest() override { timers_.stop(); }

  std::future<Result<RunResult>> submit(const char* uid = "uid") {
    const RunRequest request = ofPod(uid);
    auto promise = std::make_shared<std::promise<Result<RunResult>>>();
    auto future = promise->get_future();
    sandboxes_.run(request, [promise](Result<RunResult> r) { promise->set_value(std::move(r)); });
    return future;
  }
  static RunRequest ofPod(const char* uid) { return FakeNode::request(0, uid); }
  static bool waits(const std::future<Result<RunResult>>& call) {
    return call.wait_for(seconds(0)) == std::future_status::timeout;
  }

  const Error broken_{Code::Unavailable, "KernelUnusable", "no netlink"};
  FakeNode node_;
  async::Lane timers_{"timers", node_.clock};
  Sandboxes sandboxes_{timers_, kPatience};
};

TEST_F(SandboxesTest, CallsOfAStartUnderWayGoToTheOwner) {
  auto call = submit();
  EXPECT_TRUE(waits(call));
  EXPECT_EQ(sandboxes_.ready().error().reason, "Starting");
  sandboxes_.open(*node_.owner);
  EXPECT_TRUE(call.get().has_value());
  EXPECT_TRUE(submit("other").get().has_value());
  EXPECT_EQ(sandboxes_.snapshot(), node_.owner->snapshot());
}

TEST_F(SandboxesTest, NobodyWaitsForEver) {
  auto call = submit();
  node_.clock.advance(kPatience - std::chrono::milliseconds(1));
  EXPECT_TRUE(waits(call));
  node_.clock.advance(std::chrono::milliseconds(1));
  EXPECT_EQ(call.get().error().reason, "Starting");
}

TEST_F(SandboxesTest, AFailedStartRefusesCallsForNetworksAlone) {
  auto early = submit();
  sandboxes_.close(broken_);
  for (const auto& refused : {early.get(), submit().get()}) {
    EXPECT_EQ(refused.error().code, Code::Unavailable);
    EXPECT_EQ(refused.error().reason, "KernelUnusable");
    EXPECT_EQ(refused.error().message, "attach networks of pod default/web-uid: no netlink");
  }
  EXPECT_EQ(sandboxes_.ready().error(), broken_);
  EXPECT_EQ(mayCreateContainer(*sandboxes_.snapshot(), SandboxId("s"), ofPod("uid")).error().reason,
            "KernelUnusable");
  EXPECT_TRUE(mayCreateContainer(*sandboxes_.snapshot(), SandboxId("s"), {}).has_value());
  EXPECT_FALSE(sandboxes_.snapshot()->recovered);
  bool stopped = false;
  sandboxes_.beforeStop(SandboxId("s"),
                        [&](const Status& status) { stopped = status.has_value(); });
  EXPECT_TRUE(stopped);
  sandboxes_.afterStop(SandboxId("s"),
                       [&](const Status& status) { stopped = !status.has_value(); });
  EXPECT_FALSE(stopped);
  sandboxes_.open(*node_.owner);  // a later try went well
  sandboxes_.close(broken_);
  EXPECT_EQ(sandboxes_.snapshot(), node_.owner->snapshot());
  ASSERT_TRUE(submit().get().has_value());
  sandboxes_.beforeStop(SandboxId("s1"), [](const Status&) {});
  sandboxes_.afterRemove(SandboxId("s1"));
  node_.onLane([] {});
  EXPECT_TRUE(node_.held().empty()) << "the owner was told";
}

}  // namespace
}  // namespace multinet::agent::sandbox
