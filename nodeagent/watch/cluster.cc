#include "nodeagent/watch/cluster.h"

#include <utility>

#include "lib/api/names.h"
#include "lib/base/log.h"
#include "lib/kube/informer.h"

namespace multinet::agent::watch {
namespace {

// A pod waits for what these bring: a node that joins before the CRDs are applied must not find
// them half a minute later.
kube::WatchOptions watchOptions() {
  kube::WatchOptions options;
  options.backoffMost = std::chrono::seconds(5);
  return options;
}

kube::WatchOptions ofNode(const NodeName& node) {
  kube::WatchOptions options = watchOptions();
  options.selection.fieldSelector = "spec.nodeName=" + node.str();
  return options;
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

}  // namespace

struct Cluster::Informers {
  Informers(std::unique_ptr<kube::Client> made, const NodeName& node)
      : client(std::move(made)),
        pods(*client, ofNode(node)),
        networks(*client, watchOptions()),
        attachments(*client, watchOptions()),
        peers(*client, watchOptions()),
        blocks(*client, ofNode(node)),
        serviceCidrs(*client, watchOptions()) {}

  std::unique_ptr<kube::Client> client;
  kube::Informer<k8s::Pod> pods;
  kube::Informer<api::PodNetwork> networks;
  kube::Informer<api::PodNetworkAttachment> attachments;
  kube::Informer<api::NetworkPeer> peers;
  kube::Informer<api::IPBlock> blocks;
  kube::Informer<k8s::ServiceCidr> serviceCidrs;
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
    const auto found =
        informers == nullptr
            ? nullptr
            : informers->attachments.get({std::string(namespaceName), std::string(name)});
    return found == nullptr ? std::nullopt : std::optional<api::PodNetworkAttachment>(*found);
  }
  std::optional<k8s::StringMap> namespaceLabels(std::string_view name) const override {
    auto found = cluster_.known(std::string(name));
    if (!found.has_value()) return std::nullopt;
    return std::move(found->labels);
  }

