// The owner among fakes, for tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/fake_clock.h"
#include "nodeagent/addresses/fake_addresses.h"
#include "nodeagent/attach/fake_attach_engine.h"
#include "nodeagent/journal/fake_journal.h"
#include "nodeagent/report/fake_reporter.h"
#include "nodeagent/resolve/fake_resolver.h"
#include "nodeagent/sandbox/fake_own_sets.h"
#include "nodeagent/sandbox/fake_runtime.h"
#include "nodeagent/sandbox/owner.h"

namespace multinet::agent::sandbox {

using journal::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline const Error kUnavailable{Code::Unavailable, "Runtime", "runtime is away"};

/// Each test begins with startOwner() or startRecovered().
class OwnerTest : public testing::Test {
 protected:
  OwnerTest() {
    for (const char* name : {"net1", "net2"}) {
      resolve::WantedInterface wanted;
      wanted.plan.name = InterfaceName::parse(name).value();
      wanted.plan.network = NetworkName("blue");
      wanted.plan.networkUid = NetworkUid("uid-blue");
      wanted.plan.link = drivers::bridge::Link{"br0"};
      resolver_.interfaces.push_back(wanted);
    }
    options_.bootId = "boot";
    options_.tick = milliseconds(2);
  }
  ~OwnerTest() override {
    runtime_.release();
    engine_.release();
    journal_.disk.release();
    resolver_.api.release();
    addresses_.api.release();
  }

  void startOwner() {
    Doors doors{runtime_, journal_, engine_, addresses_, resolver_, reporter_, clock_};
    doors.watchdog = &watchdog_;
    owner_.reset();
    lane_.emplace("sandbox");
    owner_.emplace(*lane_, doors, options_);
  }
  void startRecovered() {
    startOwner();
    owner_->restore({});
  }

  static RunRequest request(std::uint32_t attempt = 0, const std::string& uid = "uid") {
    RunRequest request;
    request.pod = {PodUid(uid), "default", "web-" + uid, attempt};
    request.annotations["multinet.dev/networks"] = "blue";
    return request;
  }
  std::future<Result<RunResult>> submit(const RunRequest& request) {
    auto promise = std::make_shared<std::promise<Result<RunResult>>>();
    auto future = promise->get_future();
    owner_->run(request, [promise](Result<RunResult> r) { promise->set_value(std::move(r)); });
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
  // Waits for what happens on the owner's own ticks.
  template <class Condition>
  static void eventually(const char* what, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  SandboxView view(const std::string& id) const {
    const auto snapshot = owner_->snapshot();
    const auto found = snapshot->sandboxes.find(SandboxId(id));
    return found == snapshot->sandboxes.end() ? SandboxView{} : found->second;
  }
  void expectNothingLeft() const {
    EXPECT_TRUE(engine_.attached().empty());
    EXPECT_TRUE(addresses_.held().empty());
    EXPECT_TRUE(runtime_.sandboxes().empty());
    EXPECT_TRUE(owner_->snapshot()->sandboxes.empty());
    EXPECT_TRUE(owner_->snapshot()->running.empty());
    for (const auto& [id, record] : journal_.records) EXPECT_EQ(record.state, State::Detached);
  }

  FakeClock clock_;
  FakeRuntime runtime_;
  journal::FakeJournal journal_;
  attach::FakeAttachEngine engine_;
  addresses::FakeAddresses addresses_;
  resolve::FakeResolver resolver_;
  report::FakeReporter reporter_;
  async::Watchdog watchdog_;
  Options options_;
  FakeOwnSets sets_;
  std::optional<async::Lane> lane_;
  std::optional<Owner> owner_;
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
