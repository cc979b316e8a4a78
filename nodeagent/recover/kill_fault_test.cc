// kill -9 at every step between resolve and the answer, and of detach, until no further step fires:
// after the kubelet's retry there is exactly one set of interfaces with its addresses, nothing
// leaked, nothing double.
//
// The agent's parts are the real ones (owner, recovery, journal in sqlite, addresses); the runtime,
// the kernel and the kubelet are of memory that outlives the killed process. A second kill, during
// recovery and the retry, is tried as well. The same with a journal whose process takes along all
// that nobody waited for, and with a power cut, which also takes what wasn't synced: another boot,
// no links, no sandbox that runs.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/fake_block_server.h"
#include "nodeagent/journal/sqlite_journal.h"
#include "nodeagent/recover/recovery.h"
#include "nodeagent/recover/world.h"
#include "nodeagent/sandbox/fake_node.h"

namespace multinet::agent::recover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kAttachedPhase = 1;
constexpr int kStoppedPhase = 2;
constexpr int kGaveUp = 3;  // exit code: the kubelet's script did not end in time

/// What becomes of what the journal was told without a sync. An INTENT is waited for, so it is
/// written, and lost with the power only.
enum class Unsynced { Kept, LostUnlessWaitedFor, Lost };

/// Keeps what may be lost to itself until something is synced: a process that dies takes it along.
class TailJournal final : public journal::Journal {
 public:
  TailJournal(journal::Journal& disk, Unsynced unsynced) : disk_(disk), unsynced_(unsynced) {}

  void load(async::Answer<journal::Loaded> done) override { disk_.load(std::move(done)); }
  void put(journal::Record record, journal::Durability durability,
           async::Answer<void> done) override {
    if (durability == journal::Durability::Relaxed && isLost(record.state)) {
      return keep(
          [this, record = std::move(record)] {
            disk_.put(record, journal::Durability::Relaxed, [](const Status&) {});
          },
          done);
    }
    flush();
    disk_.put(std::move(record), durability, std::move(done));
  }
  void note(journal::Record record, async::Answer<void> done) override {
    if (unsynced_ == Unsynced::Lost) return done({});  // in memory
    disk_.note(std::move(record), std::move(done));
  }
  void erase(IntentId id, async::Answer<void> done) override {
    if (unsynced_ == Unsynced::Kept) return disk_.erase(std::move(id), std::move(done));
    keep([this, id = std::move(id)] { disk_.erase(id, [](const Status&) {}); }, done);
  }
  void flush() {
    std::vector<std::function<void()>> tail;
    {
      const std::lock_guard lock(mutex_);
      tail.swap(tail_);
    }
    for (const auto& write : tail) write();
  }

 private:
  [[nodiscard]] bool isLost(journal::State state) const {
    return unsynced_ == Unsynced::Lost ||
           (unsynced_ == Unsynced::LostUnlessWaitedFor && state != journal::State::Intent);
  }
  void keep(std::function<void()> write, const async::Answer<void>& done) {
    {
      const std::lock_guard lock(mutex_);
      tail_.push_back(std::move(write));
    }
    done({});
  }

  journal::Journal& disk_;
  const Unsynced unsynced_;
  std::mutex mutex_;
  std::vector<std::function<void()>> tail_;
};

/// One process of the agent, and the kubelet that talks to it.
class Process {
 public:
  Process(World& world, const std::string& journal, const std::string& notes, Unsynced unsynced)
      : world_(world),
        runtime_(world),
        engine_(world),
        disk_(std::make_unique<journal::SqliteJournal>(journal,
                                                       journal::JournalOptions{.notes = notes})),
        journal_(*disk_, unsynced),
        blocks_(store_.client(), NodeName("n1")) {
    networks::Snapshot onNode;
    for (const auto& [name, range] :
         {std::pair{"blue", "10.20.0.0/28"}, std::pair{"green", "10.21.0.0/28"}}) {
      caches_.content.networks[name] = watch::readyNetwork(name, range);
      caches_.content.networks[name].spec.ipam.subnets[0].blockSize = 28;
      networks::NetworkState state;
      state.name = NetworkName(name);
      state.uid = NetworkUid(std::string("uid-") + name);
      state.link = drivers::macvlan::Link{"eth1", api::MacvlanMode::Bridge};
      state.mtu = 1400;
      onNode.networks.push_back(state);
      const IpPrefix block = IpPrefix::parse(range).value();
      store_.put({state.name, state.uid, block, NodeName("n1"), ""});
    }
    caches_.content.namespaces["default"] = {};
    networks_.publish(onNode);
    resolver_.emplace(
        lane_, caches_, [this] { return networks_.snapshot(); }, clock_, std::vector<IpPrefix>{});
    addresses_.emplace(lane_, blocks_, clock_, addresses::LeaseOptions{.node = NodeName("n1")});
    const sandbox::Dependencies dependencies{runtime_,   journal_,         engine_, *addresses_,
                                             *resolver_, reporter_.tell(), clock_};
    sandbox::Options options;
    options.bootId = "boot" + std::to_string(world_.boot);
    options.lateWatch = Duration{};
    options.tick = milliseconds(5);
    options.compareEvery = milliseconds(20);
    owner_.emplace(lane_, dependencies, options);
    recovery_.emplace(dependencies, *owner_, Options{.bootId = options.bootId});
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
    journal_.flush();
    disk_.reset();  // its last callbacks find a lane that takes no more
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
    request.annotations["multinet.dev/networks"] = "blue,green";
    request.deadline = clock_.now() + seconds(5);
    return request;
  }

