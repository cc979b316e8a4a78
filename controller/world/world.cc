#include "controller/world/world.h"

#include <algorithm>

namespace multinet::controller {
namespace {

constexpr auto kOutOfService = "node.kubernetes.io/out-of-service";

template <class T>
std::string nodeOf(const std::shared_ptr<const T>& object) {
  if (object == nullptr) return {};
  if constexpr (std::is_same_v<T, Block>) {
    return object->spec.nodeName;
  } else if constexpr (std::is_same_v<T, NodeSet>) {
    return object->metadata.name;
  } else {
    return object->nodeName;
  }
}

template <class T>
bool sameSpec(const Changed<T>& change) {
  return !change.existence() && change.before->spec == change.now->spec &&
         change.before->undecodable == change.now->undecodable;
}

}  // namespace

bool outOfService(const Node& node) {
  return std::ranges::any_of(node.spec.taints,
                             [](const auto& taint) { return taint.key == kOutOfService; });
}

template <class Objects>
void World::judge(const Objects& attachments) {
  for (const Attachment* attachment : attachments) {
    const auto key = keyOf(*attachment);
    if (verdicts_.attachment(key, tables_)) note(Touched<Attachment>{key});
  }
}

void World::tell(const UseChanges& changes, BootTime time) {
  for (const auto& network : changes.networks) {
    const k8s::ObjectKey key{"", network.str()};
    if (find<Network>(key) != nullptr) networkPace_.changed(key, time);
    note(Touched<Network>{key});
  }
  for (const auto& attachment : changes.attachments) {
    if (find<Attachment>(attachment) != nullptr) attachmentPace_.changed(attachment, time);
    note(Touched<Attachment>{attachment});
  }
  for (const auto& space : changes.namespaces) note(Touched<Namespace>{{"", space}});
  for (const auto& [space, network] : changes.vacated) vacancies_.left(space, network, time);
}

template <class T>
void World::keepPace(Pace& pace, const Changed<T>& change, BootTime time) {
  if (change.now == nullptr) return pace.forget(change.key());
  if (change.before == nullptr) return;
  if (countsDiffer(change.before->status, change.now->status)) pace.told(change.key(), time);
}

bool World::named(const NodeName& node) const {
  return !of<Block>().by<ByNode>(node).empty() || !of<Peer>().by<ByNode>(node).empty() ||
         find<NodeSet>(node.str()) != nullptr;
}

void World::names(const std::string& before, const std::string& now, BootTime time) {
  if (!now.empty() && find<Node>(now) == nullptr) {
    absences_.missing(NodeName(now), {time, false});
  }
  if (!before.empty() && before != now && !named(NodeName(before))) {
    absences_.forget(NodeName(before));
  }
}

void World::derive(const Changed<Node>& change, BootTime time) {
  const NodeName name(change.key().name);
  if (change.now != nullptr) absences_.forget(name);
  if (change.now == nullptr && named(name)) {
    absences_.missing(name, {time, outOfService(*change.before)});
  }
  if (!change.existence()) return;
  UseChanges changes;
  usage_.node(name, tables_, changes);
  tell(changes, time);
}

void World::tellOfPolicies(const PolicyTouches& touches) {
  for (const auto& touch : touches) note(touch);
}

template <class P>
void World::derivePolicy(const Changed<P>& change, BootTime time) {
  PolicyTouches touches;
  groups_.policy(change.before.get(), change.now.get(), touches);
  tellOfPolicies(touches);
  const auto key = change.key();
  if (change.now == nullptr) {
    toldOfPolicies_.erase(key);
    lookedAtPolicies_.erase(key);
  } else if (change.before != nullptr && countsDiffer(change.before->status, change.now->status)) {
    toldOfPolicies_[key] = time;
  }
}

template void World::derivePolicy(const Changed<Policy>& change, BootTime time);
template void World::derivePolicy(const Changed<ClusterPolicy>& change, BootTime time);

bool World::hasPodsOn(const std::string& nameSpace,
                      const std::vector<std::string>& networks) const {
  return std::ranges::any_of(networks, [&](const std::string& network) {
    return use(NetworkName(network)).spaces.contains(nameSpace);
  });
}

BootTime World::keptUntil(const std::string& nameSpace,
                          const std::vector<std::string>& networks) const {
  BootTime since = began_.value_or(BootTime{});
  for (const auto& network : networks) {
    if (const auto left = vacancies_.leftAt(nameSpace, NetworkName(network))) {
      since = std::max(since, *left);
    }
  }
  return since + kVacancyKept;
}

void World::derive(const Changed<PolicySlice>& change, BootTime /*time*/) {
  const auto goesOn = [](const PolicySlice& before, const PolicySlice& now) {
    return before.head && now.head && before.metadata.uid == now.metadata.uid &&
           before.policyUID == now.policyUID &&
           before.head->policyGeneration == now.head->policyGeneration;
  };
  if (!change.existence() && goesOn(*change.before, *change.now)) {
    toldSince_.try_emplace(change.key(), change.before->metadata.resourceVersion);
  } else {
    toldSince_.erase(change.key());
  }
}

const std::string& World::toldSince(const PolicySlice& head) const {
  const auto found = toldSince_.find(keyOf(head));
  return found == toldSince_.end() ? head.metadata.resourceVersion : found->second;
}

BootTime World::policyDue(const k8s::ObjectKey& key, Duration stand) const {
  const auto told = toldOfPolicies_.find(key);
  return told == toldOfPolicies_.end() ? BootTime{} : told->second + stand;
}

BootTime World::policyLookDue(const k8s::ObjectKey& policy, std::size_t size) const {
  const auto looked = lookedAtPolicies_.find(policy);
  if (looked == lookedAtPolicies_.end()) return {};
  return looked->second + kPolicyCountsStand + std::chrono::seconds(size / kPolicyLookedAtASecond);
}

void World::derive(const Changed<Namespace>& change, BootTime /*time*/) {
  if (!change.existence() && change.before->metadata.labels == change.now->metadata.labels) return;
  PolicyTouches touches;
  groups_.nameSpace(change.key().name, tables_, touches);
  tellOfPolicies(touches);
  judge(of<Attachment>().by<ByNamespace>(change.key().name));
}

void World::derive(const Changed<Network>& change, BootTime time) {
  keepPace(networkPace_, change, time);
  if (change.existence() || change.before->metadata.uid != change.now->metadata.uid ||
      change.before->spec.defaultPolicy != change.now->spec.defaultPolicy) {
    PolicyTouches touches;
    groups_.network(change.before.get(), change.now.get(), tables_,
                    usage_.of(NetworkName(change.key().name)), touches);
    tellOfPolicies(touches);
  }
  const std::string uid = change.now != nullptr ? change.now->metadata.uid : "";
  if (change.before != nullptr && change.before->metadata.uid != uid) {
    deleting_.erase(change.before->metadata.uid);
  }
  if (change.now != nullptr && change.now->metadata.deleting()) deleting_.try_emplace(uid, time);
  if (sameSpec(change)) return;
  verdicts_.network(change.key(), tables_);
  judge(of<Attachment>().by<ByNetworkName>(NetworkName(change.key().name)));
}

std::optional<BootTime> World::deletingSince(const Network& network) const {
  const auto found = deleting_.find(network.metadata.uid);
  return found == deleting_.end() ? std::nullopt : std::optional(found->second);
}

void World::derive(const Changed<Attachment>& change, BootTime time) {
  keepPace(attachmentPace_, change, time);
  if (sameSpec(change)) return;
  const auto key = change.key();
  verdicts_.attachment(key, tables_);
  UseChanges changes;
  for (const Pod* pod : of<Pod>().by<ByAttachment>(key)) usage_.pod(keyOf(*pod), tables_, changes);
  tell(changes, time);
}

void World::derive(const Changed<NetworkService>& change, BootTime /*time*/) {
  if (change.now == nullptr) refusals_.erase(change.key());
}

void World::taken(const k8s::ObjectKey& service, const std::string& item) {
  const auto found = refusals_.find(service);
  if (found == refusals_.end()) return;
  found->second.erase(item);
  if (found->second.empty()) refusals_.erase(found);
}

const std::string* World::refusal(const NetworkService& service, const std::string& item) const {
  const auto found = refusals_.find(keyOf(service));
  if (found == refusals_.end()) return nullptr;
  const auto said = found->second.find(item);
  if (said == found->second.end()) return nullptr;
  const Refusal& refusal = said->second;
  const auto& metadata = service.metadata;
  if (refusal.uid != metadata.uid || refusal.generation != metadata.generation) return nullptr;
  return &refusal.says;
}

void World::derive(const Changed<Pod>& change, BootTime time) {
  UseChanges changes;
  usage_.pod(change.key(), tables_, changes);
  tell(changes, time);
  PolicyTouches touches;
  groups_.pod(change.key(), tables_, touches);
  tellOfPolicies(touches);
}

void World::derive(const Changed<InterfaceSet>& change, BootTime time) {
  UseChanges changes;
  PolicyTouches touches;
  for (const auto& set : {change.before, change.now}) {
    if (set == nullptr) continue;
    const k8s::ObjectKey pod{set->metadata.nameSpace, set->pod.name};
    usage_.pod(pod, tables_, changes);
    groups_.pod(pod, tables_, touches);
  }
  tell(changes, time);
  tellOfPolicies(touches);
}

void World::derive(const Changed<NodeSet>& change, BootTime time) {
  UseChanges changes;
  usage_.node(NodeName(change.key().name), tables_, changes);
  tell(changes, time);
  names(nodeOf(change.before), nodeOf(change.now), time);
}

void World::derive(const Changed<Peer>& change, BootTime time) {
  names(nodeOf(change.before), nodeOf(change.now), time);
}

void World::derive(const Changed<Block>& change, BootTime time) {
  names(nodeOf(change.before), nodeOf(change.now), time);
}

void World::keepChanges(bool keeps) {
  keepsChanges_ = keeps;
  changes_ = {};
}

void World::everything(const std::function<void(const Change&)>& use) const {
  std::apply(
      [&](const auto&... table) {
        const auto add = [&](const auto& one) {
          using T = typename std::remove_cvref_t<decltype(one)>::Object;
          for (const auto& object : one.all()) use(Changed<T>{nullptr, object});
        };
        (add(table), ...);
      },
      tables_.tables);
}

WorkDone World::work() const {
  WorkDone work;
  work.judged = verdicts_.judged();
  std::apply([&](const auto&... table) { ((work.reads += table.reads()), ...); }, tables_.tables);
  return work;
}

}  // namespace multinet::controller
