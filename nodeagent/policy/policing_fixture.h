// Policies of one node with a kernel and caches that a test changes.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <thread>

#include "lib/base/fake_clock.h"
#include "lib/policy/test_worlds.h"
#include "nodeagent/policy/policing.h"
#include "nodeagent/policy/test_slices.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::agent::policing {

using attach::Policeable;
using policy::testing::ip;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

inline constexpr seconds kLongEnough(20);

/// A kernel that remembers what it was given last.
class FakeKernel {
 public:
  Kernel door() {
    return {[this](const NetworkUid& network, const std::string& bridge, Wanted wanted) -> Status {
              const std::lock_guard lock(mutex_);
              ++commits_;
              if (error_) return fail(*error_);
              held_[network.str()] = {bridge, std::move(wanted)};
              return {};
            },
            [this](const NetworkUid& network) {
              const std::lock_guard lock(mutex_);
              held_.erase(network.str());
            },
            [this](const NetworkUid& network, const std::string& bridge,
                   const PolicedChange& change) { return follow(network, bridge, change); },
            [this](const NetworkUid&, const policy::Program& program, const policy::AddressChange*,
                   const InPods& inPods) {
              const std::lock_guard lock(mutex_);
              trackInPods_ = inPods.track;
              gatewaysInPods_ = inPods.gateways;
              std::map<policy::PodKey, Error> refused;
              inPods_.clear();
              for (const auto& [key, port] : inPods.pods) {
                if (refusedPods_.contains(key.name)) {
                  refused.emplace(key, Error{Code::Unavailable, "CommitFailed", "no memory"});
                } else {
                  inPods_[port.name] = program.ingress.contains(key);
                }
              }
              return refused;
            },
            [this](const attach::PodPort& port) -> Status {
              const std::lock_guard lock(mutex_);
              linked_.push_back(port.name);
              return {};
            },
            [this](const attach::PodPort& port) {
              const std::lock_guard lock(mutex_);
              left_.push_back(port.name);
            }};
  }
  /// Changes since the start, and of those the ones of addresses alone.
  int changes() const {
    const std::lock_guard lock(mutex_);
    return changes_;
  }
  int addressChanges() const {
    const std::lock_guard lock(mutex_);
    return addressChanges_;
  }
  void refusePods(std::set<std::string> names) {
    const std::lock_guard lock(mutex_);
    refusedPods_ = std::move(names);
  }
  /// Whether a link in a pod is isolated; nothing: it isn't held.
  std::optional<bool> inPod(const std::string& port) const {
    const std::lock_guard lock(mutex_);
    const auto found = inPods_.find(port);
    return found == inPods_.end() ? std::nullopt : std::optional(found->second);
  }
  api::TrackConnections trackInPods() const {
    const std::lock_guard lock(mutex_);
    return trackInPods_;
  }
  std::set<IpAddress> gatewaysInPods() const {
    const std::lock_guard lock(mutex_);
    return gatewaysInPods_;
  }
  std::vector<std::string> linked() const {
    const std::lock_guard lock(mutex_);
    return linked_;
  }
  std::vector<std::string> left() const {
    const std::lock_guard lock(mutex_);
    return left_;
  }
  void refuse(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  std::optional<Wanted> held(const std::string& network) const {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(network);
    return found == held_.end() ? std::nullopt : std::optional(found->second.second);
  }
  int commits() const {
    const std::lock_guard lock(mutex_);
    return commits_;
  }

 private:
  /// What differs leads to what it is said to lead to.
  Status follow(const NetworkUid& network, const std::string& bridge, const PolicedChange& change) {
    const std::lock_guard lock(mutex_);
    ++changes_;
    if (error_) return fail(*error_);
    const auto found = held_.find(network.str());
    if (found == held_.end() || found->second.first != bridge) {
      return fail(Code::NotFound, "NotHeld", "nothing is held");
    }
    Wanted& held = found->second.second;
    policy::apply(change.addresses, held.program.addresses);
    if (change.ports == nullptr) {
      ++addressChanges_;
    } else {
      held.program.egress = change.program.egress;
      held.program.ingress = change.program.ingress;
      held.program.permits = change.program.permits;
      held.program.ordered = change.program.ordered;
      held.ports = *change.ports;
      held.gateways = *change.gateways;
    }
    EXPECT_EQ(held.program, change.program);
    return {};
  }

  mutable std::mutex mutex_;
  int changes_ = 0;
  int addressChanges_ = 0;
  std::optional<Error> error_;
  std::map<std::string, std::pair<std::string, Wanted>> held_;
  std::set<std::string> refusedPods_;
  std::map<std::string, bool> inPods_;
  api::TrackConnections trackInPods_ = api::TrackConnections::Auto;
  std::set<IpAddress> gatewaysInPods_;
  std::vector<std::string> linked_;
  std::vector<std::string> left_;
  int commits_ = 0;
};

/// Caches that a test changes while a lane reads them.
class Caches final : public watch::FakeCaches {
 public:
  [[nodiscard]] std::vector<std::shared_ptr<const k8s::Pod>> pods() const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::pods();
  }
  [[nodiscard]] std::vector<std::shared_ptr<const api::PodNetwork>> networks() const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::networks();
  }
  [[nodiscard]] std::optional<PolicySlices> policiesOf(const std::string& name) const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::policiesOf(name);
  }
  [[nodiscard]] Status needPolicies(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::needPolicies(name);
  }
  [[nodiscard]] Result<ClusterPolicies> clusterPolicies() const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::clusterPolicies();
  }
  [[nodiscard]] Heard heard() const override {
    const std::lock_guard lock(mutex_);
    return FakeCaches::heard();
  }
  mutable std::mutex mutex_;
};

