#include "nodeagent/watch/cluster.h"

#include <algorithm>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/request.h"
#include "lib/api/server.h"
#include "lib/api/service.h"
#include "lib/base/log.h"
#include "lib/k8s/zone.h"
#include "lib/kube/discovery.h"
#include "lib/kube/informer.h"
#include "nodeagent/watch/by_label.h"
#include "nodeagent/watch/scoped.h"

namespace multinet::agent::watch {
namespace {

kube::WatchOptions where(kube::WatchOptions options, const char* field, const NodeName& node) {
  options.selection.fieldSelector = std::string(field) + "=" + node.str();
  return options;
}

/// Of calls that make or change something: the server may well be slow.
constexpr std::chrono::seconds kWriteDeadline(10);
/// Of calls that somebody waits for; each is tried twice.
constexpr std::chrono::seconds kReadDeadline(2);
constexpr std::chrono::milliseconds kReadRetryAfter(500);

// A burst of pods is one look.
constexpr std::chrono::milliseconds kGather(20);

bool asks(const k8s::Pod& pod) {
  return pod.metadata.annotation(api::kNetworksAnnotation) != nullptr;
}

tl::unexpected<Error> missing(const char* what, const kube::WatchHealth& health) {
  return fail(Code::Unavailable, "CachesNotReady",
              std::string("read ") + what + " from the API server: " +
                  (health.lastError.empty() ? "not answered yet" : health.lastError));
}

// Changes of an object that decide nothing here aren't told.
bool sameRequest(const k8s::Pod& old, const k8s::Pod& now) {
  return old.metadata.annotations == now.metadata.annotations &&
         old.metadata.deleting() == now.metadata.deleting() && old.finished() == now.finished();
}

/// Of the controller's making.
std::string ofTheController() {
  return std::string(api::kServiceProxyLabel) + "=" + api::kServiceManager;
}

kube::WatchOptions labelled(kube::WatchOptions options, std::string labels) {
  options.selection.labelSelector = std::move(labels);
  return options;
}

kube::WatchOptions toldOfUnknown(kube::WatchOptions options, std::function<void()> told) {
  options.onKindUnknown = std::move(told);
  return options;
}

const std::string& labelOf(const k8s::ObjectMeta& metadata, const char* key) {
  static const std::string kNone;
  const k8s::StringMap& labels = *metadata.labels;
  const auto found = labels.find(key);
  return found == labels.end() ? kNone : found->second;
}

const std::string& serviceNameOf(const k8s::EndpointSlice& slice) {
  return labelOf(slice.metadata, api::kServiceNameLabel);
}
const std::string& serviceNameOf(const k8s::Service& service) {
  return service.metadata.name;
}

/// An index of slices, by `namespace/name` of their service.
constexpr const char* kByService = "service";
/// By the network that they are on: of peers, what they say themselves; their label repeats it.
constexpr const char* kByNetwork = "network";

template <class T>
void byLabel(kube::Informer<T>& objects) {
  objects.addIndex(kByNetwork, [](const T& one) {
    return std::vector<std::string>{labelOf(one.metadata, api::kNetworkLabel)};
  });
}

void byNetwork(kube::Informer<api::NetworkPeer>& peers) {
  peers.addIndex(kByNetwork, [](const api::NetworkPeer& one) {
    return std::vector<std::string>{one.podNetworkName};
  });
}

/// An index of slices of policies, by namespace.
constexpr const char* kByNamespace = "namespace";

void byNamespace(kube::Informer<api::PodNetworkPolicySlice>& slices) {
  slices.addIndex(kByNamespace, [](const api::PodNetworkPolicySlice& one) {
    return std::vector<std::string>{one.metadata.nameSpace};
  });
}

template <class T>
kube::Handler<T> anyChange(const std::function<void()>& changed) {
  const auto one = [changed](const T&) { changed(); };
  return {one, [changed](const T&, const T&) { changed(); }, one, changed};
}

/// An API server that has just begun may not know yet what it knew.
constexpr std::chrono::minutes kForgetsKinds(1);

/// A peer whose agent was replaced goes out of one watch and comes into another: who reads in
/// between isn't told to.
constexpr std::chrono::seconds kMoves(1);

void byService(kube::Informer<k8s::EndpointSlice>& slices) {
  byLabel(slices);
  slices.addIndex(kByService, [](const k8s::EndpointSlice& one) {
    return std::vector<std::string>{one.metadata.nameSpace + "/" + serviceNameOf(one)};
  });
}

using ServiceChanged =
    std::function<void(const std::string&, const std::string&, const std::string&)>;

template <class T>
kube::Handler<T> tellOf(const ServiceChanged& changed) {
  const auto tell = [changed](const T& one) {
    changed(labelOf(one.metadata, api::kNetworkLabel), one.metadata.nameSpace, serviceNameOf(one));
  };
  return {tell, [tell](const T& /*old*/, const T& now) { tell(now); }, tell,
          [changed] { changed("", "", ""); }};
}

}  // namespace

struct Cluster::Informers {
  enum class Role : std::uint8_t {
    Decides,   ///< nothing is judged before its first list is there
    Follows,   ///< from the start on
    WithPods,  ///< from the first pod on that asks for a network
    /// From the first network on whose peers are followed; from the start, where the node has some.
    WhenJoined,
  };
  /// One informer, as all of them are treated.
  struct One {
    std::string resource;
    const char* what;  ///< in messages
    Role role;
    std::function<void()> start;
    std::function<void()> stop;
    std::function<bool()> synced;
    std::function<kube::WatchHealth()> health;
  };

