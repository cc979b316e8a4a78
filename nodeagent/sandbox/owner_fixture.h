// An owner on a node of fakes, for its tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>

#include "nodeagent/sandbox/fake_node.h"

namespace multinet::agent::sandbox {

using journal::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline const Error kUnavailable{Code::Unavailable, "Runtime", "runtime is away"};

/// Each test begins with startOwner() or startRecovered(). Time stands still but for what the test
/// adds.
class OwnerTest : public ::testing::Test {
 protected:
  void startOwner() { node_.start(); }
  void startRecovered() {
    startOwner();
    owner_->restore({});
  }

  static RunRequest request(std::uint32_t attempt = 0, const std::string& uid = "uid") {
    return FakeNode::request(attempt, uid);
  }
  /// Answered in the lane's next turn: what follows an answer has been done by then.
  std::future<Result<RunResult>> submit(const RunRequest& request) {
    auto promise = std::make_shared<std::promise<Result<RunResult>>>();
    auto future = promise->get_future();
    owner_->run(request, [this, promise](const Result<RunResult>& result) {
      const auto give = [promise, result] { promise->set_value(result); };
      if (!node_.lane->post(give)) give();
    });
    return future;
  }
  Result<RunResult> run(const RunRequest& request) { return submit(request).get(); }
  void stop(const std::string& id) {
    for (const bool before : {true, false}) {
      std::promise<void> promise;
      const auto done = [&promise](const Status& status) {
        EXPECT_TRUE(status.has_value());
        promise.set_value();
      };
      if (before) {
        owner_->beforeStop(SandboxId(id), done);
      } else {
        owner_->afterStop(SandboxId(id), done);
      }
      promise.get_future().get();
    }
  }
  // Waits for what other threads do; no time passes.
  template <class Condition>
  static void eventually(const char* what, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }
  // The same of what comes with the owner's next ticks.
  template <class Condition>
  void ticking(const char* what, Condition condition) {
    eventually(what, [&] {
      node_.ticks(1);
      return condition();
    });
  }
  SandboxView view(const std::string& id) const {
    const auto snapshot = owner_->snapshot();
    const auto found = snapshot->sandboxes.find(SandboxId(id));
    return found == snapshot->sandboxes.end() ? SandboxView{} : found->second;
  }
  Status mayCreateContainer(const std::string& id, const RunRequest& config) const {
    return sandbox::mayCreateContainer(*owner_->snapshot(), SandboxId(id), config);
  }
  std::map<IntentId, std::set<IpAddress>> held() { return node_.held(); }
  void expectNothingLeft() {
    EXPECT_TRUE(engine_.attached().empty());
    EXPECT_TRUE(held().empty());
    EXPECT_TRUE(runtime_.sandboxes().empty());
    EXPECT_TRUE(owner_->snapshot()->sandboxes.empty());
    EXPECT_TRUE(owner_->snapshot()->running.empty());
    for (const auto& [id, record] : journal_.records) EXPECT_EQ(record.state, State::Detached);
  }

  FakeNode node_;
  FakeClock& clock_ = node_.clock;
  FakeRuntime& runtime_ = node_.runtime;
  journal::FakeJournal& journal_ = node_.journal;
  attach::FakeAttachEngine& engine_ = node_.engine;
  watch::FakeCaches& caches_ = node_.caches;
  report::FakeReporter& reporter_ = node_.reporter;
  FakeOwnSets& sets_ = node_.sets;
  Options& options_ = node_.options;
  std::optional<Owner>& owner_ = node_.owner;
};

/// A record as a process that died may have left it.
inline journal::Record interrupted(State state, const char* sandbox) {
  journal::Record record;
  record.id = IntentId("old");
  record.pod = {PodUid("uid"), "default", "web-uid", 0};
  record.state = state;
  record.sandbox = SandboxId(sandbox);
  record.bootId = "boot";
  InterfaceStatus status;
  status.plan.name = InterfaceName::parse("net1").value();
  record.interfaces.push_back(status);
  return record;
}

}  // namespace multinet::agent::sandbox
