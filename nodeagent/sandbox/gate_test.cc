#include "nodeagent/sandbox/gate.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>

#include "nodeagent/sandbox/fake_sandboxes.h"

namespace multinet::agent::sandbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class GateTest : public testing::Test {
 protected:
  ~GateTest() override { timers_.stop(); }

  void patience(Duration time) { gate_.emplace(timers_, time); }
  std::future<Result<RunResult>> submit(const char* uid = "uid") {
    const RunRequest request = ofPod(uid);
    auto promise = std::make_shared<std::promise<Result<RunResult>>>();
    auto future = promise->get_future();
    gate_->run(request, [promise](Result<RunResult> r) { promise->set_value(std::move(r)); });
    return future;
  }
  static RunRequest ofPod(const char* uid) {
    RunRequest request;
    request.pod = {PodUid(uid), "default", "web", 0};
    request.annotations["multinet.dev/networks"] = "blue";
    return request;
  }
  static bool waits(const std::future<Result<RunResult>>& call) {
    return call.wait_for(seconds(0)) == std::future_status::timeout;
  }

  const Error broken_{Code::Unavailable, "KernelUnusable", "no netlink"};
  async::Lane timers_{"timers"};
  FakeSandboxes owner_;
  std::optional<Gate> gate_;
};

TEST_F(GateTest, CallsOfAStartUnderWayGoToTheOwner) {
  patience(seconds(60));
  auto call = submit();
  EXPECT_TRUE(waits(call));
  EXPECT_EQ(gate_->ready().error().reason, "Starting");
  owner_.onRun = [](const RunRequest&, const async::Answer<RunResult>& done) { done(RunResult{}); };
  gate_->open(owner_);
  EXPECT_TRUE(call.get().has_value());
  EXPECT_TRUE(submit().get().has_value());
  EXPECT_EQ(gate_->snapshot(), owner_.snapshot());
}

TEST_F(GateTest, NobodyWaitsForEver) {
  patience(milliseconds(1));
  EXPECT_EQ(submit().get().error().reason, "Starting");
}

TEST_F(GateTest, AFailedStartRefusesCallsForNetworksAlone) {
  patience(seconds(60));
  auto early = submit();
  gate_->close(broken_);
  for (const auto& refused : {early.get(), submit().get()}) {
    EXPECT_EQ(refused.error().code, Code::Unavailable);
    EXPECT_EQ(refused.error().reason, "KernelUnusable");
    EXPECT_EQ(refused.error().message, "attach networks of pod default/web: no netlink");
  }
  EXPECT_EQ(gate_->ready().error(), broken_);
  EXPECT_EQ(gate_->mayCreateContainer(SandboxId("s"), ofPod("uid")).error().reason,
            "KernelUnusable");
  EXPECT_TRUE(gate_->mayCreateContainer(SandboxId("s"), {}).has_value());
  EXPECT_FALSE(gate_->snapshot()->recovered);
  bool stopped = false;
  gate_->beforeStop(SandboxId("s"), [&](const Status& status) { stopped = status.has_value(); });
  EXPECT_TRUE(stopped);
  gate_->afterStop(SandboxId("s"), [&](const Status& status) { stopped = !status.has_value(); });
  EXPECT_FALSE(stopped);
  gate_->open(owner_);  // a later try went well
  gate_->close(broken_);
  EXPECT_EQ(gate_->snapshot(), owner_.snapshot());
  gate_->afterRemove(SandboxId("s"));
  EXPECT_EQ(owner_.calls().back(), "afterRemove s");
}

}  // namespace
}  // namespace multinet::agent::sandbox