  /// Of a network; null until they and all Services are known.
  [[nodiscard]] static ByLabel<k8s::EndpointSlice>::One slicesOn(const Informers* informers,
                                                                 const std::string& network) {
    if (informers == nullptr || !informers->services.synced()) return nullptr;
    return informers->slices.of(network);
  }

  Informers(std::unique_ptr<kube::Client> made, std::unique_ptr<kube::Client> quick,
            const NodeName& node, const kube::WatchOptions& options,
            const std::function<void()>& changed, const ServiceChanged& serviceChanged,
            const std::function<void()>& policiesChanged)
      : client(std::move(made)),
        reader(std::move(quick)),
        pods(*client, where(options, "spec.nodeName", node)),
        networks(*client, options),
        attachments(
            *client, options,
            [](kube::WatchOptions& own, const std::string& scope) {
              own.selection.nameSpace = scope;
            },
            anyChange<api::PodNetworkAttachment>(changed)),
        peers(*client, options, api::kNetworkLabel, "", anyChange<api::NetworkPeer>(changed),
              byNetwork),
        olderPeers(*client, labelled(options, std::string("!") + api::kNetworkLabel)),
        services(*client, labelled(options, ofTheController())),
        slices(*client, options, api::kNetworkLabel, ofTheController(),
               tellOf<k8s::EndpointSlice>(serviceChanged), byService),
        policies(*client, options, api::kPolicyNamespaceLabel, "",
                 anyChange<api::PodNetworkPolicySlice>(policiesChanged), byNamespace),
        clusterPolicies(*client, toldOfUnknown(options, policiesChanged)),
        ownPeers(*client, where(options, "nodeName", node)),
        blocks(*client, where(options, "spec.nodeName", node)),
        serviceCidrs(*client, options),
        interfaceSets(*client, where(options, "nodeName", node)),
        nodeSets(*client, where(options, "metadata.name", node)),
        nodes(*client, where(options, "metadata.name", node)) {
    add(networks, "PodNetworks", Role::Decides);
    add(pods, "this node's pods", Role::Decides);
    add(serviceCidrs, "ServiceCIDRs", Role::Follows);
    services.addHandler(tellOf<k8s::Service>(serviceChanged));
    // Which networks this node has to do with may depend on them.
    services.addHandler({[changed](const auto&) { changed(); },
                         [changed](const k8s::Service& old, const k8s::Service& now) {
                           if (old.spec != now.spec || old.metadata.labels != now.metadata.labels) {
                             changed();
                           }
                         },
                         [changed](const auto&) { changed(); }, changed});
    byLabel(services);
    add(services, "Services on networks", Role::Follows);
    add(nodeSets, "this node's NodeNetworkSet", Role::Follows);
    add(nodes, "this node", Role::Follows);
    add(ownPeers, "this node's NetworkPeers", Role::WhenJoined);
    add(olderPeers, "NetworkPeers without a label", Role::WhenJoined);
    add(blocks, "this node's IPBlocks", Role::WithPods);
    add(interfaceSets, "this node's PodInterfaceSets", Role::WithPods);
    clusterPolicies.addHandler(anyChange<api::ClusterPodNetworkPolicy>(policiesChanged));
    add(clusterPolicies, "ClusterPodNetworkPolicies", Role::WithPods);
  }

