#include "nodeagent/feeder.h"

#include <algorithm>
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

Feeder::Feeder(watch::Caches& caches, Serve serve, addresses::Addresses& addresses,
               Demands::Used used, const Clock& clock, FeederOptions options)
    : caches_(caches),
      serve_(std::move(serve)),
      addresses_(addresses),
      clock_(clock),
      options_(std::move(options)),
      begin_(clock.now()),
      demands_(std::move(used), options_.linger, clock),
      gather_(lane_, kGather, [this] { feed(); }),
      lane_("feeder", clock) {}

void Feeder::want(const NetworkUid& network) {
  if (demands_.call(network)) changed();
}

void Feeder::lookAt(BootTime when) {
  if (lookAt_ && *lookAt_ <= when) return;
  lookAt_ = when;
  lane_.postAfter(std::max(Duration{}, Duration(when - clock_.now())), [this, when] {
    if (lookAt_ != when) return;  // an earlier one came in between
    lookAt_.reset();
    feed();
  });
}

bool Feeder::waitsForPeers(const std::set<std::string>& tunnels) const {
  if (served_ || clock_.now() >= begin_ + options_.peersPatience) return false;
  return std::ranges::any_of(tunnels, [this](const auto& name) { return !caches_.peersOf(name); });
}

void Feeder::feed() {
  // Half a picture would take away the bridges of networks that weren't listed yet.
  if (!caches_.synced()) return;
  const auto all = caches_.networks();
  demands_.update(caches_);
  if (const auto next = demands_.next()) lookAt(*next);
  std::set<std::string> joined;
  std::set<std::string> tunnels;
  for (const auto& network : all) {
    if (!demands_.needsPeers(NetworkUid(network->metadata.uid))) continue;
    joined.insert(network->metadata.name);
    if (network->spec.type == api::NetworkType::Vxlan) tunnels.insert(network->metadata.name);
  }
  caches_.followPeers(tunnels);
  caches_.followServices(std::move(joined));
  if (waitsForPeers(tunnels)) return lookAt(begin_ + options_.peersPatience);
  served_ = true;
  std::vector<IpPrefix> ranges = options_.clusterPrefixes;
  // Told with the rest of what synced() waits for; else the pods' and nodes' alone are known.
  if (const auto services = caches_.servicePrefixes()) {
    ranges.insert(ranges.end(), services->begin(), services->end());
  }
  auto desired = networks::desiredNetworks(
      all, [this](const std::string& network) { return caches_.peersOf(network); }, options_.node,
      ranges);
  for (networks::DesiredNetwork& one : desired) one.demand = demands_.of(one.uid);
  networks::returnTo(desired, hadHere(caches_));
  serve_(std::move(desired));
  std::set<NetworkUid> existing;
  for (const auto& network : all) existing.emplace(network->metadata.uid);
  addresses_.setNetworks(std::move(existing));
  addresses_.setWanted(wantedPools(caches_));
}

}  // namespace multinet::agent