 private:
  const Cluster& cluster_;
};

Cluster::Cluster(ClusterOptions options, const Clock& clock, std::function<void()> changed)
    : options_(std::move(options)),
      clock_(clock),
      changed_(std::move(changed)),
      view_(std::make_unique<View>(*this)),
      notConnected_{Code::Unavailable, "NotConnected", "connect to the API server: not tried yet"},
      backoff_(std::chrono::milliseconds(500), std::chrono::seconds(10)),
      lane_("cluster") {}

Cluster::~Cluster() {
  stop();
}

void Cluster::start() {
  lane_.post([this] { connect(); });
}

void Cluster::stop() {
  lane_.stop();
  if (owned_ == nullptr) return;
  owned_->pods.stop();
  owned_->networks.stop();
  owned_->attachments.stop();
  owned_->peers.stop();
  owned_->blocks.stop();
  owned_->serviceCidrs.stop();
}

void Cluster::connect() {
  const auto config = kube::loadKubeconfig(options_.kubeconfig, "");
  Result<std::unique_ptr<kube::Client>> client =
      config.has_value() ? kube::connect(*config) : fail(config.error());
  if (!client.has_value()) {
    log::warn("no connection to the API server yet", {{"error", client.error()}});
    {
      const std::lock_guard lock(mutex_);
      notConnected_ = Error{Code::Unavailable, "NotConnected", client.error().message};
    }
    lane_.postAfter(backoff_.next(), [this] { connect(); });
    return;
  }
  owned_ = std::make_unique<Informers>(std::move(*client), options_.node);
  const auto anyChange = [this](const auto&) { changed_(); };
  const auto anyUpdate = [this](const auto&, const auto&) { changed_(); };
  owned_->pods.addHandler({.added =
                               [this](const k8s::Pod& pod) {
                                 if (pod.metadata.annotation(api::kNetworksAnnotation) == nullptr) {
                                   return;
                                 }
                                 // Ahead of the call, so that the call finds it known.
                                 needNamespace(pod.metadata.nameSpace, [](const Status&) {});
                                 changed_();
                               },
                           .updated =
                               [this](const k8s::Pod& old, const k8s::Pod& now) {
                                 if (!sameRequest(old, now)) changed_();
                               },
                           .deleted = anyChange,
                           .synced = changed_});
  owned_->networks.addHandler({anyChange, anyUpdate, anyChange, changed_});
  owned_->attachments.addHandler({anyChange, anyUpdate, anyChange, changed_});
  owned_->peers.addHandler({anyChange, anyUpdate, anyChange, changed_});
  owned_->serviceCidrs.addHandler({anyChange, anyUpdate, anyChange, changed_});
  owned_->blocks.addHandler({.deleted = options_.blockGone});
  informers_.store(owned_.get());
  owned_->networks.start();
  owned_->attachments.start();
  owned_->peers.start();
  owned_->blocks.start();
  owned_->serviceCidrs.start();
  owned_->pods.start();
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
  const auto add = [&](const k8s::Kind& kind, const kube::WatchHealth& health) {
    if (health.heardAt) ages.push_back({std::string(kind.plural), now - *health.heardAt});
  };
  add(kube::kindOf<k8s::Pod>(), informers->pods.health());
  add(kube::kindOf<api::PodNetwork>(), informers->networks.health());
  add(kube::kindOf<api::PodNetworkAttachment>(), informers->attachments.health());
  add(kube::kindOf<api::NetworkPeer>(), informers->peers.health());
  add(kube::kindOf<api::IPBlock>(), informers->blocks.health());
  return ages;
}

Status Cluster::synced() const {
  MULTINET_CHECK(client());
  const Informers& informers = *informers_.load();
  if (!informers.networks.synced()) return missing("PodNetworks", informers.networks.health());
  if (!informers.attachments.synced()) {
    return missing("PodNetworkAttachments", informers.attachments.health());
  }
  // Without them a start would empty the flood lists of tunnels that carry traffic.
  if (!informers.peers.synced()) return missing("NetworkPeers", informers.peers.health());
  if (!informers.pods.synced()) return missing("this node's pods", informers.pods.health());
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

std::vector<std::shared_ptr<const api::NetworkPeer>> Cluster::peers() const {
  const Informers* informers = informers_.load();
  if (informers == nullptr) return {};
  return informers->peers.list();
}

std::optional<Cluster::KnownNamespace> Cluster::known(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto at = namespaces_.find(name);
  if (at == namespaces_.end()) return std::nullopt;
  return at->second;
}

void Cluster::needNamespace(const std::string& name, std::function<void(Status)> done) {
  const auto found = known(name);
  if (found.has_value() && clock_.now() - found->fetched < options_.namespaceFresh) {
    return done({});
  }
  if (!lane_.post([this, name, done] { fetchNamespace(name, done); })) {
    done(fail(Code::Unavailable, "Stopping", "read namespace: the agent is stopping"));
  }
}

void Cluster::fetchNamespace(const std::string& name, const std::function<void(Status)>& done) {
  const auto found = known(name);
  if (found.has_value() && clock_.now() - found->fetched < options_.namespaceFresh) {
    return done({});
  }
  auto connected = client();
  Result<k8s::Namespace> object = connected.has_value()
                                      ? (*connected)->get<k8s::Namespace>({"", name})
                                      : fail(connected.error());
  if (object.has_value()) {
    {
      const std::lock_guard lock(mutex_);
      namespaces_.insert_or_assign(name, KnownNamespace{object->metadata.labels, clock_.now()});
    }
    return done({});
  }
  if (found.has_value() && object.error().transient()) return done({});
  done(fail(Error{object.error().transient() ? Code::Unavailable : object.error().code,
                  "NamespaceNotRead",
                  "read namespace \"" + name + "\": " + object.error().message}));
}

}  // namespace multinet::agent::watch
