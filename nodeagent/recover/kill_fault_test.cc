// kill -9 at every step between resolve and the answer, and of detach, until no further step fires:
// after the kubelet's retry there is exactly one set of interfaces with its addresses, nothing
// leaked, nothing double.
//
// The agent's parts are the real ones (owner, recovery, journal in sqlite, addresses); the runtime,
// the kernel and the kubelet are of memory that outlives the killed process. A second kill, during
// recovery and the retry, is tried as well.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "nodeagent/addresses/fake_block_api.h"
#include "nodeagent/addresses/leasing_addresses.h"
#include "nodeagent/journal/sqlite_journal.h"
#include "nodeagent/recover/recovery.h"
#include "nodeagent/recover/world.h"
#include "nodeagent/report/fake_reporter.h"
#include "nodeagent/resolve/fake_resolver.h"

namespace multinet::agent::recover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kAttachedPhase = 1;
constexpr int kStoppedPhase = 2;
constexpr int kGaveUp = 3;  // exit code: the kubelet's script did not end in time

ipam::Subnet subnet() {
  return {IpPrefix::parse("10.20.0.0/28").value(), {}, {}, 28U};
}

/// One process of the agent, and the kubelet that talks to it.
class Process {
 public:
  Process(World& world, const std::string& journal)
      : world_(world),
        runtime_(world),
        engine_(world),
        journal_(std::make_unique<journal::SqliteJournal>(journal)),
        blocks_(store_, NodeName("n1")) {
    const IpPrefix block = subnet().cidr;
    store_.blocks[{NetworkName("blue"), block}] = {NetworkName("blue"), NetworkUid("uid-blue"),
                                                   block, NodeName("n1"), "block"};
    for (const char* name : {"net1", "net2"}) {
      resolve::WantedInterface wanted;
      wanted.plan.name = InterfaceName::parse(name).value();
      wanted.plan.network = NetworkName("blue");
      wanted.plan.networkUid = NetworkUid("uid-blue");
      wanted.subnets = {subnet()};
      resolver_.interfaces.push_back(wanted);
    }
    addresses_.emplace(blocks_, clock_, addresses::LeaseOptions{.node = NodeName("n1")});
    const sandbox::Doors doors{runtime_,  *journal_, engine_, *addresses_,
                               resolver_, reporter_, clock_};
    sandbox::Options options;
    options.bootId = "boot";
    options.lateWatch = Duration{};
    options.tick = milliseconds(5);
    options.compareEvery = milliseconds(20);
    owner_.emplace(doors, options);
    recovery_.emplace(doors, *owner_, Options{.bootId = "boot"});
    recovery_->start();
  }

  /// A pod is started, then stopped and removed; as the kubelet does it, whatever it finds.
  bool script() {
    const auto end = clock_.now() + seconds(20);
    while (world_.phase < kAttachedPhase) {
      if (clock_.now() > end) return false;
      if (syncPod()) world_.phase = kAttachedPhase;
    }
    return true;
  }
  bool teardown() {
    const auto end = clock_.now() + seconds(20);
    while (true) {
      if (clock_.now() > end) return false;
      bool any = false;
      for (const SharedSandbox& one : world_.sandboxes) {
        if (!one.used) continue;
        any = true;
        stopAndRemove(SandboxId(text(one.id)));
      }
      // A detach that was cut off after the runtime's part is the agent's own to end.
      if (!any && links() == 0 && owner_->snapshot()->recovered &&
          owner_->snapshot()->sandboxes.empty()) {
        world_.phase = kStoppedPhase;
        return true;
      }
      std::this_thread::sleep_for(milliseconds(2));
    }
  }

  void stop() {
    recovery_.reset();
    owner_->stop();
    journal_.reset();  // its last callbacks find a lane that takes no more
  }

 private:
  int links() const {
    int count = 0;
    for (const SharedLink& link : world_.links) count += link.used ? 1 : 0;
    return count;
  }

