#include "nodeagent/demand.h"

#include <algorithm>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/request.h"
#include "lib/api/resolve.h"
#include "nodeagent/gateway/keeper.h"

namespace multinet::agent {
namespace {

/// By then its pod was seen.
constexpr std::chrono::minutes kCallCounts(1);
/// While the journal can't be compared, the runtime being away.
constexpr std::chrono::seconds kLookAgain(2);

std::string networkNameOf(const api::RequestItem& item, const std::string& namespaceName,
                          const api::Catalog& catalog) {
  if (item.kind == api::RequestKind::Network) return item.name;
  const auto attachment = catalog.attachment(namespaceName, item.name);
  return attachment ? attachment->spec.podNetworkName : "";
}

/// By name, as they are now.
void addRequested(const k8s::Pod& pod, const std::string& text, const api::Catalog& catalog,
                  std::set<NetworkUid>& wanted) {
  const auto request = api::parseRequest(text);
  if (!request) return;  // refused elsewhere
  for (const api::RequestItem& item : request->items) {
    const std::string name = networkNameOf(item, pod.metadata.nameSpace, catalog);
    const auto network = name.empty() ? std::nullopt : catalog.network(name);
    if (network) wanted.insert(NetworkUid(network->metadata.uid));
  }
}

}  // namespace

std::set<NetworkUid> wantedByPods(const watch::Caches& caches) {
  std::set<NetworkUid> wanted;
  for (const auto& pod : caches.pods()) {
    const std::string* text = pod->metadata.annotation(api::kNetworksAnnotation);
    if (text == nullptr || pod->finished()) continue;
    const std::string* admitted = pod->metadata.annotation(api::kResolvedAnnotation);
    const auto resolved =
        admitted == nullptr ? std::nullopt : std::optional(api::parseResolved(*admitted));
    if (!resolved || !*resolved) {
      addRequested(*pod, *text, caches.catalog(), wanted);
      continue;
    }
    for (const api::ResolvedReference& one : **resolved) wanted.insert(one.networkUid);
  }
  return wanted;
}

std::set<NetworkUid> wantedByServices(const watch::Caches& caches) {
  std::set<NetworkUid> wanted;
  for (const std::string& name : gateway::networksWithOpenServices(caches)) {
    const auto network = caches.catalog().network(name);
    if (network && !network->metadata.deleting()) wanted.emplace(network->metadata.uid);
  }
  return wanted;
}

UsedHere usedBy(const sandbox::Snapshot& sandboxes) {
  UsedHere used;
  used.complete = sandboxes.recovered;
  for (const auto& [doubt, count] : sandboxes.doubts) {
    used.complete = used.complete && (count == 0 || doubt == journal::Doubt::NoLinks);
  }
  for (const auto& [id, view] : sandboxes.sandboxes) {
    for (const InterfaceStatus& interface : *view.interfaces) {
      used.networks.insert(interface.plan.networkUid);
    }
  }
  used.networks.erase(NetworkUid(""));
  return used;
}

Demands::Demands(Used used, Duration linger, const Clock& clock)
    : used_(std::move(used)),
      clock_(clock),
      certainFrom_(clock.now() + linger),
      lingering_(linger) {}

bool Demands::call(const NetworkUid& network) {
  const BootTime now = clock_.now();
  const std::lock_guard lock(mutex_);
  const auto [call, isNew] = calls_.try_emplace(network, now + kCallCounts);
  if (isNew) return true;
  const bool isNews = call->second <= now;
  call->second = now + kCallCounts;
  return isNews;
}

std::set<NetworkUid> Demands::takeCalls(BootTime now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(calls_, [now](const auto& call) { return call.second <= now; });
  std::set<NetworkUid> networks;
  for (const auto& [network, until] : calls_) networks.insert(network);
  return networks;
}

void Demands::update(const watch::Caches& caches) {
  const BootTime now = clock_.now();
  UsedHere used = used_();
  wanted_ = std::move(used.networks);
  wanted_.merge(wantedByPods(caches));
  wanted_.merge(wantedByServices(caches));
  wanted_.merge(takeCalls(now));
  for (const auto& network : caches.networks()) {
    if (network->spec.join == api::JoinMode::Always) {
      wanted_.insert(NetworkUid(network->metadata.uid));
    }
  }
  std::set<std::string> names;
  for (const NetworkUid& network : wanted_) names.insert(network.str());
  kept_ = lingering_.update(names, now);
  complete_ = used.complete;
  certain_ = complete_ && now >= certainFrom_;
}

networks::Demand Demands::of(const NetworkUid& network) const {
  if (wanted_.contains(network)) return networks::Demand::Wanted;
  if (!certain_ || kept_.contains(network.str())) return networks::Demand::Lingers;
  return networks::Demand::None;
}

bool Demands::needsPeers(const NetworkUid& network) const {
  return kept_.contains(network.str());
}

std::optional<BootTime> Demands::next() const {
  const BootTime now = clock_.now();
  auto next = lingering_.next();
  const auto atMost = [&next](BootTime when) { next = next ? std::min(*next, when) : when; };
  if (!complete_) atMost(now + kLookAgain);
  if (now < certainFrom_) atMost(certainFrom_);
  return next;
}

}  // namespace multinet::agent
