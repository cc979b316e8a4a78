// The API server as this node sees it, with the kubelet's own credentials.
//
// Nothing here holds up a start: a kubeconfig that isn't there yet (first boot) or an API server
// that is away are the same, and are tried again.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "lib/api/reservations.h"
#include "lib/async/backoff.h"
#include "lib/async/lane.h"
#include "lib/base/ids.h"
#include "lib/kube/client.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::watch {

struct ClusterOptions {
  std::string kubeconfig;
  NodeName node;
  /// Labels of a namespace older than this are fetched again before they decide.
  Duration namespaceFresh = std::chrono::seconds(30);
  /// Hears of blocks of this node's that are gone, on a thread of the watch; must not block.
  std::function<void(const api::IPBlock&)> blockGone = [](const api::IPBlock&) {};
};

/// How long ago the API server last said something about a resource.
struct WatchAge {
  std::string resource;  ///< `podnetworks`
  Duration age{};
};

class Cluster final : public Caches {
 public:
  /// `changed` is called on threads of the watches after each change; it must not block. `clock`
  /// outlives it.
  Cluster(ClusterOptions options, const Clock& clock, std::function<void()> changed);
  ~Cluster() override;

  /// Returns at once.
  void start();
  /// Ends the watches: `changed` isn't called any more.
  void stop();

  /// Unavailable, with the reason, until the kubeconfig could be read.
  [[nodiscard]] Result<kube::Client*> client() const;

  /// Of those that have heard something.
  [[nodiscard]] std::vector<WatchAge> watches() const;

  [[nodiscard]] Status synced() const override;
  [[nodiscard]] const api::Catalog& catalog() const override;
  [[nodiscard]] std::vector<std::shared_ptr<const k8s::Pod>> pods() const override;
  [[nodiscard]] std::vector<std::shared_ptr<const api::PodNetwork>> networks() const override;
  [[nodiscard]] std::vector<std::shared_ptr<const api::NetworkPeer>> peers() const override;
  [[nodiscard]] Result<std::vector<IpPrefix>> servicePrefixes() const override;
  void needNamespace(const std::string& name, std::function<void(Status)> done) override;

 private:
  struct Informers;
  class View;
  struct KnownNamespace {
    k8s::StringMap labels;
    BootTime fetched;
  };

  void connect();
  void fetchNamespace(const std::string& name, const std::function<void(Status)>& done);
  [[nodiscard]] std::optional<KnownNamespace> known(const std::string& name) const;

  const ClusterOptions options_;
  const Clock& clock_;
  std::function<void()> changed_;
  std::unique_ptr<View> view_;

  mutable std::mutex mutex_;  // of the next two
  Error notConnected_;
  std::map<std::string, KnownNamespace, std::less<>> namespaces_;

  std::unique_ptr<Informers> owned_;             // made once, on the lane
  std::atomic<Informers*> informers_ = nullptr;  // owned_, once it can be used
  async::Backoff backoff_;
  async::Lane lane_;
};

}  // namespace multinet::agent::watch