  sandbox::RunRequest request(std::uint32_t attempt) const {
    sandbox::RunRequest request;
    request.pod = {PodUid("uid"), "default", "web", attempt};
    request.annotations["multinet.dev/networks"] = "blue";
    request.deadline = clock_.now() + seconds(5);
    return request;
  }

  // kuberuntime: adopt the newest READY sandbox; none: attempt + 1 of the newest that is visible.
  bool syncPod() {
    const auto seen = owner_->snapshot();
    std::uint32_t attempt = 0;
    for (const SharedSandbox& one : world_.sandboxes) {
      if (!one.used) continue;
      const auto view = seen->sandboxes.find(SandboxId(text(one.id)));
      const bool known = view != seen->sandboxes.end();
      if (known && view->second.verdict == sandbox::Verdict::Hidden) continue;
      if (one.ready && !(known && view->second.verdict == sandbox::Verdict::NotReady)) {
        if (owner_->mayCreateContainer(SandboxId(text(one.id)), request(0)).has_value())
          return true;
        std::this_thread::sleep_for(milliseconds(2));  // CreateContainer failed: look again
        return false;
      }
      attempt = std::max(attempt, one.attempt + 1);
    }
    std::promise<bool> promise;
    owner_->run(request(attempt), [&promise](const Result<sandbox::RunResult>& result) {
      promise.set_value(result.has_value());
    });
    return promise.get_future().get();
  }

  void stopAndRemove(const SandboxId& id) {
    const auto wait = [](const std::function<void(sandbox::StatusCallback)>& call) {
      std::promise<void> promise;
      call([&promise](const Status&) { promise.set_value(); });
      promise.get_future().get();
    };
    wait([&](auto done) { owner_->beforeStop(id, std::move(done)); });
    wait([&](auto done) { runtime_.stopPodSandbox(id, {}, std::move(done)); });
    wait([&](auto done) { owner_->afterStop(id, std::move(done)); });
    wait([&](auto done) { runtime_.removePodSandbox(id, {}, std::move(done)); });
    owner_->afterRemove(id);
  }

  World& world_;
  SystemClock clock_;
  WorldRuntime runtime_;
  WorldEngine engine_;
  std::unique_ptr<journal::SqliteJournal> journal_;
  addresses::FakeBlockStore store_;
  addresses::FakeBlockApi blocks_;
  resolve::FakeResolver resolver_;
  report::FakeReporter reporter_;
  std::optional<addresses::LeasingAddresses> addresses_;
  std::optional<sandbox::Owner> owner_;
  std::optional<Recovery> recovery_;
};

enum class Until { Attached, Stopped };