  template <class T>
  void add(kube::Informer<T>& informer, const char* what, Role role) {
    all.push_back({std::string(kube::kindOf<T>().plural), what, role,
                   [&informer] { informer.start(); }, [&informer] { informer.stop(); },
                   [&informer] { return informer.synced(); },
                   [&informer] { return informer.health(); }});
  }

  std::unique_ptr<kube::Client> client;
  std::unique_ptr<kube::Client> reader;  ///< with short deadlines
  kube::Informer<k8s::Pod> pods;
  kube::Informer<api::PodNetwork> networks;
  Scoped<api::PodNetworkAttachment> attachments;  ///< by namespace
  ByLabel<api::NetworkPeer> peers;
  kube::Informer<api::NetworkPeer> olderPeers;  ///< of agents that give them no label yet
  kube::Informer<k8s::Service> services;        ///< of all networks
  ByLabel<k8s::EndpointSlice> slices;
  ByLabel<api::PodNetworkPolicySlice> policies;
  kube::Informer<api::ClusterPodNetworkPolicy> clusterPolicies;
  kube::Informer<api::NetworkPeer> ownPeers;
  kube::Informer<api::IPBlock> blocks;
  kube::Informer<k8s::ServiceCidr> serviceCidrs;
  kube::Informer<api::PodInterfaceSet> interfaceSets;
  kube::Informer<api::NodeNetworkSet> nodeSets;
  kube::Informer<k8s::Node> nodes;
  std::vector<One> all;
  std::set<Role> started;  ///< of the lane

  /// What is started already goes on.
  void startAll(Role role) {
    if (!started.insert(role).second) return;
    for (const One& one : all) {
      if (one.role == role) one.start();
    }
  }
};

class Cluster::View final : public api::Catalog {
 public:
  explicit View(const Cluster& cluster) : cluster_(cluster) {}

  std::optional<api::PodNetwork> network(std::string_view name) const override {
    const Informers* informers = cluster_.informers_.load();
    const auto found =
        informers == nullptr ? nullptr : informers->networks.get({"", std::string(name)});
    return found == nullptr ? std::nullopt : std::optional<api::PodNetwork>(*found);
  }
  std::optional<api::PodNetworkAttachment> attachment(std::string_view namespaceName,
                                                      std::string_view name) const override {
    const Informers* informers = cluster_.informers_.load();
    if (informers == nullptr) return std::nullopt;
    const auto watch = informers->attachments.of(std::string(namespaceName));
    const auto found =
        watch == nullptr ? nullptr : watch->get({std::string(namespaceName), std::string(name)});
    return found == nullptr ? std::nullopt : std::optional<api::PodNetworkAttachment>(*found);
  }
  std::optional<k8s::StringMap> namespaceLabels(std::string_view name) const override {
    return cluster_.namespaces_.labels(std::string(name));
  }

