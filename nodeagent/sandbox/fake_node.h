// A node around an owner, for tests. The agent's own parts are the real ones (owner, addresses,
// resolver); the API, the runtime, the kernel, the disk and time are fakes.
#pragma once

#include <future>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "lib/base/fake_clock.h"
#include "nodeagent/addresses/fake_block_server.h"
#include "nodeagent/attach/fake_attach_engine.h"
#include "nodeagent/journal/fake_journal.h"
#include "nodeagent/networks/fake_networks.h"
#include "nodeagent/report/fake_reporter.h"
#include "nodeagent/sandbox/fake_own_sets.h"
#include "nodeagent/sandbox/fake_runtime.h"
#include "nodeagent/sandbox/owner.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent::sandbox {

/// Two networks, `blue` (10.9.0.0/16) and `green` (10.10.0.0/16), with a block of each; any pod may
/// have them. What stands in `caches` is changed by onLane() once an owner runs.
struct FakeNode {
  explicit FakeNode(Runtime* another = nullptr) : runtimeDoor(another) {
    options.bootId = "boot";
    options.tick = std::chrono::milliseconds(1);
    options.aside = {};
    add("blue", "10.9.0.0/16", "10.9.0.0/24");
    add("green", "10.10.0.0/16", "10.10.0.0/24");
    caches.content.namespaces["default"] = {};
    networks.publish(onNode);
  }
  ~FakeNode() {
    runtime.release();
    engine.release();
    journal.disk.release();
    caches.api.release();
  }
  FakeNode(const FakeNode&) = delete;
  FakeNode& operator=(const FakeNode&) = delete;

  static RunRequest request(std::uint32_t attempt = 0, const std::string& uid = "uid") {
    RunRequest request;
    request.pod = {PodUid(uid), "default", "web-" + uid, attempt};
    request.annotations["multinet.dev/networks"] = "blue,green";
    return request;
  }

  /// Anew, without what an earlier owner knew: recovery is to come.
  void make() {
    end();
    lane.emplace("sandbox", clock);
    addresses.emplace(*lane, blocks, clock, leases);
    resolver.emplace(*lane, caches, [this] { return networks.snapshot(); }, clock, clusterPrefixes);
    owner.emplace(*lane, dependencies(), options);
  }
  /// The same, with nothing held of the node's addresses.
  void start(addresses::Books books = addresses::Books::Complete) {
    make();
    addresses->restore({}, books);
  }
  void end() {
    owner.reset();
    resolver.reset();
    addresses.reset();
  }
  Dependencies dependencies() {
    return {runtimeDoor == nullptr ? runtime : *runtimeDoor,
            journal,
            engine,
            *addresses,
            *resolver,
            tell,
            clock,
            sets.door(),
            &watchdog,
            policies};
  }

  /// On the owner's lane, behind what was posted before, or here once that has stopped.
  template <class Work>
  void onLane(const Work& work) {
    std::promise<void> done;
    const bool posted = lane->post([&] {
      work();
      done.set_value();
    });
    if (!posted) return work();
    done.get_future().get();
  }
  /// `count` ticks of the owner's, and what they begin on its lane.
  void ticks(int count) {
    for (int i = 0; i < count; ++i) {
      clock.advance(options.tick);
      onLane([] {});
    }
  }
  /// The owner hangs until that is set, or gone.
  [[nodiscard]] std::promise<void> hang() {
    std::promise<void> go;
    lane->post([until = go.get_future().share()] { until.wait(); });
    return go;
  }
  std::map<IntentId, std::set<IpAddress>> held() {
    std::map<IntentId, std::set<IpAddress>> all;
    onLane([&] {
      for (const addresses::Holding& one : addresses->held()) all[one.intent].insert(one.address);
    });
    return all;
  }
  addresses::Books books() {
    addresses::Books now{};
    onLane([&] { now = addresses->books(); });
    return now;
  }

  FakeClock clock;
  FakeRuntime runtime;
  Runtime* const runtimeDoor;  ///< instead of that one; null: none
  attach::Policies* policies = nullptr;
  journal::FakeJournal journal;
  attach::FakeAttachEngine engine;
  watch::FakeCaches caches;
  networks::Snapshot onNode;
  networks::FakeNetworks networks;
  addresses::FakeBlockServer store;
  addresses::Blocks blocks{store.client(), NodeName("n1")};
  std::vector<IpPrefix> clusterPrefixes = {IpPrefix::parse("10.244.0.0/16").value()};
  report::FakeReporter reporter;
  report::Tell tell = reporter.tell();
  FakeOwnSets sets;
  async::Watchdog watchdog;
  Options options;
  addresses::LeaseOptions leases{.node = NodeName("n1")};
  std::optional<async::Lane> lane;
  std::optional<addresses::Addresses> addresses;
  std::optional<resolve::Resolver> resolver;
  std::optional<Owner> owner;

 private:
  void add(const std::string& name, const std::string& cidr, const std::string& block) {
    caches.content.networks[name] = watch::readyNetwork(name, cidr);
    networks::NetworkState state;
    state.name = NetworkName(name);
    state.uid = NetworkUid("uid-" + name);
    state.type = api::NetworkType::Macvlan;
    state.link = drivers::macvlan::Link{"eth1", api::MacvlanMode::Bridge};
    state.mtu = 1400;
    onNode.networks.push_back(state);
    const IpPrefix prefix = IpPrefix::parse(block).value();
    store.put({state.name, state.uid, prefix, NodeName("n1"), ""});
  }
};

}  // namespace multinet::agent::sandbox