  // kuberuntime: adopt the newest READY sandbox; none: stop those that are dead, and make attempt +
  // 1 of the newest that is visible.
  bool syncPod() {
    const auto seen = owner_->snapshot();
    if (!seen->recovered) {
      std::this_thread::sleep_for(milliseconds(1));
      return false;
    }
    std::uint32_t attempt = 0;
    for (const SharedSandbox& one : world_.sandboxes) {
      if (!one.used) continue;
      const auto view = seen->sandboxes.find(SandboxId(text(one.id)));
      const bool known = view != seen->sandboxes.end();
      if (known && view->second.verdict == sandbox::Verdict::Hidden) continue;
      if (one.ready && !(known && view->second.verdict == sandbox::Verdict::NotReady)) {
        if (sandbox::mayCreateContainer(*seen, SandboxId(text(one.id)), request(0)).has_value())
          return true;
        std::this_thread::sleep_for(milliseconds(2));  // CreateContainer failed: look again
        return false;
      }
      attempt = std::max(attempt, one.attempt + 1);
      if (!one.ready) stop(SandboxId(text(one.id)));
    }
    std::promise<bool> promise;
    owner_->run(request(attempt), [&promise](const Result<sandbox::RunResult>& result) {
      promise.set_value(result.has_value());
    });
    return promise.get_future().get();
  }

  static void wait(const std::function<void(async::Answer<void>)>& call) {
    std::promise<void> promise;
    call([&promise](const Status&) { promise.set_value(); });
    promise.get_future().get();
  }
  void stop(const SandboxId& id) {
    wait([&](auto done) { owner_->beforeStop(id, std::move(done)); });
    wait([&](auto done) { runtime_.stopPodSandbox(id, {}, std::move(done)); });
    wait([&](auto done) { owner_->afterStop(id, std::move(done)); });
  }
  void stopAndRemove(const SandboxId& id) {
    stop(id);
    wait([&](auto done) { runtime_.removePodSandbox(id, {}, std::move(done)); });
    owner_->afterRemove(id);
  }

  World& world_;
  SystemClock clock_;
  WorldRuntime runtime_;
  WorldEngine engine_;
  std::unique_ptr<journal::SqliteJournal> disk_;
  TailJournal journal_;
  addresses::FakeBlockServer store_;
  addresses::Blocks blocks_;
  watch::FakeCaches caches_;
  networks::FakeNetworks networks_;
  report::FakeReporter reporter_;
  async::Lane lane_{"sandbox"};
  std::optional<addresses::Addresses> addresses_;
  std::optional<resolve::Resolver> resolver_;
  std::optional<sandbox::Owner> owner_;
  std::optional<Recovery> recovery_;
};

enum class Until { Attached, Stopped };

class KillLoop : public ::testing::TestWithParam<Unsynced> {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/killXXXXXX";
    directory_ = mkdtemp(pattern.data());
    std::string inMemory = "/dev/shm/killXXXXXX";
    notes_ = mkdtemp(inMemory.data());
    world_ = World::map();
    ASSERT_NE(world_, nullptr);
  }
  void TearDown() override {
    std::filesystem::remove_all(directory_);
    std::filesystem::remove_all(notes_);
    munmap(world_, sizeof(World));
  }

  void reset() {
    *world_ = World{};
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    std::filesystem::remove_all(notes_);
  }

  /// True where the process was killed, false where its script came to its end.
  bool run(const std::string& failpoints, Until until) {
    const pid_t child = fork();
    if (child == 0) {
      if (!failpoint::arm(failpoints).has_value()) _exit(kGaveUp);
      bool done = false;
      {
        Process process(*world_, directory_ + "/journal.db", notes_, GetParam());
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
    journal::SqliteJournal journal(directory_ + "/journal.db", {.notes = notes_});
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
  std::string notes_;
  World* world_ = nullptr;
};

TEST_P(KillLoop, AnyStepOfAnAttach) {
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

TEST_P(KillLoop, AnyStepOfADetach) {
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

using PowerCut = KillLoop;

// The kubelet had its answer or not; the node comes up again without links and with dead sandboxes.
TEST_P(PowerCut, AtAnyStepOfAnAttachAndAfterIt) {
  bool wasKilled = true;
  for (int step = 1; wasKilled; ++step) {
    reset();
    const std::string where = "power cut at step " + std::to_string(step);
    wasKilled = run("*@" + std::to_string(step) + "=kill", Until::Attached);
    world_->powerCut();
    ASSERT_FALSE(run("", Until::Attached)) << where;
    expectOneSet(where);
    ASSERT_FALSE(run("", Until::Stopped)) << where;
    expectNothingLeft(where);
    if (HasFailure()) return;
  }
}

const auto nameOf = [](const auto& one) {
  return one.param == Unsynced::Kept ? "Whole" : "LosesItsTail";
};
INSTANTIATE_TEST_SUITE_P(Journal, KillLoop,
                         ::testing::Values(Unsynced::Kept, Unsynced::LostUnlessWaitedFor), nameOf);
INSTANTIATE_TEST_SUITE_P(Journal, PowerCut, ::testing::Values(Unsynced::Kept, Unsynced::Lost),
                         nameOf);

}  // namespace
}  // namespace multinet::agent::recover