 private:
  const Cluster& cluster_;
};

Cluster::Cluster(ClusterOptions options, const Clock& clock, std::function<void()> changed,
                 OwnChanged own)
    : options_(std::move(options)),
      clock_(clock),
      changed_(std::move(changed)),
      own_(std::move(own)),
      view_(std::make_unique<View>(*this)),
      notConnected_{Code::Unavailable, "NotConnected", "connect to the API server: not tried yet"},
      follow_(lane_, kGather, [this] { followNeeded(); }),
      wanted_(options_.linger),
      wantedPolicies_(options_.linger),
      backoff_(std::chrono::milliseconds(500), std::chrono::seconds(10)),
      namespaces_(options_.namespaces, clock,
                  [this](const std::string& name) { return fetchLabels(name); }),
      lane_("cluster", clock) {
  if (!own_.pod) own_.pod = [](const std::string&) {};
  if (!own_.node) own_.node = [](const std::string&) {};
}

Cluster::~Cluster() {
  stop();
}

void Cluster::start() {
  lane_.post([this] { connect(); });
}

void Cluster::stop() {
  lane_.stop();
  namespaces_.stop();
  if (owned_ == nullptr) return;
  for (const Informers::One& one : owned_->all) one.stop();
  owned_->attachments.follow({});
  owned_->peers.follow({});
  owned_->slices.follow({});
  owned_->policies.follow({});
}

// A pod waits for what these bring: a node that joins before the CRDs are applied must not find
// them half a minute later.
kube::WatchOptions Cluster::watchOptions() {
  kube::WatchOptions options;
  options.backoffMost = std::chrono::seconds(5);
  options.onRevisionWentBack = [this](const std::string& /*before*/, const std::string& /*now*/) {
    options_.storeWentBack();
    lane_.post([this] { lookForOwnPeers(); });
  };
  return options;
}

Result<std::unique_ptr<Cluster::Informers>> Cluster::makeInformers() {
  MULTINET_TRY(kube::Config config, kube::loadKubeconfig(options_.kubeconfig, ""));
  config.userAgent = "multinet-nodeagent";
  kube::ClientOptions options;
  options.observer = options_.observer;
  options.deadline = kWriteDeadline;
  MULTINET_TRY(auto client, kube::connect(config, options));
  options.deadline = kReadDeadline;
  options.maxRetryAfter = kReadRetryAfter;
  MULTINET_TRY(auto reader, kube::connect(config, options));
  const Status fits = kube::requireServer(*reader, {1, api::kOldestMinor}, api::kWhyOldest);
  if (!fits && fits.error().reason == kube::kServerTooOld) return fail(fits.error());
  return std::make_unique<Informers>(std::move(client), std::move(reader), options_.node,
                                     watchOptions(), changed_, options_.serviceChanged,
                                     options_.policiesChanged);
}

void Cluster::connect() {
  auto made = makeInformers();
  if (!made.has_value()) {
    log::warn("no connection to the API server yet", {{"error", made.error()}});
    {
      const std::lock_guard lock(mutex_);
      notConnected_ = Error{Code::Unavailable, "NotConnected", made.error().message};
    }
    lane_.postAfter(backoff_.next(), [this] { connect(); });
    return;
  }
  owned_ = std::move(*made);
  tellChanges();
  tellOwnChanges();
  informers_.store(owned_.get());
  owned_->startAll(Informers::Role::Decides);
  owned_->startAll(Informers::Role::Follows);
  follow_.ask();
  lane_.post([this] { lookForOwnPeers(); });
}

// Most nodes have none, and a watch is a connection. One that has some, by its own word of before,
// must hear of them: they are to be taken back.
void Cluster::lookForOwnPeers() {
  if (owned_->started.contains(Informers::Role::WhenJoined)) return;
  kube::Selection selection;
  selection.fieldSelector = "nodeName=" + options_.node.str();
  const auto found = owned_->reader->list<api::NetworkPeer>(selection);
  noOwnPeers_ = found.has_value() && found->empty();
  if (!noOwnPeers_) return owned_->startAll(Informers::Role::WhenJoined);
  own_.node("");
}

void Cluster::tellChanges() {
  const auto any = [this](const auto&) { changed_(); };
  owned_->pods.addHandler({.added =
                               [this](const k8s::Pod& pod) {
                                 if (!asks(pod)) return;
                                 // Ahead of the call, so that the call finds it known.
                                 needNamespace(pod.metadata.nameSpace, [](const Status&) {});
                                 follow_.ask();
                                 changed_();
                               },
                           .updated =
                               [this](const k8s::Pod& old, const k8s::Pod& now) {
                                 if (!sameRequest(old, now)) changed_();
                               },
                           .deleted = any,
                           .synced = changed_});
  owned_->networks.addHandler(anyChange<api::PodNetwork>(changed_));
  owned_->networks.addHandler(anyChange<api::PodNetwork>(options_.policiesChanged));
  const auto asking = [this](const k8s::Pod& pod) {
    if (asks(pod)) options_.policiesChanged();
  };
  owned_->pods.addHandler({asking,
                           [asking](const k8s::Pod& old, const k8s::Pod& now) {
                             if (old.metadata.labels != now.metadata.labels) asking(now);
                           },
                           {},
                           options_.policiesChanged});
  owned_->blocks.addHandler({.deleted = options_.blockGone});
  owned_->serviceCidrs.addHandler(anyChange<k8s::ServiceCidr>(changed_));
  const auto zone = [this] { options_.serviceChanged("", "", ""); };
  const auto node = [zone](const k8s::Node&) { zone(); };
  owned_->nodes.addHandler({node,
                            [zone](const k8s::Node& old, const k8s::Node& now) {
                              if (k8s::zoneOf(old) != k8s::zoneOf(now)) zone();
                            },
                            node, zone});
}

void Cluster::tellOwnChanges() {
  const auto pod = [this](const k8s::Pod& one) {
    if (asks(one)) own_.pod(one.metadata.uid);
  };
  owned_->pods.addHandler({pod, [pod](const k8s::Pod&, const k8s::Pod& now) { pod(now); }, pod,
                           [this] { own_.pod(""); }});
  const auto set = [this](const api::PodInterfaceSet& one) { own_.pod(one.pod.uid); };
  owned_->interfaceSets.addHandler(
      {set, [set](const api::PodInterfaceSet&, const api::PodInterfaceSet& now) { set(now); }, set,
       [this] { own_.pod(""); }});
  const auto all = [this] { own_.node(""); };
  const auto any = [this](const auto&) { own_.node(""); };
  owned_->nodeSets.addHandler({any, [this](const auto&, const auto&) { own_.node(""); }, any, all});
  // Its heartbeats change nothing here.
  owned_->nodes.addHandler({.added = any, .deleted = any, .synced = all});
  const auto changed = [this](const auto&) { changed_(); };
  owned_->olderPeers.addHandler(
      {changed, [this](const auto&, const auto&) { changed_(); },
       [this](const auto&) { lane_.postAfter(kMoves, [this] { changed_(); }); }, changed_});
  byNetwork(owned_->olderPeers);
  const auto peer = [this](const api::NetworkPeer& one) { own_.node(one.metadata.name); };
  owned_->ownPeers.addHandler(
      {peer, [peer](const api::NetworkPeer&, const api::NetworkPeer& now) { peer(now); }, peer,
       all});
}

Result<kube::Client*> Cluster::client() const {
  if (const Informers* informers = informers_.load()) return informers->client.get();
  const std::lock_guard lock(mutex_);
  return fail(notConnected_);
}

std::vector<WatchAge> Cluster::watches() const {
  std::vector<WatchAge> ages;
  const Informers* informers = informers_.load();
  if (informers == nullptr) return ages;
  const auto now = std::chrono::steady_clock::now();
  const auto addTo = [&](const std::string& resource, const auto& heard) {
    if (!heard) return;
    const auto same = std::ranges::find(ages, resource, &WatchAge::resource);
    if (same == ages.end()) return ages.push_back({resource, now - *heard});
    same->age = std::max(same->age, Duration(now - *heard));
  };
  const auto add = [&](const k8s::Kind& kind, const auto& heard) {
    addTo(std::string(kind.plural), heard);
  };
  for (const Informers::One& one : informers->all) {
    const kube::WatchHealth health = one.health();
    if (!health.kindUnknownSince) addTo(one.resource, health.heardAt);
  }
  add(kube::kindOf<api::PodNetworkAttachment>(), informers->attachments.heardAt());
  add(kube::kindOf<api::NetworkPeer>(), informers->peers.heardAt());
  add(kube::kindOf<k8s::EndpointSlice>(), informers->slices.heardAt());
  add(kube::kindOf<api::PodNetworkPolicySlice>(), informers->policies.heardAt());
  return ages;
}

Status Cluster::synced() const {
  MULTINET_CHECK(client());
  for (const Informers::One& one : informers_.load()->all) {
    if (one.role == Informers::Role::Decides && !one.synced())
      return missing(one.what, one.health());
  }
  return {};
}

Result<std::vector<IpPrefix>> Cluster::servicePrefixes() const {
  MULTINET_CHECK(client());
  const Informers& informers = *informers_.load();
  if (!informers.serviceCidrs.synced()) {
    return missing("ServiceCIDRs", informers.serviceCidrs.health());
  }
  std::vector<IpPrefix> prefixes;
  for (const auto& range : informers.serviceCidrs.list()) {
    for (const std::string& cidr : range->spec.cidrs) {
      if (const auto prefix = IpPrefix::parse(cidr)) prefixes.push_back(*prefix);
    }
  }
  return prefixes;
}

const api::Catalog& Cluster::catalog() const {
  return *view_;
}

std::vector<std::shared_ptr<const k8s::Pod>> Cluster::pods() const {
  const Informers* informers = informers_.load();
  if (informers == nullptr) return {};
  return informers->pods.list();
}

std::vector<std::shared_ptr<const api::PodNetwork>> Cluster::networks() const {
  const Informers* informers = informers_.load();
  if (informers == nullptr) return {};
  return informers->networks.list();
}

void Cluster::followPeers(std::set<std::string> networks) {
  {
    const std::lock_guard lock(mutex_);
    if (peersFor_ == networks) return;
    peersFor_ = std::move(networks);
  }
  follow_.ask();
}

std::optional<Caches::Peers> Cluster::peersOf(const std::string& network) const {
  const Informers* informers = informers_.load();
  const auto watch = informers == nullptr ? nullptr : informers->peers.of(network);
  if (watch == nullptr || !informers->olderPeers.synced()) return std::nullopt;
  Peers all = watch->byIndex(kByNetwork, network);
  for (auto& older : informers->olderPeers.byIndex(kByNetwork, network)) {
    if (watch->get({"", older->metadata.name}) == nullptr) all.push_back(std::move(older));
  }
  return all;
}

Seen<api::PodInterfaceSet> Cluster::interfaceSet(const std::string& namespaceName,
                                                 const std::string& name) const {
  const Informers* informers = informers_.load();
  if (informers == nullptr || !informers->interfaceSets.synced()) return {};
  return {true, informers->interfaceSets.get({namespaceName, name})};
}

Seen<k8s::Pod> Cluster::pod(const std::string& namespaceName, const std::string& name) const {
  const Informers* informers = informers_.load();
  if (informers == nullptr || !informers->pods.synced()) return {};
  return {true, informers->pods.get({namespaceName, name})};
}

Seen<api::NodeNetworkSet> Cluster::nodeSet() const {
  const Informers* informers = informers_.load();
  if (informers == nullptr || !informers->nodeSets.synced()) return {};
  return {true, informers->nodeSets.get({"", options_.node.str()})};
}

Seen<k8s::Node> Cluster::node() const {
  const Informers* informers = informers_.load();
  if (informers == nullptr || !informers->nodes.synced()) return {};
  return {true, informers->nodes.get({"", options_.node.str()})};
}

std::optional<std::string> Cluster::zone() const {
  const Seen<k8s::Node> seen = node();
  if (!seen.known) return std::nullopt;
  return seen.object == nullptr ? "" : k8s::zoneOf(*seen.object);
}

Seen<api::NetworkPeer> Cluster::ownPeer(const std::string& name) const {
  const Informers* informers = informers_.load();
  if (informers == nullptr) return {};
  if (!informers->ownPeers.synced()) return {noOwnPeers_, nullptr};
  return {true, informers->ownPeers.get({"", name})};
}

std::vector<std::string> Cluster::ownPeerNames() const {
  std::vector<std::string> names;
  const Informers* informers = informers_.load();
  if (informers == nullptr) return names;
  const auto peers = informers->ownPeers.list();
  names.reserve(peers.size());
  for (const auto& peer : peers) names.push_back(peer->metadata.name);
  return names;
}

void Cluster::needNamespace(const std::string& name, std::function<void(Status)> done) {
  namespaces_.need(name, std::move(done));
}

Status Cluster::needAttachments(const std::string& namespaceName) {
  MULTINET_CHECK(client());
  const auto watch = informers_.load()->attachments.of(namespaceName);
  if (watch != nullptr && watch->synced()) return {};
  {
    const std::lock_guard lock(mutex_);
    called_.insert(namespaceName);
  }
  follow_.ask();
  const std::string what = "the PodNetworkAttachments of namespace \"" + namespaceName + "\"";
  return missing(what.c_str(), watch == nullptr ? kube::WatchHealth{} : watch->health());
}

std::optional<Caches::PolicySlices> Cluster::policiesOf(const std::string& namespaceName) const {
  const Informers* informers = informers_.load();
  const auto watch = informers == nullptr ? nullptr : informers->policies.of(namespaceName);
  if (watch == nullptr) return std::nullopt;
  return watch->byIndex(kByNamespace, namespaceName);
}

Status Cluster::needPolicies(const std::string& namespaceName) {
  MULTINET_CHECK(client());
  if (policiesOf(namespaceName)) return {};
  {
    const std::lock_guard lock(mutex_);
    policed_.insert(namespaceName);
  }
  follow_.ask();
  const std::string what = "the policies of namespace \"" + namespaceName + "\"";
  return missing(what.c_str(), informers_.load()->policies.health());
}

Result<Caches::ClusterPolicies> Cluster::clusterPolicies() const {
  MULTINET_CHECK(client());
  const auto& policies = informers_.load()->clusterPolicies;
  const kube::WatchHealth health = policies.health();
  const bool isGone =
      health.kindUnknownSince &&
      (!policies.synced() ||
       std::chrono::steady_clock::now() - *health.kindUnknownSince >= kForgetsKinds);
  if (isGone) return ClusterPolicies();
  if (!policies.synced()) return missing("ClusterPodNetworkPolicies", health);
  return policies.list();
}

Caches::Heard Cluster::heard() const {
  Heard heard;
  std::optional<Duration> ofCluster;
  for (const WatchAge& one : watches()) {
    heard.anything = heard.anything ? std::min(*heard.anything, one.age) : one.age;
    if (one.resource == kube::kindOf<api::PodNetworkPolicySlice>().plural) heard.policies = one.age;
    if (one.resource == kube::kindOf<api::ClusterPodNetworkPolicy>().plural) ofCluster = one.age;
  }
  const Informers* informers = informers_.load();
  const auto health =
      informers == nullptr ? kube::WatchHealth{} : informers->clusterPolicies.health();
  // Of one that was asked for and isn't answered nobody knows what was made since.
  const bool isUnheard = !ofCluster && !health.kindUnknownSince && health.failures > 0;
  if (isUnheard) heard.policies.reset();
  if (heard.policies && ofCluster) heard.policies = std::max(*heard.policies, *ofCluster);
  return heard;
}

void Cluster::followNeeded() {
  if (owned_ == nullptr) return;  // it is done when they are there
  std::set<std::string> wanted;
  std::set<std::string> policed;
  std::set<std::string> peersFor;
  std::optional<std::set<std::string>> servicesFor;
  {
    const std::lock_guard lock(mutex_);
    wanted.swap(called_);
    policed.swap(policed_);
    peersFor = peersFor_;
    servicesFor = servicesFor_;
  }
  for (const auto& pod : pods()) {
    const std::string* text = pod->metadata.annotation(api::kNetworksAnnotation);
    if (text == nullptr || pod->finished()) continue;
    policed.insert(pod->metadata.nameSpace);
    if (api::asksByAttachment(*text)) wanted.insert(pod->metadata.nameSpace);
  }
  // Most nodes of a cluster may never have such a pod; one that had will have others.
  if (!policed.empty()) owned_->startAll(Informers::Role::WithPods);
  if (!peersFor.empty()) owned_->startAll(Informers::Role::WhenJoined);
  owned_->peers.follow(peersFor);
  if (servicesFor) followNeededServices(*servicesFor);
  const BootTime now = clock_.now();
  owned_->attachments.follow(wanted_.update(wanted, now));
  owned_->policies.follow(wantedPolicies_.update(policed, now));
  lookAgain();
}

/// When what lingers ends.
void Cluster::lookAgain() {
  auto next = wanted_.next();
  if (const auto other = wantedPolicies_.next()) next = next ? std::min(*next, *other) : other;
  if (!next || std::exchange(lookComes_, true)) return;
  lane_.postAfter(*next - clock_.now(), [this] {
    lookComes_ = false;
    followNeeded();
  });
}

void Cluster::followServices(std::set<std::string> networks) {
  {
    const std::lock_guard lock(mutex_);
    if (servicesFor_ == networks) return;
    servicesFor_ = std::move(networks);
  }
  follow_.ask();
}

void Cluster::followNeededServices(const std::set<std::string>& networks) {
  owned_->slices.follow(networks);
  {
    const std::lock_guard lock(mutex_);
    if (servicesFollowed_ == networks) return;
    servicesFollowed_ = networks;
  }
  options_.serviceChanged("", "", "");
}

std::optional<std::set<std::string>> Cluster::servicesFollowed() const {
  const std::lock_guard lock(mutex_);
  return servicesFollowed_;
}

std::optional<std::vector<std::shared_ptr<const k8s::Service>>> Cluster::allServices() const {
  const Informers* informers = informers_.load();
  if (informers == nullptr || !informers->services.synced()) return std::nullopt;
  return informers->services.list();
}

std::optional<std::vector<Caches::Service>> Cluster::servicesOf(const std::string& network) const {
  const Informers* informers = informers_.load();
  const auto slices = Informers::slicesOn(informers, network);
  if (slices == nullptr) return std::nullopt;
  std::map<std::pair<std::string, std::string>, Service> found;
  for (auto& one : informers->services.byIndex(kByNetwork, network)) {
    const auto& metadata = one->metadata;
    found[{metadata.nameSpace, metadata.name}].service = one;
  }
  for (auto& slice : slices->byIndex(kByNetwork, network)) {
    const auto service = found.find({slice->metadata.nameSpace, serviceNameOf(*slice)});
    if (service != found.end()) service->second.slices.push_back(slice);
  }
  std::vector<Service> all;
  all.reserve(found.size());
  for (auto& [name, service] : found) all.push_back(std::move(service));
  return all;
}

std::optional<Caches::Service> Cluster::serviceOf(const std::string& network,
                                                  const std::string& namespaceName,
                                                  const std::string& name) const {
  const Informers* informers = informers_.load();
  const auto slices = Informers::slicesOn(informers, network);
  if (slices == nullptr) return std::nullopt;
  Service found{informers->services.get({namespaceName, name}), {}};
  found.slices = slices->byIndex(kByService, namespaceName + "/" + name);
  return found;
}

Result<k8s::StringMap> Cluster::fetchLabels(const std::string& name) const {
  MULTINET_CHECK(client());
  auto object = informers_.load()->reader->get<k8s::Namespace>({"", name});
  if (object.has_value()) return *object->metadata.labels;
  const Error& error = object.error();
  return fail(error.transient() ? Code::Unavailable : error.code, "NamespaceNotRead",
              "read namespace \"" + name + "\": " + error.message);
}

}  // namespace multinet::agent::watch
