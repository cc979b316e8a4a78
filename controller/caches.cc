#include "controller/caches.h"

namespace multinet::controller {

template <class Use>
void Caches::each(const Use& use) {
  use("podnetworks", networks_);
  use("podnetworkattachments", attachments_);
  use("networkidentifiers", identifiers_);
  use("pods", pods_);
  use("podinterfacesets", sets_);
  use("nodenetworksets", nodeSets_);
  use("networkpeers", peers_);
  use("ipblocks", blocks_);
  use("nodes", nodes_);
  use("namespaces", namespaces_);
}

Caches::Caches(kube::Client& client, const std::function<void()>& changed)
    : networks_(client, {}),
      attachments_(client, {}),
      identifiers_(client, {}),
      pods_(client, {}),
      sets_(client, {}),
      nodeSets_(client, {}),
      peers_(client, {}),
      blocks_(client, {}),
      nodes_(client, {}),
      namespaces_(client, {}) {
  each([&]<class T>(const char* /*name*/, kube::Informer<T>& informer) {
    informer.addHandler({.added = [changed](const T&) { changed(); },
                         .updated = [changed](const T&, const T&) { changed(); },
                         .deleted = [changed](const T&) { changed(); }});
  });
}

void Caches::start() {
  each([](const char* /*name*/, auto& informer) { informer.start(); });
}

void Caches::stop() {
  each([](const char* /*name*/, auto& informer) { informer.stop(); });
}

Status Caches::synced() const {
  Status status;
  // `each` hands out references that can be changed; asking changes nothing.
  const_cast<Caches*>(this)->each([&](const char* name, const auto& informer) {
    if (!status.has_value() || informer.synced()) return;
    status = fail(Code::Unavailable, "NotSynced",
                  "read " + std::string(name) + ": " +
                      (informer.health().lastError.empty() ? "the first list is under way"
                                                           : informer.health().lastError));
  });
  return status;
}

Observed Caches::observe() const {
  return {networks_.list(), attachments_.list(), identifiers_.list(), pods_.list(),
          sets_.list(),     nodeSets_.list(),    peers_.list(),       blocks_.list(),
          nodes_.list(),    namespaces_.list()};
}

}  // namespace multinet::controller
