#include "nodeagent/parts.h"

#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/fd.h"
#include "lib/netns/keep.h"
#include "nodeagent/cleanup.h"
#include "nodeagent/cri/runtime_client.h"

namespace multinet::agent {
namespace {

/// These never wait for the world.
constexpr std::chrono::seconds kOwnerStuck(5);
/// A sync on a slow disk under load takes a second or two.
constexpr std::chrono::seconds kDiskStuck(10);
/// A look at a node with hundreds of networks, and all that it finds to do.
constexpr std::chrono::seconds kKernelStuck(30);
// It reads replies, and does the owner's next steps.
constexpr std::chrono::seconds kRuntimeStuck(5);
/// Above the deadlines of all calls that one report makes to a server that doesn't answer.
constexpr std::chrono::minutes kReportStuck(3);

/// The runtime's answer takes milliseconds; it is asked again.
constexpr std::chrono::seconds kListContainers(2);

Result<std::string> readBootId() {
  MULTINET_CHECK(failpoint::check("start.boot-id"));
  MULTINET_TRY(std::string text, readFile("/proc/sys/kernel/random/boot_id"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/// Of a hold that ended before the pod's services wanted it to.
report::Notice cutShort(Duration grace) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(grace).count();
  return {kube::Severity::Warning, "HoldCutShort",
          "its services want clients to be able to reach it for longer than half of its grace "
          "period of " +
              std::to_string(seconds) +
              " s, or 30 s: connections may fail; give it a longer terminationGracePeriodSeconds, "
              "or its services a shorter spec.termination.seconds"};
}

report::NodeCondition policiesEnforced(const policing::NodePolicies& held) {
  using State = k8s::ConditionStatus;
  constexpr const char* kType = "PoliciesEnforced";
  if (held.trouble) {
    return {kType, State::False, held.trouble->reason,
            "Pods of this node aren't held to the policies of their networks: " +
                held.trouble->message};
  }
  if (held.isSilent) {
    return {kType, State::Unknown, "Stale",
            "Pods of this node are held to policies as they were: the API server has said nothing "
            "of podnetworkpolicyslices for over five minutes, though it answers otherwise; may "
            "this node's account watch them, and is that CRD served?"};
  }
  if (held.crowded) {
    return {kType, State::True, "FlowsCrowded",
            "Pods of this node are held to the policies of their networks, but the table of "
            "connections is nearly full (" +
                std::to_string(held.crowded->held) + " of " + std::to_string(held.crowded->most) +
                "), and new ones may be dropped: the agent's log names pods that hold their share; "
                "raise net.netfilter.nf_conntrack_max on the node and start its agent anew"};
  }
  if (!held.any) {
    return {kType, State::True, "NotNeeded", "No policy is about a pod of this node."};
  }
  return {kType, State::True, "Enforced",
          "Pods of this node are held to the policies of their networks."};
}

Error unusable(const char* reason, const Error& error, const char* remedy) {
  return {Code::Unavailable, reason, error.message + "; " + remedy + ", it is tried again"};
}

}  // namespace

NetworkParts::NetworkParts(const Settings& settings, Policy policy, const Clock& clock,
                           Metrics& metrics, async::Watchdog& watchdog, drain::Drain& drain)
    : settings_(settings),
      policy_(std::move(policy)),
      clock_(clock),
      metrics_(metrics),
      watchdog_(watchdog),
      drain_(drain),
      node_(settings.nodeName),
      files_("files", clock_),
      channel_(settings.runtimeEndpoint, clock_),
      runtime_(cri::makeRuntimeClient(channel_, files_, settings.runtimeStateDir)),
      measuredRuntime_(*runtime_, metrics_, clock_),
      journal_(settings.stateDir + "/journal.db",
               {.node = node_, .clock = &clock_, .notes = notesPathOf(settings)}),
      measuredJournal_(journal_, metrics_, clock_),
      cluster_({.kubeconfig = settings.kubeconfig,
                .node = node_,
                .observer = [this](const kube::CallRecord& call) { metrics_.apiCalled(call); },
                .blockGone = [this](const api::IPBlock& block) { blockGone(block); },
                .serviceChanged =
                    [this](const auto& network, const auto& home, const auto& name) {
                      if (feeding_) translator_->changed(network, home, name);
                      if (feeding_) gateways_->changed();
                      drain_.serviceChanged(network, home, name);
                    },
                .policiesChanged =
                    [this] {
                      if (feeding_) policing_->changed();
                    },
                .storeWentBack = [this] { storeWentBack(); }},
               clock_, [this] { changed(); },
               {.pod =
                    [this](const std::string& uid) {
                      reporter_.changed(uid);
                      drain_.podChanged(uid);
                    },
                .node = [this](const std::string& peer) { nodeReporter_.changed(peer); }}),
      client_([this] { return cluster_.client(); }),
      nodeReporter_(client_, cluster_, clock_, node_, {},
                    [this](const Status& standing) { stand(standing); }),
      blocks_(client_, node_),
      reporter_(client_, cluster_, nodeReporter_.news(), clock_, node_),
      ownSets_(client_, node_, clock_),
      plane_({.directory = bpfPathOf(settings), .cgroup = settings.podsCgroup}) {}

Status NetworkParts::start() {
  if (owner_ != nullptr) return {};
  if (bootId_.empty()) {
    auto read = readBootId();
    if (!read) return fail(unusable("BootIdUnknown", read.error(), "mount /proc"));
    bootId_ = std::move(*read);
  }
  MULTINET_CHECK(startKernel());
  serve();
  return {};
}

Result<std::optional<Fd>> NetworkParts::openSwitch() const {
  const std::string path = switchPathOf(settings_);
  if (path.empty()) return std::optional<Fd>{};
  MULTINET_TRY(Fd netns, netns::keep(path));
  return std::optional<Fd>(std::move(netns));
}

Status NetworkParts::startGuards() {
  MULTINET_TRY(switchNetns_, openSwitch());
  if (guard_ == nullptr) {
    MULTINET_TRY(guard_, isolation::PortGuard::start(switchNetns_, {}, clock_));
  }
  if (policyGuard_ == nullptr) {
    policing::PolicyGuardOptions options;
    options.others = [this] { return guard_->switchCommits(); };
    MULTINET_TRY(policyGuard_, policing::PolicyGuard::start(switchNetns_, options, clock_));
  }
  if (podGuards_ == nullptr) {
    podGuards_ = std::make_unique<policing::PodGuards>(policing::PolicyGuardOptions{}, clock_);
  }
  if (policing_ == nullptr) policing_ = makePolicing();
  return {};
}

std::unique_ptr<policing::Policing> NetworkParts::makePolicing() {
  policing::PolicingReports reports{
      .interface =
          [this](const PodUid& pod, const NetworkUid& network,
                 const std::optional<api::InterfacePolicy>& policy) {
            reporter_.policyFound(pod, network, policy);
          },
      .revision =
          [this](std::uint64_t revision) {
            nodeReporter_.setPolicyRevision(revision == 0 ? "" : std::to_string(revision));
          },
      .node = [this](const policing::NodePolicies& held) { tellPolicies(held); },
      .admissions =
          [this] {
            if (feeding_) gateways_->changed();
          }};
  policing::PolicingOptions options;
  options.gatewayOf = gateway::networkOf;
  options.gatewaysThere = [this] {
    return gateway::addressesIn(gatewayPathOf(settings_), *engine_);
  };
  return std::make_unique<policing::Policing>(
      cluster_,
      policing::Kernel{
          [this](const NetworkUid& network, const std::string& bridge, policing::Wanted wanted) {
            return policyGuard_->commit(network, bridge,
                                        {std::move(wanted.program), std::move(wanted.ports),
                                         std::move(wanted.gateways), wanted.track});
          },
          [this](const NetworkUid& network) { policyGuard_->forget(network); },
          [this](const NetworkUid& network, const std::string& bridge,
                 const policing::PolicedChange& change) {
            return policyGuard_->change(network, bridge, change);
          },
          [this](const NetworkUid& network, const policy::Program& program,
                 const policy::AddressChange* since, const policing::InPods& inPods) {
            return podGuards_->commit(network, program, since, inPods);
          },
          [this](const attach::PodPort& port) { return podGuards_->linked(port); },
          [this](const attach::PodPort& port) { podGuards_->leave(port); },
          [this] { return policyGuard_->flows(); },
          [this] {
            return policing::Kernel::Troubles{policyGuard_->trouble(), podGuards_->troubles()};
          }},
      [this] { return endsOfLinks(); }, std::move(reports), clock_, std::move(options));
}

Result<policing::Ends> NetworkParts::endsOfLinks() const {
  MULTINET_TRY(const auto links, engine_->observe(std::nullopt));
  MULTINET_TRY(const auto bridges, policing::bridgesOfPorts(switchNetns_));
  policing::Ends ends;
  for (const attach::ObservedInterface& link : links) {
    if (link.inPod) continue;
    const auto bridge = bridges.find(link.link);
    ends[{link.intent, link.interface}] = {link.link,
                                           bridge == bridges.end() ? "" : bridge->second};
  }
  return ends;
}

Result<std::unique_ptr<attach::KernelAttachEngine>> NetworkParts::startEngine() const {
  attach::EngineOptions options;
  options.guard = guard_.get();
  options.policies = policing_.get();
  MULTINET_TRY(options.switchNetns, openSwitch());
  return attach::KernelAttachEngine::start(std::move(options), clock_);
}

Status NetworkParts::startKernel() {
  constexpr const char* kReason = "KernelUnusable";
  constexpr const char* kRemedy = "run the agent as root with CAP_NET_ADMIN and CAP_SYS_ADMIN";
  if (engine_ == nullptr) {
    Status place = failpoint::check("start.engine");
    if (place) place = startGuards();
    auto started = place ? startEngine() : fail(place.error());
    if (!started)
      return fail(unusable(kReason, started.error().within("start attaching"), kRemedy));
    engine_ = std::move(*started);
    measured_ = std::make_unique<MeasuredEngine>(*engine_, metrics_, clock_);
    joining_ = std::make_unique<services::JoiningEngine>(*measured_, members_, clock_);
  }
  if (networks_ == nullptr) {
    networks::NetworksOptions options;
    options.node = node_;
    options.underlay = settings_.underlayInterface;
    options.switchPath = switchPathOf(settings_);
    const Status place = failpoint::check("start.networks");
    auto inner = openSwitch();
    if (!inner) return fail(unusable(kReason, inner.error(), kRemedy));
    auto started = place ? networks::KernelNetworks::start(
                               options, std::move(*inner),
                               [this](std::shared_ptr<const networks::Snapshot> snapshot) {
                                 nodeReporter_.update(std::move(snapshot));
                                 if (feeding_) gateways_->changed();
                               })
                         : fail(place.error());
    if (!started) {
      return fail(unusable(kReason, started.error().within("start the node's networks"), kRemedy));
    }
    networks_ = std::move(*started);
  }
  return {};
}

void NetworkParts::serve() {
  // All of them before the first is kept: each may throw for want of a thread.
  auto lane = std::make_unique<async::Lane>("sandbox", clock_);
  auto addresses = std::make_unique<addresses::Addresses>(
      *lane, blocks_, clock_,
      addresses::LeaseOptions{
          .node = node_,
          .quarantine = policy_.quarantine,
          .allowed = fail(Code::Unavailable, report::kNodeNameUnclear,
                          "claim addresses: whether the node's name is this machine's isn't known "
                          "before its NodeNetworkSet was read")});
  auto resolver = std::make_unique<resolve::Resolver>(
      *lane, cluster_, [this] { return networks_->snapshot(); }, clock_, policy_.clusterPrefixes,
      [this](const NetworkUid& network) { feeder_->want(network); },
      [this] { return nodeReporter_.standing(); });
  auto feeder = std::make_unique<Feeder>(
      cluster_,
      [this](std::vector<networks::DesiredNetwork> all) { serveNetworks(std::move(all)); },
      *addresses, [this] { return usedBy(*owner_->snapshot()); }, clock_,
      FeederOptions{.node = node_, .clusterPrefixes = policy_.clusterPrefixes});
  auto translator = std::make_unique<services::Translator>(
      cluster_, plane_, members_, [this](const Status& translated) { tellServices(translated); },
      clock_, services::TranslatorOptions{.node = node_});
  auto checker = std::make_unique<gateway::Checker>(
      [this](const PodUid& pod, const NetworkUid& network, const gateway::Health& health) {
        reporter_.healthFound(pod, network, {health.checked, health.found});
      },
      clock_);
  auto localHealth = std::make_unique<gateway::LocalHealth>(clock_);
  auto gateways = std::make_unique<gateway::Keeper>(
      cluster_, [this] { return networks_->snapshot(); },
      gateway::AddressSource{
          [this](IntentId intent, PodUid pod, std::vector<addresses::AddressRequest> wants,
                 BootTime deadline, async::Answer<std::vector<addresses::Claimed>> done) {
            addresses_->claim(std::move(intent), std::move(pod), std::move(wants), deadline,
                              std::move(done));
          },
          [this](IntentId intent) { addresses_->release(std::move(intent)); }},
      *engine_,
      [this](const std::vector<gateway::Trouble>& troubles, bool any) {
        tellGateways(troubles, any);
      },
      [this](std::vector<gateway::Check> checks) { checker_->follow(std::move(checks)); },
      [this](std::vector<gateway::LocalService> services) {
        localHealth_->serve(std::move(services));
      },
      clock_,
      gateway::KeeperOptions{
          .node = node_,
          .directory = gatewayPathOf(settings_),
          .admissions =
              [this](const NetworkUid& network) { return policing_->admissions(network); },
          .gone =
              [this](const NetworkUid& network) {
                policing_->release({}, {gateway::intentOf(network)});
              }});
  const sandbox::Dependencies dependencies{
      measuredRuntime_,
      measuredJournal_,
      *joining_,
      *addresses,
      *resolver,
      [this](report::News news) { reporter_.tell(std::move(news)); },
      clock_,
      [this](async::Answer<std::vector<sandbox::KnownSet>> done) {
        ownSets_.list(std::move(done));
      },
      &watchdog_,
      policing_.get()};
  auto owner = std::make_unique<sandbox::Owner>(
      *lane, dependencies, sandbox::Options{.bootId = bootId_, .quarantine = policy_.quarantine});
  recovery_ = std::make_unique<recover::Recovery>(
      dependencies, *owner,
      recover::Options{.bootId = bootId_,
                       .quarantine = policy_.quarantine,
                       .opened = [this](const journal::Loaded& journal) { opened(journal); }});
  lane_ = std::move(lane);
  addresses_ = std::move(addresses);
  resolver_ = std::move(resolver);
  feeder_ = std::move(feeder);
  translator_ = std::move(translator);
  checker_ = std::move(checker);
  localHealth_ = std::move(localHealth);
  gateways_ = std::move(gateways);
  owner_ = std::move(owner);
  feeding_ = true;
  watchdog_.watch(*lane_, kOwnerStuck);
  watchdog_.watch(journal_.lane(), kDiskStuck);
  engine_->watchWith(watchdog_);
  watchdog_.watch([this] { return channel_.health(); }, kRuntimeStuck);
  watchdog_.watch([this] { return networks_->health(); }, kKernelStuck);
  watchdog_.watch(translator_->lane(), kKernelStuck);
  watchdog_.watch(joining_->lane(), kOwnerStuck);
  watchdog_.watch(guard_->lane(), kKernelStuck);
  watchdog_.watch(policyGuard_->lane(), kKernelStuck);
  watchdog_.watch(podGuards_->lane(), kKernelStuck);
  watchdog_.watch(policing_->lane(), kKernelStuck);
  watchdog_.watch(gateways_->lane(), kKernelStuck);
  watchdog_.watch([this] { return checker_->health(); }, kOwnerStuck);
  watchdog_.watch([this] { return localHealth_->health(); }, kOwnerStuck);
  watchdog_.watch([this] { return reporter_.health(); }, kReportStuck);
  watchdog_.watch([this] { return nodeReporter_.health(); }, kReportStuck);
  drain_.open({.caches = &cluster_,
               .own = &cluster_,
               .node = node_,
               .containers =
                   [this](async::Answer<std::vector<drain::Container>> done) {
                     cri::listRunningContainers(channel_, clock_.now() + kListContainers,
                                                std::move(done));
                   },
               .cutShort = [this](const PodRef& pod,
                                  Duration grace) { reporter_.event(pod, cutShort(grace)); },
               .ending = [this](const PodRef& pod, const SandboxId& sandbox,
                                bool ends) { reporter_.ending(pod, sandbox, ends); }});
  cluster_.start();    // a call that needs what it doesn't know yet waits, then Unavailable
  recovery_->start();  // fail-closed: until it is done no call for networks is served
}

void NetworkParts::serveNetworks(std::vector<networks::DesiredNetwork> all) {
  std::map<NetworkUid, api::PortSecurity> asked;
  std::set<std::uint16_t> tunnelPorts;
  for (const networks::DesiredNetwork& one : all) {
    asked[one.uid] = one.portSecurity;
    const auto* tunnel = std::get_if<drivers::vxlan::Network>(&one.network);
    if (tunnel != nullptr) tunnelPorts.insert(tunnel->port);
  }
  // Before a network can be attached to.
  guard_->setNetworks(asked, tunnelPorts);
  networks_->setDesired(std::move(all));
}

void NetworkParts::opened(const journal::Loaded& journal) {
  nodeReporter_.identify({journal.id, bootId_});
  if (journal.putAsideOf.empty()) return;
  reporter_.nodeEvent(
      {kube::Severity::Warning, "JournalOfAnotherNode",
       "the agent found the journal of node \"" + journal.putAsideOf +
           "\" and put it aside: was this machine's disk copied, or the node renamed? It began a "
           "journal of its own; the old one is beside it in the state directory"});
}

void NetworkParts::stand(const Status& standing) {
  if (feeding_) addresses_->allow(standing);
  if (standing || standing.error().reason != report::kNodeNameTaken) return;
  log::error("another agent works under this node's name", {{"error", standing.error()}});
  reporter_.nodeEvent({kube::Severity::Warning, report::kNodeNameTaken, standing.error().message});
}

void NetworkParts::changed() {
  if (!feeding_) return;
  feeder_->changed();
  gateways_->changed();
}

void NetworkParts::tellServices(const Status& translated) {
  using State = k8s::ConditionStatus;
  nodeReporter_.setNodeCondition(
      translated
          ? report::NodeCondition{"ServicesTranslated", State::True, "Translated",
                                  "ClusterIPs of services on networks are translated."}
          : report::NodeCondition{"ServicesTranslated", State::False, translated.error().reason,
                                  "ClusterIPs of services on networks aren't translated on "
                                  "this node: " +
                                      translated.error().message});
}

void NetworkParts::tellPolicies(const policing::NodePolicies& held) {
  // Most nodes have nothing to hold anybody to, and are silent.
  const bool isSomething = held.any || held.trouble || held.isSilent || held.crowded;
  if (!isSomething && !policiesTold_) return;
  policiesTold_ = isSomething;
  nodeReporter_.setNodeCondition(policiesEnforced(held));
}

void NetworkParts::tellGateways(const std::vector<gateway::Trouble>& troubles, bool any) {
  using State = k8s::ConditionStatus;
  if (troubles.empty()) {
    noAddress_.clear();
    if (!any && !gatewaysTold_) return;
    gatewaysTold_ = any;
    return nodeReporter_.setNodeCondition(
        {"Gateway", State::True, any ? "Ready" : "NotNeeded",
         any ? "Clients who aren't on a network reach its services by this node as those say."
             : "No service needs a gateway on this node."});
  }
  gatewaysTold_ = true;
  std::string message = "Clients who aren't on a network don't reach its services by this node: ";
  constexpr std::size_t kTold = 3;
  for (std::size_t i = 0; i < troubles.size() && i < kTold; ++i) {
    message += (i == 0 ? "" : "; ") + troubles[i].error.message;
  }
  if (troubles.size() > kTold) {
    message += "; and " + std::to_string(troubles.size() - kTold) + " more";
  }
  nodeReporter_.setNodeCondition({"Gateway", State::False, troubles.front().error.reason, message});
  for (const gateway::Trouble& trouble : troubles) {
    if (trouble.error.reason != "NoAddress" || !noAddress_.insert(trouble.network).second) continue;
    reporter_.nodeEvent({kube::Severity::Warning, "NoAddress",
                         trouble.error.message +
                             "; NodePorts, addresses of load balancers and reach: Cluster of its "
                             "services don't work by this node, ClusterIPs do for its pods; give "
                             "the network a larger subnet"});
  }
}

void NetworkParts::blockGone(const api::IPBlock& block) {
  if (!feeding_) return;
  if (auto gone = addresses::leasedBlock(block)) addresses_->blockGone(std::move(*gone));
}

void NetworkParts::storeWentBack() {
  if (feeding_) addresses_->storeWentBack();
  reporter_.nodeEvent({kube::Severity::Warning, "StoreRestored",
                       "the API server's store was put back to an earlier state: this node leases "
                       "again what its pods hold, and no new block of addresses for two minutes"});
}

void NetworkParts::stop() {
  if (owner_ != nullptr) owner_->stop();
  cluster_.stop();
  if (policing_ != nullptr) policing_->stop();
}

Status NetworkParts::leave() {
  if (feeder_ == nullptr) return {};
  feeder_->stop();
  networks_->stop();
  translator_->stop();
  guard_->stop();
  policing_->stop();
  policyGuard_->stop();
  podGuards_->stop();
  gateways_->stop();
  checker_->stop();
  localHealth_->stop();
  return clearKernel(settings_);
}

}  // namespace multinet::agent
