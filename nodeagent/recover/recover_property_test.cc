// Whatever is lost, cut short or put back to an earlier time, and whenever the agent dies: no
// address is a running pod's twice, no link of a running pod is taken away, no container starts
// where the networks aren't certain, and in the end the books say again what is true.
//
// The agent's parts are the real ones (owner, census, recovery, addresses); runtime, kernel, disk
// and API are of memory that outlives the agent. The steps are random, by a seed that a failure
// names.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <variant>

#include "nodeagent/recover/recovery.h"
#include "nodeagent/sandbox/fake_node.h"

namespace multinet::agent::recover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kPods = 5;
constexpr int kSteps = 30;

/// What an agent that dies leaves behind, and who goes on without it.
class Outside : public sandbox::FakeNode {
 public:
  Outside() {
    // Small blocks, so that one that leaks is missed.
    caches.content.networks["blue"].spec.ipam.subnets = {small("10.20.0.0/24")};
    caches.content.networks["green"].spec.ipam.subnets = {small("10.21.0.0/24")};
    store.clear();
    leases.confirmEvery = leases.retryEvery = leases.housekeepEvery = milliseconds(2);
    // What is told of an attach is what the API has.
    tell = [this](const report::News& news) {
      const auto* attached = std::get_if<report::Attached>(&news);
      if (attached != nullptr) {
        sets.put({attached->pod.uid, attached->sandbox, attached->interfaces});
      }
    };
  }

 private:
  static api::Subnet small(const char* cidr) {
    api::Subnet subnet;
    subnet.cidr = cidr;
    subnet.blockSize = 29;
    return subnet;
  }
};

class Agent {
 public:
  explicit Agent(Outside& outside) : outside_(outside) {
    outside.make();
    recovery_.emplace(
        outside.dependencies(), *outside.owner,
        Options{.bootId = "boot", .firstWait = milliseconds(1), .longestWait = milliseconds(2)});
    recovery_->start();
  }
  ~Agent() {
    recovery_.reset();
    outside_.end();
  }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  sandbox::Owner& owner() { return *outside_.owner; }

 private:
  Outside& outside_;
  std::optional<Recovery> recovery_;
};

class Story {
 public:
  explicit Story(unsigned seed) : random_(seed) { begin(); }
  ~Story() { end(); }

  void step() {
    const int pod = pick(kPods);
    switch (pick(10)) {
      case 0:
      case 1:
      case 2:
        return runs_.contains(pod) ? stop(pod) : run(pod);
      case 3:
        return restart([](auto&) {});
      case 4:
        return restart([](auto& disk) {
          disk.records.clear();
          disk.lost = true;
        });
      case 5:
        return restart([](auto& disk) { disk.records.clear(); });
      case 6:
        return restart([this](auto& disk) { older_ = disk.records; });
      case 7:
        return restart([this](auto& disk) { disk.records = older_; });
      case 8:
        return runtimeForgets();
      default:
        return hinder();
    }
  }

  /// True of every moment, for what runs.
  void expectSafe(const std::string& where) {
    const auto attached = outside_.engine.attached();
    std::map<IpAddress, IntentId> used;
    for (const auto& [intent, plans] : attached) {
      for (const InterfacePlan& plan : plans) {
        for (const AddressPlan& address : plan.addresses) {
          const auto [other, isNew] = used.emplace(address.address.address, intent);
          EXPECT_TRUE(isNew) << where << ": " << address.address.str() << " twice";
        }
      }
    }
    const auto sandboxes = outside_.runtime.sandboxes();
    for (const auto& [pod, id] : runs_) {
      const auto links = outside_.engine.observe(netnsOf(id));
      EXPECT_EQ(links.value_or(sandbox::Links(2)).size(), 2U) << where << ": links of " << id.str();
      EXPECT_TRUE(sandboxes.contains(id) && sandboxes.at(id).ready) << where << ": " << id.str();
    }
    const auto snapshot = agent_->owner().snapshot();
    for (const auto& [id, view] : snapshot->sandboxes) {
      if (view.doubt == journal::Doubt::None) continue;
      EXPECT_FALSE(sandbox::mayCreateContainer(*snapshot, id, {}).has_value()) << where;
    }
  }

  /// Once nothing hinders any more.
  bool converges() {
    outside_.engine.failObserve(std::nullopt);
    outside_.sets.failWith(std::nullopt);
    return eventually([this] {
      const auto snapshot = agent_->owner().snapshot();
      std::size_t attached = 0;
      for (const auto& [pod, id] : runs_) {
        const auto view = snapshot->sandboxes.find(id);
        attached += view != snapshot->sandboxes.end() && view->second.attached ? 1U : 0U;
      }
      return snapshot->recovered && attached == runs_.size() &&
             snapshot->sandboxes.size() == runs_.size() &&
             outside_.engine.attached().size() == runs_.size();
    });
  }
  void runAll() {
    for (int pod = 0; pod < kPods; ++pod) {
      for (int tries = 0; tries < 100 && !runs_.contains(pod); ++tries) run(pod);
    }
  }
  [[nodiscard]] std::size_t running() const { return runs_.size(); }