class PolicingTest : public ::testing::Test {
 protected:
  PolicingTest() {
    const std::lock_guard lock(caches_.mutex_);
    caches_.content.networks["blue"] = watch::readyNetwork("blue", "10.0.0.0/16");
    caches_.policyLists["shop"] = {};
  }
  ~PolicingTest() override { policing_.stop(); }

  template <class Change>
  void change(Change made) {
    {
      const std::lock_guard lock(caches_.mutex_);
      made();
    }
    policing_.changed();
  }
  void setPod(const std::string& name, const std::string& app) {
    auto pod = std::make_shared<k8s::Pod>();
    pod->metadata.nameSpace = "shop";
    pod->metadata.name = name;
    pod->metadata.uid = "uid-" + name;
    pod->metadata.labels["app"] = app;
    change([&] {
      std::erase_if(caches_.podList, [&](const auto& one) { return one->metadata.name == name; });
      caches_.podList.push_back(pod);
    });
  }
  void setPolicies(const Slices& slices) {
    change([&] { caches_.policyLists["shop"] = slices; });
  }
  static Policeable policeable(const std::string& name,
                               Link link = drivers::bridge::Link{"mnb-blue"}) {
    InterfacePlan plan;
    plan.name = *InterfaceName::parse("net1");
    plan.network = NetworkName("blue");
    plan.networkUid = NetworkUid("uid-blue");
    plan.link = std::move(link);
    return {IntentId("i-" + name), {PodUid("uid-" + name), "shop", name, 0}, {plan}};
  }
  /// The same, as the kernel alone has it: of a journal that was lost.
  static Policeable unconfirmed(const std::string& name) {
    Policeable out = policeable(name, drivers::bridge::Link{});
    out.interfaces[0].network = NetworkName();
    out.interfaces[0].networkUid = NetworkUid();
    return out;
  }
  static isolation::Port port(const std::string& name) {
    isolation::Port out;
    out.name = "mnp-" + name;
    out.intent = IntentId("i-" + name);
    out.interface = "net1";
    out.network = NetworkUid("uid-blue");
    return out;
  }
  std::future<Status> ask(Policeable pod) {
    const auto promise = std::make_shared<std::promise<Status>>();
    policing_.join(std::move(pod), [promise](Status status) { promise->set_value(status); });
    return promise->get_future();
  }
  Status join(const std::string& name) {
    auto joined = ask(policeable(name));
    if (joined.wait_for(kLongEnough) != std::future_status::ready) {
      return fail(Code::DeadlineExceeded, "NoAnswer", name);
    }
    return joined.get();
  }
  Status attach(const std::string& name) {
    MULTINET_CHECK(join(name));
    return policing_.hold(IntentId("i-" + name), {port(name)}, {});
  }
  static attach::PodPort inPod(const std::string& name) {
    return {"in " + name, "net1", NetworkUid("uid-blue"), nullptr};
  }
  Status attachInPod(const std::string& name) {
    MULTINET_CHECK(ask(policeable(name, drivers::macvlan::Link{})).get());
    return policing_.hold(IntentId("i-" + name), {}, {inPod(name)});
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + kLongEnough;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool isolates(const std::string& name) const {
    const auto held = kernel_.held("uid-blue");
    return held && held->program.ingress.contains({"shop", name}) &&
           held->ports.contains({"shop", name});
  }
  bool allows(const std::string& from, const std::string& to) const {
    const auto held = kernel_.held("uid-blue");
    const policy::PodKey key{"shop", to};
    const policy::Packet packet{ip(from), ip("10.0.0.1"), api::Protocol::TCP, 80};
    return !held || policy::allows(held->program, packet, nullptr, &key);
  }
  std::string said(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = said_.find("uid-" + name);
    if (found == said_.end()) return "nothing";
    if (!found->second) return "none";
    return (found->second->enforced ? "enforced " : "not enforced ") + found->second->reason;
  }
  std::uint64_t revision() {
    const std::lock_guard lock(mutex_);
    return revision_;
  }

  /// db takes from web alone.
  api::PodNetworkPolicy policy(const std::string& selects = "db") {
    api::PodNetworkPolicy out;
    out.metadata.nameSpace = "shop";
    out.metadata.name = "p";
    out.metadata.uid = "u";
    out.metadata.generation = 1;
    out.spec.podNetworkNames = {"blue"};
    out.spec.podSelector.matchLabels = {{"app", selects}};
    api::PolicyIngressRule rule;
    rule.peers.emplace_back().podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
    out.spec.ingress = {rule};
    return out;
  }
  static policy::World world() {
    policy::World out;
    out.namespaces = {{"shop", {}}};
    out.pods = {policy::testing::pod("shop", "w1", {{"app", "web"}}, {ip("10.0.0.2")}),
                policy::testing::pod("shop", "w2", {{"app", "web"}}, {ip("10.0.0.3")})};
    return out;
  }
  Slices slices(std::uint64_t revision = 5) {
    return testing::slicesOf(policy(), world(), revision, 1);
  }
  Slices slicesIn(const policy::World& world) { return testing::slicesOf(policy(), world, 5, 1); }
  Slices incomplete() {
    Slices some = slices();
    some.erase(some.begin());
    return some;
  }

  Kernel door() {
    Kernel kernel = kernel_.door();
    kernel.flows = [this] {
      const std::lock_guard lock(mutex_);
      return flows_;
    };
    kernel.troubles = [this] {
      const std::lock_guard lock(mutex_);
      ++troublesAsked_;
      return troubles_;
    };
    return kernel;
  }

  PolicingOptions options() {
    PolicingOptions options{.gather = milliseconds(0)};
    options.gatewaysThere = [this] { return gatewaysThere_; };
    options.gatewayOf = [](const IntentId& intent) {
      const bool isOne = intent == IntentId("gateway-uid-blue");
      return isOne ? std::optional(NetworkUid("uid-blue")) : std::nullopt;
    };
    return options;
  }

  FakeClock clock_;
  Caches caches_;
  FakeKernel kernel_;
  std::mutex mutex_;
  std::map<std::string, std::optional<api::InterfacePolicy>> said_;
  std::uint64_t revision_ = 0;
  std::optional<Error> trouble_;
  bool isSilent_ = false;
  std::optional<FlowTable> crowded_;
  std::optional<FlowTable> flows_;
  Kernel::Troubles troubles_;
  int troublesAsked_ = 0;
  Ends ends_;
  std::map<NetworkUid, std::set<IpAddress>> gatewaysThere_;
  std::atomic<int> admissionsTold_{0};
  Policing policing_{caches_,
                     door(),
                     [this] { return Result<Ends>(ends_); },
                     {[this](const PodUid& pod, const NetworkUid&, const auto& policy) {
                        const std::lock_guard lock(mutex_);
                        said_[pod.str()] = policy;
                      },
                      [this](std::uint64_t revision) {
                        const std::lock_guard lock(mutex_);
                        revision_ = revision;
                      },
                      [this](const NodePolicies& held) {
                        const std::lock_guard lock(mutex_);
                        trouble_ = held.trouble;
                        isSilent_ = held.isSilent;
                        crowded_ = held.crowded;
                      },
                      [this] { ++admissionsTold_; }},
                     clock_,
                     options()};
};

}  // namespace multinet::agent::policing
