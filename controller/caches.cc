#include "controller/caches.h"

namespace multinet::controller {

template <class Self, class Use>
void Caches::each(Self& self, const Use& use) {
  use("podnetworks", self.networks_);
  use("podnetworkattachments", self.attachments_);
  use("networkidentifiers", self.identifiers_);
  use("pods", self.pods_);
  use("podinterfacesets", self.sets_);
  use("nodenetworksets", self.nodeSets_);
  use("networkpeers", self.peers_);
  use("ipblocks", self.blocks_);
  use("nodes", self.nodes_);
  use("namespaces", self.namespaces_);
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
  each(*this, [&]<class T>(const char* /*name*/, kube::Informer<T>& informer) {
    informer.addHandler({.added = [changed](const T&) { changed(); },
                         .updated = [changed](const T&, const T&) { changed(); },
                         .deleted = [changed](const T&) { changed(); }});
  });
}

void Caches::start() {
  each(*this, [](const char* /*name*/, auto& informer) { informer.start(); });
}

void Caches::stop() {
  each(*this, [](const char* /*name*/, auto& informer) { informer.stop(); });
}

Status Caches::synced() const {
  return ready(Duration::max());
}

Status Caches::ready(Duration oldest) const {
  Status status;
  each(*this, [&](const char* /*name*/, const auto& informer) {
    if (status) status = informer.ready(oldest);
  });
  return status;
}

std::map<std::string, Duration> Caches::ages() const {
  std::map<std::string, Duration> ages;
  const auto now = std::chrono::steady_clock::now();
  each(*this, [&](const char* name, const auto& informer) {
    if (const auto heard = informer.health().heardAt) ages[name] = now - *heard;
  });
  return ages;
}

Observed Caches::observe() const {
  return {networks_.list(), attachments_.list(), identifiers_.list(), pods_.list(),
          sets_.list(),     nodeSets_.list(),    peers_.list(),       blocks_.list(),
          nodes_.list(),    namespaces_.list()};
}

}  // namespace multinet::controller
