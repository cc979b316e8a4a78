#include "nodeagent/feeder.h"

#include <map>
#include <set>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/request.h"
#include "nodeagent/networks/desired.h"
#include "nodeagent/resolve/had.h"
#include "nodeagent/resolve/resolver.h"

namespace multinet::agent {
namespace {

// A burst of events (a whole list, at start) is one change.
constexpr std::chrono::milliseconds kGather(50);

std::string networkOf(const api::RequestItem& item, const std::string& namespaceName,
                      const api::Catalog& catalog) {
  if (item.kind == api::RequestKind::Network) return item.name;
  const auto attachment = catalog.attachment(namespaceName, item.name);
  return attachment ? attachment->spec.podNetworkName : "";
}

/// By pods that have not ended.
std::set<NetworkUid> hadHere(const watch::Caches& caches) {
  std::set<NetworkUid> had;
  for (const auto& pod : caches.pods()) {
    if (!pod->metadata.deleting()) had.merge(resolve::hadBy(*pod));
  }
  return had;
}

}  // namespace

std::vector<addresses::Pool> wantedPools(const watch::Caches& caches) {
  std::map<std::string, addresses::Pool> pools;
  for (const auto& pod : caches.pods()) {
    const std::string* text = pod->metadata.annotation(api::kNetworksAnnotation);
    // One that has ended gets no new sandbox.
    if (text == nullptr || pod->metadata.deleting() || pod->finished()) continue;
    const auto request = api::parseRequest(*text);
    if (!request) continue;
    const std::set<NetworkUid> had = resolve::hadBy(*pod);
    for (const api::RequestItem& item : request->items) {
      const std::string name = networkOf(item, pod->metadata.nameSpace, caches.catalog());
      if (name.empty() || pools.contains(name)) continue;
      const auto network = caches.catalog().network(name);
      if (!network) continue;
      if (!network->isReady() && !had.contains(NetworkUid(network->metadata.uid))) continue;
      addresses::Pool pool;
      pool.network = NetworkName(name);
      pool.uid = NetworkUid(network->metadata.uid);
      pool.subnets = resolve::subnetsOf(*network);
      pools.emplace(name, std::move(pool));
    }
  }
  std::vector<addresses::Pool> out;
  out.reserve(pools.size());
  for (auto& [name, pool] : pools) out.push_back(std::move(pool));
  return out;
}

Feeder::Feeder(const watch::Caches& caches, Serve serve, addresses::Addresses& addresses,
               NodeName node, std::vector<IpPrefix> clusterPrefixes, const Clock& clock)
    : caches_(caches),
      serve_(std::move(serve)),
      addresses_(addresses),
      node_(std::move(node)),
      clusterPrefixes_(std::move(clusterPrefixes)),
      lane_("feeder", clock) {}

void Feeder::changed() {
  if (waiting_.exchange(true)) return;
  lane_.postAfter(kGather, [this] {
    waiting_ = false;
    feed();
  });
}

void Feeder::feed() {
  // Half a picture would take away the bridges of networks that weren't listed yet.
  if (!caches_.synced()) return;
  std::vector<IpPrefix> ranges = clusterPrefixes_;
  // Told with the rest of what synced() waits for; else the pods' and nodes' alone are known.
  if (const auto services = caches_.servicePrefixes()) {
    ranges.insert(ranges.end(), services->begin(), services->end());
  }
  const auto peers = caches_.peers();
  const auto all = caches_.networks();
  auto desired = networks::desiredNetworks(all, networks::PeersByNetwork(peers), node_, ranges);
  networks::returnTo(desired, hadHere(caches_));
  serve_(std::move(desired));
  std::set<NetworkUid> existing;
  for (const auto& network : all) existing.emplace(network->metadata.uid);
  addresses_.setNetworks(std::move(existing));
  addresses_.setWanted(wantedPools(caches_));
}

}  // namespace multinet::agent
