// What services need of a Keeper.
#include <algorithm>
#include <utility>

#include "lib/api/service.h"
#include "lib/base/log.h"
#include "nodeagent/gateway/keeper.h"

namespace multinet::agent::gateway {
namespace {

const std::string& networkOf(const k8s::Service& service) {
  static const std::string kNone;
  const auto found = service.metadata.labels->find(api::kNetworkLabel);
  return found == service.metadata.labels->end() ? kNone : found->second;
}

/// What its healthCheckNodePort says, of one that has it.
std::optional<LocalService> localOf(const k8s::Service& service, const Slices& slices,
                                    const Place& place) {
  const std::int32_t port = service.spec.healthCheckNodePort;
  if (port < 1 || port > 65535) return std::nullopt;
  return LocalService{static_cast<std::uint16_t>(port), service.metadata.nameSpace,
                      service.metadata.name, readyHere(service, slices, place)};
}

}  // namespace

std::set<std::string> networksWithOpenServices(const watch::Caches& caches) {
  std::set<std::string> networks;
  const auto services = caches.allServices();
  if (!services) return networks;
  for (const auto& service : *services) {
    if (isOpenEverywhere(*service)) networks.insert(networkOf(*service));
  }
  networks.erase("");
  return networks;
}

const Keeper::Read& Keeper::read(const NetworkUid& uid,
                                 std::vector<watch::Caches::Service> services,
                                 const std::vector<std::shared_ptr<const k8s::Pod>>& pods,
                                 const std::shared_ptr<const policing::Admissions>& admissions,
                                 const Place& place) {
  const auto same = [](const watch::Caches::Service& a, const watch::Caches::Service& b) {
    return a.service == b.service && a.slices == b.slices;  // the caches' own objects
  };
  Read& known = read_[uid];
  const bool checked = std::ranges::any_of(
      services, [](const watch::Caches::Service& one) { return isChecked(*one.service); });
  const bool sameAdmissions = known.admissions == admissions ||
                              (known.admissions != nullptr && *known.admissions == *admissions);
  if (known.ways != nullptr && known.zone == place.zone && sameAdmissions &&
      std::ranges::equal(known.services, services, same) && (!checked || known.pods == pods)) {
    return known;
  }
  Ways ways;
  Read fresh;
  for (const watch::Caches::Service& one : services) {
    std::ranges::move(waysOf(*one.service, one.slices, place), std::back_inserter(ways));
    std::ranges::move(checksOf(*one.service, one.slices, uid, options_.node, pods),
                      std::back_inserter(fresh.checks));
    if (const auto local = localOf(*one.service, one.slices, place)) {
      fresh.locals.push_back(*local);
    }
  }
  for (Way& way : ways) {
    way.clients = clientsOf(way, *admissions);
    if (way.clients.size() <= kMostClientRanges) continue;
    log::warn("policies admit too many blocks of clients, who are judged by the gateway's address",
              {{"way", way.name}, {"blocks", way.clients.size()}, {"most", kMostClientRanges}});
    way.clients.clear();
  }
  // What comes to the same is the same: nobody looks at its rules.
  fresh.ways = known.ways != nullptr && *known.ways == ways
                   ? known.ways
                   : std::make_shared<const Ways>(std::move(ways));
  fresh.services = std::move(services);
  fresh.zone = place.zone;
  fresh.admissions = admissions;
  if (checked) fresh.pods = pods;
  known = std::move(fresh);
  const std::lock_guard lock(mutex_);
  ++reads_;
  return known;
}

std::optional<Keeper::Needs> Keeper::needs() {
  const auto services = caches_.allServices();
  const auto zone = caches_.zone();
  const auto followed = caches_.servicesFollowed();
  if (!services || !zone || !followed || !caches_.synced()) return std::nullopt;
  const Place place{options_.node, *zone};
  Needs needs;
  std::set<std::string> open;
  std::set<std::string> everywhere;
  std::set<std::string> served;
  for (const auto& service : *services) {
    for (const IpAddress& address : addressesOf(*service)) needs.addresses.push_back(address);
    if (isOpen(*service) || isChecked(*service)) open.insert(networkOf(*service));
    if (isOpenEverywhere(*service)) everywhere.insert(networkOf(*service));
  }
  const auto pods = caches_.pods();
  for (const std::string& name : open) {
    const auto network = caches_.catalog().network(name);
    if (!network || network->metadata.deleting()) continue;
    if (!followed->contains(name)) {
      // With the feeder's next look. Others have endpoints on nodes with pods alone.
      if (everywhere.contains(name)) return std::nullopt;
      continue;
    }
    auto all = caches_.servicesOf(name);
    if (!all) return std::nullopt;
    const NetworkUid uid(network->metadata.uid);
    auto admissions = options_.admissions(uid);
    if (admissions == nullptr) {
      if (admissionsBy_ == BootTime{}) admissionsBy_ = clock_.now() + options_.adoptWithin;
      waitsForAdmissions_ = clock_.now() < admissionsBy_;
      if (waitsForAdmissions_) return std::nullopt;
      admissions = std::make_shared<const policing::Admissions>();
    }
    const Read& known = read(uid, std::move(*all), pods, admissions, place);
    needs.ways[uid] = known.ways;
    needs.checks[uid] = known.checks;
    std::ranges::copy(known.locals, std::back_inserter(needs.locals));
    served.insert(name);
  }
  // Nobody's here: whoever comes is told so.
  for (const auto& service : *services) {
    if (!isOpen(*service) || served.contains(networkOf(*service))) continue;
    auto more = waysOf(*service, {}, place);
    if (const auto local = localOf(*service, {}, place)) needs.locals.push_back(*local);
    std::ranges::move(more, std::back_inserter(needs.closed));
  }
  std::erase_if(read_, [&](const auto& one) { return !needs.ways.contains(one.first); });
  return needs;
}

}  // namespace multinet::agent::gateway