class KillLoop : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/killXXXXXX";
    directory_ = mkdtemp(pattern.data());
    world_ = World::map();
    ASSERT_NE(world_, nullptr);
  }
  void TearDown() override {
    std::filesystem::remove_all(directory_);
    munmap(world_, sizeof(World));
  }

  void reset() {
    *world_ = World{};
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
  }

  /// True where the process was killed, false where its script came to its end.
  bool run(const std::string& failpoints, Until until) {
    const pid_t child = fork();
    if (child == 0) {
      if (!failpoint::arm(failpoints).has_value()) _exit(kGaveUp);
      bool done = false;
      {
        Process process(*world_, directory_ + "/journal.db");
        done = process.script();
        if (done && until == Until::Stopped) done = process.teardown();
        process.stop();  // what is posted gets written
      }
      _exit(done ? 0 : kGaveUp);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
      EXPECT_EQ(WTERMSIG(status), SIGKILL);
      return true;
    }
    EXPECT_EQ(WEXITSTATUS(status), 0) << "the kubelet's script did not end";
    return false;
  }

  void expectOneSet(const std::string& where) const {
    std::set<std::string> sandboxes;
    for (const SharedSandbox& one : world_->sandboxes) {
      if (one.used && one.ready) sandboxes.insert(text(one.id));
    }
    EXPECT_EQ(sandboxes.size(), 1U) << where;
    std::set<std::string> intents;
    std::set<std::string> addresses;
    std::set<std::string> interfaces;
    for (const SharedLink& link : world_->links) {
      if (!link.used) continue;
      intents.insert(text(link.intent));
      EXPECT_TRUE(addresses.insert(text(link.address)).second) << where << ": double address";
      EXPECT_TRUE(interfaces.insert(text(link.interface)).second) << where << ": double interface";
      EXPECT_EQ(sandboxes.count(text(link.sandbox)), 1U) << where << ": link of a dead sandbox";
    }
    EXPECT_EQ(intents.size(), 1U) << where;
    EXPECT_EQ(interfaces.size(), 2U) << where;
    EXPECT_EQ(attachedAddresses(), addresses) << where << ": journal and kernel differ";
  }

  void expectNothingLeft(const std::string& where) const {
    for (const SharedSandbox& one : world_->sandboxes) EXPECT_FALSE(one.used) << where;
    for (const SharedLink& link : world_->links) EXPECT_FALSE(link.used) << where;
    EXPECT_TRUE(attachedAddresses().empty()) << where;
  }

  // Addresses that the journal holds for intents that aren't over.
  std::set<std::string> attachedAddresses() const {
    journal::SqliteJournal journal(directory_ + "/journal.db");
    std::promise<std::vector<journal::Record>> promise;
    journal.load([&promise](Result<journal::Loaded> loaded) {
      promise.set_value(loaded.has_value() ? std::move(loaded->records)
                                           : std::vector<journal::Record>());
    });
    std::set<std::string> held;
    for (const journal::Record& record : promise.get_future().get()) {
      if (record.state == journal::State::Detached) continue;
      for (const InterfaceStatus& status : record.interfaces) {
        for (const AddressPlan& address : status.plan.addresses) {
          held.insert(address.address.str());
        }
      }
    }
    return held;
  }

  std::string directory_;
  World* world_ = nullptr;
};

TEST_F(KillLoop, AnyStepOfAnAttach) {
  int steps = 0;
  for (int step = 1;; ++step) {
    // The second kill: in recovery and the retry, at a step that moves along with the first.
    for (const int second : {0, 1 + step % 5, 6 + step % 11}) {
      reset();
      const std::string where =
          "killed at step " + std::to_string(step) + " and " + std::to_string(second);
      if (!run("*@" + std::to_string(step) + "=kill", Until::Attached)) {
        RecordProperty("steps", steps);
        EXPECT_GT(steps, 20) << "too few steps fire: are the failpoints still there?";
        return;
      }
      if (second > 0) run("*@" + std::to_string(second) + "=kill", Until::Attached);
      ASSERT_FALSE(run("", Until::Attached)) << where;
      expectOneSet(where);
      if (HasFailure()) return;
    }
    steps = step;
  }
}

TEST_F(KillLoop, AnyStepOfADetach) {
  int steps = 0;
  for (int step = 1;; ++step) {
    for (const int second : {0, 1 + step % 7}) {
      reset();
      ASSERT_FALSE(run("", Until::Attached));
      const std::string where =
          "killed at step " + std::to_string(step) + " and " + std::to_string(second);
      if (!run("*@" + std::to_string(step) + "=kill", Until::Stopped)) {
        RecordProperty("steps", steps);
        EXPECT_GT(steps, 5) << "too few steps fire: are the failpoints still there?";
        return;
      }
      if (second > 0) run("*@" + std::to_string(second) + "=kill", Until::Stopped);
      ASSERT_FALSE(run("", Until::Stopped)) << where;
      expectNothingLeft(where);
      if (HasFailure()) return;
    }
    steps = step;
  }
}

}  // namespace
}  // namespace multinet::agent::recover