 private:
  int pick(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }

  void begin() {
    agent_.emplace(outside_);
    eventually([this] { return agent_->owner().snapshot()->recovered; });
  }
  void end() {
    agent_->owner().stop();
    agent_.reset();
  }
  void restart(const std::function<void(journal::FakeJournal&)>& damage) {
    end();
    outside_.journal.lost = false;
    damage(outside_.journal);
    begin();
  }

  template <class Condition>
  bool eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      outside_.clock.advance(seconds(1));
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }

  sandbox::RunRequest request(int pod) {
    sandbox::RunRequest request;
    const std::string name = "p" + std::to_string(pod);
    request.pod = {PodUid(name), "default", name, attempts_[pod]};
    request.annotations["multinet.dev/networks"] = "blue,green";
    return request;
  }

  void run(int pod) {
    ++attempts_[pod];
    const auto promise = std::make_shared<std::promise<Result<sandbox::RunResult>>>();
    auto answer = promise->get_future();
    agent_->owner().run(request(pod), [promise](Result<sandbox::RunResult> result) {
      promise->set_value(std::move(result));
    });
    ASSERT_TRUE(
        eventually([&] { return answer.wait_for(seconds(0)) == std::future_status::ready; }));
    const auto result = answer.get();
    // An agent that dies before it has told of the attach is the kill loop's to try.
    outside_.onLane([] {});
    if (result.has_value()) runs_.emplace(pod, result->reply.id);
  }

  void stop(int pod) {
    const SandboxId id = runs_.at(pod);
    const auto wait = [](const std::function<void(async::Answer<void>)>& call) {
      const auto promise = std::make_shared<std::promise<void>>();
      auto done = promise->get_future();
      call([promise](const Status&) { promise->set_value(); });
      done.wait();
    };
    sandbox::Owner& owner = agent_->owner();
    wait([&](auto done) { owner.beforeStop(id, std::move(done)); });
    runs_.erase(pod);
    wait([&](auto done) { outside_.runtime.stopPodSandbox(id, {}, std::move(done)); });
    outside_.engine.loseNetns(id.str());
    wait([&](auto done) { owner.afterStop(id, std::move(done)); });
    wait([&](auto done) { outside_.runtime.removePodSandbox(id, {}, std::move(done)); });
    owner.afterRemove(id);
  }

  /// It comes up with an empty state, for longer than two rounds, and gets its own back.
  void runtimeForgets() {
    const auto all = outside_.runtime.sandboxes();
    for (const auto& [id, sandbox] : all) outside_.runtime.vanish(id);
    for (int i = 0; i < 40; ++i) {
      outside_.clock.advance(seconds(1));
      std::this_thread::sleep_for(milliseconds(1));
    }
    for (const auto& [id, sandbox] : all) outside_.runtime.put(sandbox);
  }

  void hinder() {
    const Error away{Code::Unavailable, "", "away"};
    outside_.engine.failObserve(pick(2) == 0 ? std::optional<Error>(away) : std::nullopt);
    outside_.sets.failWith(pick(2) == 0 ? std::optional<Error>(away) : std::nullopt);
    outside_.clock.advance(seconds(pick(120)));
  }

  std::optional<Fd> netnsOf(const SandboxId& id) {
    std::optional<Fd> netns;
    outside_.runtime.sandboxNetns(id, {}, [&netns](Result<Fd> found) {
      if (found.has_value()) netns = std::move(*found);
    });
    return netns;
  }

  std::mt19937 random_;
  Outside outside_;
  std::optional<Agent> agent_;
  std::map<int, SandboxId> runs_;  // what the kubelet was told, and hasn't ended
  std::map<int, std::uint32_t> attempts_;
  std::map<IntentId, journal::Record> older_;
};

class RecoverProperty : public ::testing::TestWithParam<unsigned> {};

TEST_P(RecoverProperty, BooksComeToSayWhatIsTrue) {
  Story story(GetParam());
  for (int step = 0; step < kSteps; ++step) {
    story.step();
    story.expectSafe("step " + std::to_string(step));
    if (HasFailure()) return;
  }
  EXPECT_TRUE(story.converges());
  story.runAll();
  EXPECT_EQ(story.running(), static_cast<std::size_t>(kPods)) << "the pools must not leak";
  story.expectSafe("end");
  EXPECT_TRUE(story.converges());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RecoverProperty, ::testing::Range(1U, 13U));

}  // namespace
}  // namespace multinet::agent::recover
