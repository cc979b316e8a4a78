// The API server as this node sees it, with the kubelet's own credentials.
//
// Nothing here holds up a start: a kubeconfig that isn't there yet (first boot) or an API server
// that is away are the same, and are tried again.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "lib/api/reservations.h"
#include "lib/async/backoff.h"
#include "lib/async/gather.h"
#include "lib/async/lane.h"
#include "lib/base/ids.h"
#include "lib/kube/client.h"
#include "lib/kube/watch.h"
#include "nodeagent/watch/caches.h"
#include "nodeagent/watch/lingering.h"
#include "nodeagent/watch/namespaces.h"
#include "nodeagent/watch/own_objects.h"

namespace multinet::agent::watch {

struct ClusterOptions {
  std::string kubeconfig;
  NodeName node;
  NamespaceOptions namespaces{};
  /// A namespace's attachments are followed so long after the last pod here that asked for one, its
  /// policies after the last that asked for networks.
  Duration linger = std::chrono::minutes(5);
  /// Of every call to the API server; any thread.
  kube::CallObserver observer{};
  /// Hears of blocks of this node's that are gone, on a thread of the watch; must not block.
  std::function<void(const api::IPBlock&)> blockGone = [](const api::IPBlock&) {};
  /// Hears, likewise, that this service on a network changed, or one of its slices; with empty
  /// names, that any may have, or what they are seen by: this node's zone.
  std::function<void(const std::string& network, const std::string& namespaceName,
                     const std::string& name)>
      serviceChanged = [](const auto&, const auto&, const auto&) {};
  /// Hears, likewise, that what policies say of this node's pods may have changed: the policies,
  /// the pods' labels, the networks' defaults.
  std::function<void()> policiesChanged = [] {};
  /// Hears, likewise, that the API server's store was put back to an earlier state, before what
  /// that changes is told; from several watches.
  std::function<void()> storeWentBack = [] {};
};

/// How long ago the API server last said something about a resource.
struct WatchAge {
  std::string resource;  ///< `podnetworks`
  Duration age{};
};

class Cluster final : public Caches, public OwnObjects {
 public:
  /// `changed` is called on threads of the watches after each change of what Caches shows, as `own`
  /// is of what OwnObjects shows; they must not block. `clock` outlives it.
  Cluster(ClusterOptions options, const Clock& clock, std::function<void()> changed,
          OwnChanged own = {});
  ~Cluster() override;
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// Returns at once.
  void start();
  /// Ends the watches: `changed` isn't called any more.
  void stop();

  /// Unavailable, with the reason, until the kubeconfig could be read.
  [[nodiscard]] Result<kube::Client*> client() const;

  /// Of all that have heard something.
  [[nodiscard]] std::vector<WatchAge> watches() const;

  [[nodiscard]] Status synced() const override;
  [[nodiscard]] const api::Catalog& catalog() const override;
  [[nodiscard]] std::vector<std::shared_ptr<const k8s::Pod>> pods() const override;
  [[nodiscard]] std::vector<std::shared_ptr<const api::PodNetwork>> networks() const override;
  void followPeers(std::set<std::string> networks) override;
  [[nodiscard]] std::optional<Peers> peersOf(const std::string& network) const override;
  void followServices(std::set<std::string> networks) override;
  [[nodiscard]] std::optional<std::set<std::string>> servicesFollowed() const override;
  [[nodiscard]] std::optional<std::vector<std::shared_ptr<const k8s::Service>>> allServices()
      const override;
  [[nodiscard]] std::optional<std::vector<Service>> servicesOf(
      const std::string& network) const override;
  [[nodiscard]] std::optional<Service> serviceOf(const std::string& network,
                                                 const std::string& namespaceName,
                                                 const std::string& name) const override;
  [[nodiscard]] std::optional<std::string> zone() const override;
  [[nodiscard]] Result<std::vector<IpPrefix>> servicePrefixes() const override;
  void needNamespace(const std::string& name, std::function<void(Status)> done) override;
  [[nodiscard]] Status needAttachments(const std::string& namespaceName) override;
  [[nodiscard]] std::optional<PolicySlices> policiesOf(
      const std::string& namespaceName) const override;
  [[nodiscard]] Status needPolicies(const std::string& namespaceName) override;
  [[nodiscard]] Result<ClusterPolicies> clusterPolicies() const override;
  [[nodiscard]] Heard heard() const override;

  [[nodiscard]] Seen<api::PodInterfaceSet> interfaceSet(const std::string& namespaceName,
                                                        const std::string& name) const override;
  [[nodiscard]] Seen<k8s::Pod> pod(const std::string& namespaceName,
                                   const std::string& name) const override;
  [[nodiscard]] Seen<api::NodeNetworkSet> nodeSet() const override;
  [[nodiscard]] Seen<k8s::Node> node() const override;
  [[nodiscard]] Seen<api::NetworkPeer> ownPeer(const std::string& name) const override;
  [[nodiscard]] std::vector<std::string> ownPeerNames() const override;

 private:
  struct Informers;
  class View;

  void connect();
  [[nodiscard]] Result<std::unique_ptr<Informers>> makeInformers();
  [[nodiscard]] kube::WatchOptions watchOptions();
  void tellChanges();
  void tellOwnChanges();
  void followNeeded();
  void lookAgain();
  void followNeededServices(const std::set<std::string>& networks);
  void lookForOwnPeers();
  [[nodiscard]] Result<k8s::StringMap> fetchLabels(const std::string& name) const;

  const ClusterOptions options_;
  const Clock& clock_;
  std::function<void()> changed_;
  OwnChanged own_;
  std::unique_ptr<View> view_;

  mutable std::mutex mutex_;  // of the next six
  Error notConnected_;
  std::set<std::string> called_;    ///< namespaces whose attachments were asked for
  std::set<std::string> policed_;   ///< whose policies were
  std::set<std::string> peersFor_;  ///< networks
  std::optional<std::set<std::string>> servicesFor_;       ///< networks, as was asked
  std::optional<std::set<std::string>> servicesFollowed_;  ///< and as it is done

  std::unique_ptr<Informers> owned_;             // made once, on the lane
  std::atomic<Informers*> informers_ = nullptr;  // owned_, once it can be used
  async::Gather follow_;                         // looks at what to follow
  std::atomic<bool> noOwnPeers_{false};          // none was there, and none is followed yet
  Lingering wanted_;                             // the lane's, as the next two: namespaces
  Lingering wantedPolicies_;                     // likewise
  bool lookComes_ = false;                       // a timer runs for what ends
  async::Backoff backoff_;
  Namespaces namespaces_;
  async::Lane lane_;
};

}  // namespace multinet::agent::watch
