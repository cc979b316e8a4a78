// An agent without a kernel and a runtime: the rooms that speak to the API server are the real
// ones, wired as in parts.cc, and every network that a pod wants is there at once. For tests
// and measurements of what agents cost the API server.
#pragma once

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/api/names.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/blocks.h"
#include "nodeagent/drivers/names.h"
#include "nodeagent/feeder.h"
#include "nodeagent/networks/fake_networks.h"
#include "nodeagent/report/api_reporter.h"
#include "nodeagent/report/node_reporter.h"
#include "nodeagent/resolve/resolver.h"
#include "nodeagent/watch/cluster.h"

namespace multinet::agent {

/// Any thread may call.
class HollowAgent {
 public:
  /// `self` tells it from another of the same node's name. `clock` outlives it.
  HollowAgent(const std::string& kubeconfig, NodeName node, IpAddress underlay, const Clock& clock,
              api::NodeAgent self = {"journal", "boot"})
      : node_(std::move(node)),
        underlay_(underlay),
        clock_(clock),
        cluster_({.kubeconfig = kubeconfig, .node = node_, .namespaces = {.workers = 1}}, clock,
                 [this] { changed(); },
                 {.pod = [this](const std::string& uid) { reporter_.changed(uid); },
                  .node = [this](const std::string& peer) { nodeReporter_.changed(peer); }}),
        nodeReporter_(client_, cluster_, clock, node_, {.workers = 1},
                      [this](const Status& standing) {
                        if (feeding_) addresses_.allow(standing);
                      }),
        blocks_(client_, node_),
        reporter_(client_, cluster_, nodeReporter_.news(), clock, node_, {.workers = 1}),
        addresses_(lane_, blocks_, clock,
                   {.node = node_,
                    .allowed = fail(Code::Unavailable, report::kNodeNameUnclear, "not asked yet")}),
        resolver_(
            lane_, cluster_, [this] { return networks_.snapshot(); }, clock, {},
            [this](const NetworkUid& network) { feeder_.want(network); },
            [this] { return nodeReporter_.standing(); }),
        feeder_(
            cluster_, [this](auto desired) { serve(desired); }, addresses_,
            [] { return UsedHere{{}, true}; }, clock, {.node = node_}) {
    addresses_.restore({}, addresses::Books::Complete);
    feeding_ = true;
    nodeReporter_.identify(std::move(self));
    cluster_.start();
  }
  ~HollowAgent() {
    feeding_ = false;
    lane_.stop();
    cluster_.stop();
    feeder_.stop();
  }
  HollowAgent(const HollowAgent&) = delete;
  HollowAgent& operator=(const HollowAgent&) = delete;

  /// It knows the cluster, has networks to serve, and works under its node's name.
  [[nodiscard]] bool serves() const {
    return resolver_.ready().has_value() && networks_.snapshot()->settled;
  }
  /// Whether it works under its node's name.
  [[nodiscard]] Status standing() const { return nodeReporter_.standing(); }
  /// Those that it has joined.
  [[nodiscard]] std::size_t networks() const {
    return static_cast<std::size_t>(
        std::ranges::count(networks_.snapshot()->networks, true, &networks::NetworkState::joined));
  }

  /// What RunPodSandbox does with the API for a pod of this node: from its request to the report
  /// that its interfaces are there. Waits.
  [[nodiscard]] Status run(const k8s::Pod& pod) {
    const PodRef ref{PodUid(pod.metadata.uid), pod.metadata.nameSpace, pod.metadata.name, 0};
    resolve::PodRequest request;
    request.pod = ref;
    for (const auto& [key, value] : pod.metadata.annotations) request.annotations[key] = value;
    const BootTime deadline = clock_.now() + std::chrono::seconds(30);
    using Wanted = std::vector<resolve::WantedInterface>;
    MULTINET_TRY(const auto wanted, answerOf<Wanted>([&](async::Answer<Wanted> done) {
                   resolver_.resolve(request, deadline, std::move(done));
                 }));
    std::vector<addresses::AddressRequest> wants;
    for (const auto& one : wanted) {
      wants.push_back({one.plan.name, {one.plan.network, one.plan.networkUid, one.subnets}});
    }
    using Claims = std::vector<addresses::Claimed>;
    MULTINET_TRY(const auto claimed, answerOf<Claims>([&](async::Answer<Claims> done) {
                   addresses_.claim(IntentId(ref.uid.str()), ref.uid, wants, deadline,
                                    std::move(done));
                 }));
    std::vector<InterfaceStatus> interfaces;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      InterfaceStatus status;
      status.plan = resolve::complete(wanted[i], claimed[i], MacAddress());
      status.state = InterfaceState::Attached;
      status.link = LinkState::Up;
      status.attachedAt = clock_.wall();
      interfaces.push_back(std::move(status));
    }
    reporter_.tell(report::Attached{ref, SandboxId("sandbox-" + ref.uid.str()), interfaces});
    return {};
  }
  /// Reports that aren't written yet.
  [[nodiscard]] std::size_t reportsWaiting() const { return reporter_.waiting(); }

 private:
  template <class T, class Ask>
  static Result<T> answerOf(const Ask& ask) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    ask([promise](Result<T> result) { promise->set_value(std::move(result)); });
    return promise->get_future().get();
  }
  void changed() {
    if (feeding_) feeder_.changed();
  }
  void serve(const std::vector<networks::DesiredNetwork>& desired) {
    networks::Snapshot snapshot;
    snapshot.settled = true;
    for (const auto& one : desired) {
      if (one.state != networks::DesiredState::Serve) continue;
      networks::NetworkState state;
      state.name = one.name;
      state.uid = one.uid;
      state.type = typeOf(one.network);
      state.ready = networks::CheckStatus::True;
      state.joined = one.demand == networks::Demand::Wanted;
      if (!state.joined) {
        snapshot.networks.push_back(std::move(state));
        continue;
      }
      state.link = linkOfType(state.type);
      state.mtu = 1450;
      state.bridgeMac = drivers::bridgeMac(node_, one.uid);
      state.underlays = {underlay_};
      state.reason = "Ready";
      state.message = "bridge and tunnel are up; every peer answers";
      state.checks = {drivers::passed("Link", "Up", "bridge and tunnel are up"),
                      drivers::passed("Peers", "Answer", "every peer answers")};
      snapshot.networks.push_back(std::move(state));
    }
    networks_.publish(snapshot);
    nodeReporter_.update(networks_.snapshot());
  }

  const NodeName node_;
  const IpAddress underlay_;
  const Clock& clock_;
  std::atomic<bool> feeding_{false};
  networks::FakeNetworks networks_;
  watch::Cluster cluster_;
  const kube::ClientSource client_ = [this] { return cluster_.client(); };
  report::NodeReporter nodeReporter_;
  addresses::Blocks blocks_;
  report::ApiReporter reporter_;
  async::Lane lane_{"sandbox", clock_};
  addresses::Addresses addresses_;
  resolve::Resolver resolver_;
  Feeder feeder_;
};

}  // namespace multinet::agent
