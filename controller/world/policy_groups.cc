#include "controller/world/policy_groups.h"

#include <algorithm>

#include "lib/api/policy.h"
#include "lib/policy/tiers.h"

namespace multinet::controller {
namespace {

const PolicyMembers kNobody;
const std::set<k8s::ObjectKey> kNoPods;

/// Separates parts of keys; no name and no label has it.
constexpr char kApart = '\n';

std::string pairOf(const std::string& key, const std::string& value) {
  return key + "=" + value;
}

/// Where pods are looked for that have this label, in one namespace or (empty) in any.
std::string ofPods(const std::string& nameSpace, const std::string& label) {
  return "pods" + (kApart + nameSpace) + kApart + label;
}
std::string ofNamespaces(const std::string& label) {
  return "namespaces" + (kApart + label);
}

std::string firstOf(const k8s::StringMap& labels) {
  return labels.empty() ? "" : pairOf(labels.begin()->first, labels.begin()->second);
}

/// Each group is found under one of the words that each pod in it has.
std::string wordOf(const policy::Peer& peer) {
  if (!peer.who || peer.who->ipBlock) return ofPods("", "");
  const auto& who = *peer.who;
  const std::string label = who.podSelector ? firstOf(who.podSelector->matchLabels) : "";
  if (!who.namespaceSelector) return ofPods(peer.home, label);
  const std::string spaces = firstOf(who.namespaceSelector->matchLabels);
  if (label.empty() && !spaces.empty()) return ofNamespaces(spaces);
  return ofPods("", label);
}

k8s::ObjectKey placeOf(const std::string& network, const policy::Peer& peer) {
  return {network, policy::peerHash(peer)};
}

std::string groupKey(const std::string& network, const policy::Peer& peer) {
  return network + kApart + policy::peerKey(peer);
}

std::string defaultKey(const std::string& nameSpace, const std::string& network) {
  return "default" + (kApart + nameSpace) + kApart + network;
}

std::optional<policy::Peer> selectionOf(const Policy& policy) {
  policy::Peer peer{policy.metadata.nameSpace, api::PolicyPeer{}, std::nullopt};
  peer.who->podSelector = policy.spec.podSelector;
  return peer;
}
std::optional<policy::Peer> selectionOf(const ClusterPolicy& policy) {
  auto pods = policy::podsOf(policy.spec.subject);
  if (!pods) return std::nullopt;
  return policy::Peer{"", std::move(pods), std::nullopt};
}

const std::vector<std::string>& networksOf(const Policy& /*policy*/) {
  static const std::vector<std::string> kAny;
  return kAny;
}
const std::vector<std::string>& networksOf(const ClusterPolicy& policy) {
  return policy.spec.podNetworkNames;
}

std::string selectionKey(const policy::Peer& pods, const std::vector<std::string>& networks) {
  std::string key = groupKey("", pods);
  for (const auto& network : networks) key += kApart + network;
  return key;
}
template <class P>
std::string selectionKey(const P& policy) {
  const auto pods = selectionOf(policy);
  return pods ? selectionKey(*pods, networksOf(policy)) : "";
}

std::vector<policy::Peer> peersOf(const Policy& policy) {
  return policy::peersOf(policy.spec, policy.metadata.nameSpace);
}
std::vector<policy::Peer> peersOf(const ClusterPolicy& policy) {
  return policy::peersOf(policy::rulesOf(policy));
}

}  // namespace

/// A pod that counts, with its interfaces on networks that are there.
struct PolicyGroups::Facts {
  policy::Pod pod;
  const k8s::StringMap* namespaceLabels = nullptr;  ///< null: not known

  static std::optional<Facts> of(const k8s::ObjectKey& key, const Tables& tables) {
    const Pod* pod = tables.of<Pod>().find(key);
    if (pod == nullptr || pod->finished()) return std::nullopt;
    Facts facts;
    for (const InterfaceSet* set : tables.of<InterfaceSet>().by<ByPod>(key)) {
      if (misfit(*set, pod)) continue;
      if (auto made = policy::podOf(*pod, *set)) {
        facts.pod = std::move(*made);
        std::erase_if(facts.pod.interfaces, [&](const policy::Interface& one) {
          return !isOfItsNetwork(*set, one.network, tables);
        });
        break;
      }
    }
    if (facts.pod.key.name.empty()) {
      facts.pod.key = {key.nameSpace, key.name};
      facts.pod.labels = *pod->metadata.labels;
    }
    const Namespace* home = tables.of<Namespace>().find({"", key.nameSpace});
    if (home != nullptr) facts.namespaceLabels = &*home->metadata.labels;
    return facts;
  }

  [[nodiscard]] bool areOn(const std::vector<std::string>& networks) const {
    return networks.empty() || std::ranges::any_of(networks, [&](const std::string& network) {
             return pod.on(network) != nullptr;
           });
  }
  /// Whether selectors match, which are for its namespace alone or for all.
  [[nodiscard]] bool areOf(const api::PolicyPeer& who) const {
    if (who.podSelector && !who.podSelector->matches(pod.labels)) return false;
    return !who.namespaceSelector ||
           (namespaceLabels != nullptr && who.namespaceSelector->matches(*namespaceLabels));
  }

 private:
  /// Not of one that had its name before.
  static bool isOfItsNetwork(const InterfaceSet& set, const std::string& name,
                             const Tables& tables) {
    const Network* network = tables.of<Network>().find({"", name});
    if (network == nullptr) return false;
    const auto interface =
        std::ranges::find(set.interfaces, name, &api::PodInterface::podNetworkName);
    return interface->podNetworkUID.empty() || interface->podNetworkUID == network->metadata.uid;
  }
};

template <class P>
std::vector<PolicyGroups::Group> PolicyGroups::groupsOf(const P& policy) {
  std::vector<Group> out;
  if (!policy.undecodable.empty()) return out;
  if (auto pods = selectionOf(policy)) {
    Group selection;
    selection.peer = std::move(*pods);
    selection.networks = networksOf(policy);
    selection.key = selectionKey(selection.peer, selection.networks);
    out.push_back(std::move(selection));
  }
  const auto peers = peersOf(policy);
  if (peers.size() * policy.spec.podNetworkNames.size() > api::kMaxPolicyResolved) return out;
  for (const auto& network : policy.spec.podNetworkNames) {
    for (const auto& peer : peers) {
      Group group;
      group.key = groupKey(network, peer);
      group.peer = peer;
      group.network = network;
      out.push_back(std::move(group));
    }
  }
  return out;
}

void PolicyGroups::index(const GroupPtr& group) {
  byFirst_[wordOf(group->peer)].push_back(group);
}

void PolicyGroups::unindex(const GroupPtr& group) {
  const auto found = byFirst_.find(wordOf(group->peer));
  if (found == byFirst_.end()) return;
  std::erase(found->second, group);
  if (found->second.empty()) byFirst_.erase(found);
}

const PolicyGroups::GroupPtr& PolicyGroups::use(Group wanted, const k8s::ObjectKey& user) {
  auto& group = groups_[wanted.key];
  if (group == nullptr) {
    group = std::make_shared<Group>(std::move(wanted));
    index(group);
    unknown_.push_back(group);
  }
  const bool wasKept = group->isKept();
  group->users.insert(user);
  if (!wasKept) lookAgain(group);
  return group;
}

void PolicyGroups::leave(const std::string& key, const k8s::ObjectKey& user) {
  const auto found = groups_.find(key);
  if (found == groups_.end()) return;
  const GroupPtr group = found->second;
  group->users.erase(user);
  if (!group->isKept()) forget(group);
  if (!group->users.empty()) return;
  unindex(group);
  std::erase(unknown_, group);
  groups_.erase(found);
}

void PolicyGroups::forget(const GroupPtr& group) {
  std::vector<const k8s::ObjectKey*> holders(group->sharers.begin(), group->sharers.end());
  for (const auto& pod : group->pods) holders.push_back(&pod);
  for (const auto* pod : holders) {
    const auto held = parts_.find(*pod);
    if (held == parts_.end()) continue;
    held->second.erase(group);
    if (held->second.empty()) parts_.erase(held);
  }
  group->members.clear();
  group->pods.clear();
  group->sharers.clear();
  group->size = 0;
}

void PolicyGroups::lookAgain(const GroupPtr& group) {
  if (!group->known) return;  // it is to be looked for anyway
  group->known = false;
  unknown_.push_back(group);
}

/// No member is kept for it alone from now on.
void PolicyGroups::giveUp(Load& load) {
  load.isOver = true;
  over_.insert(&load);
  for (const auto& group : load.groups) {
    for (const auto* pod : group->sharers) {
      load.byPod[*pod] += parts_.at(*pod).at(group).size();
    }
    group->counting.insert(&load);
    if (!group->isKept()) forget(group);
  }
}

/// Whom it means is looked for again.
void PolicyGroups::takeUp(Load& load) {
  load.isOver = false;
  over_.erase(&load);
  load.byPod.clear();
  load.members = 0;
  for (const auto& group : load.groups) {
    const bool wasKept = group->isKept();
    group->counting.erase(&load);
    if (!wasKept) lookAgain(group);
    load.members += group->size;
  }
}

/// Nodes hold pods to what a policy of the cluster means, or meant with more peers. It is kept up
/// whatever its peers become: else who makes pods enough would be let by what it denies.
bool PolicyGroups::isHeldTo(const k8s::ObjectKey& key, const Tables& tables) {
  if (!key.nameSpace.empty()) return false;
  const auto* policy = tables.of<ClusterPolicy>().find(key);
  if (policy == nullptr) return false;
  const auto groups = groupsOf(*policy);
  const auto& heads =
      tables.of<PolicySlice>().by<ByClusterPolicy>(ByClusterPolicy::heads(key.name));
  return std::any_of(heads.begin(), heads.end(), [&](const PolicySlice* one) {
    const bool isOfIt = one->policyUID == policy->metadata.uid && one->head &&
                        one->head->policyGeneration > 0 && one->head->clusterSpec;
    if (!isOfIt) return false;
    if (one->head->policyGeneration == policy->metadata.generation) return true;
    ClusterPolicy told = *policy;
    told.spec = *one->head->clusterSpec;
    std::unordered_set<std::string> before;
    for (const auto& group : groupsOf(told)) before.insert(group.key);
    return std::ranges::all_of(
        groups, [&](const Group& group) { return !group.isPeer() || before.contains(group.key); });
  });
}

void PolicyGroups::settle(const Tables& tables, PolicyTouches& touches) {
  const auto tell = [&](const Load& load) {
    touches.push_back({load.policy, false, std::nullopt, true});
  };
  for (Load* load : std::exchange(swollen_, {})) {
    if (load->isOver || load->isKeptUp || load->members <= api::kMaxPolicyMembers) continue;
    load->isKeptUp = isHeldTo(load->policy, tables);
    if (load->isKeptUp) continue;
    giveUp(*load);
    tell(*load);
  }
  std::vector<Load*> fewAgain;
  for (Load* load : over_) {
    if (load->members <= kPolicyMembersAgain) fewAgain.push_back(load);
  }
  for (Load* load : fewAgain) {
    takeUp(*load);
    tell(*load);
  }
}

template <class P>
void PolicyGroups::policy(const P* before, const P* now, PolicyTouches& touches) {
  const auto same = [&] {
    return before->metadata.uid == now->metadata.uid && before->spec == now->spec &&
           before->undecodable == now->undecodable;
  };
  if (before != nullptr && now != nullptr && same()) return;
  // What both have isn't looked for again.
  const auto key = now != nullptr ? keyOf(*now) : keyOf(*before);
  auto& load = loads_[key];
  if (load.isOver) takeUp(load);
  std::unordered_set<std::string> kept;
  std::vector<GroupPtr> groups;
  if (now != nullptr) {
    for (auto& wanted : groupsOf(*now)) {
      kept.insert(wanted.key);
      const auto& group = use(std::move(wanted), key);
      if (group->isPeer()) groups.push_back(group);
    }
  }
  if (before != nullptr) {
    for (const auto& group : groupsOf(*before)) {
      if (!kept.contains(group.key)) leave(group.key, key);
    }
  }
  touches.push_back({key, false, std::nullopt});
  if (now == nullptr) {
    swollen_.erase(&load);
    loads_.erase(key);
    return;
  }
  load.policy = key;
  load.isKeptUp = false;
  load.groups = std::move(groups);
  load.members = 0;
  for (const auto& group : load.groups) load.members += group->size;
  if (load.members > api::kMaxPolicyMembers) swollen_.insert(&load);
}

template void PolicyGroups::policy(const Policy* before, const Policy* now, PolicyTouches& touches);
template void PolicyGroups::policy(const ClusterPolicy* before, const ClusterPolicy* now,
                                   PolicyTouches& touches);

template <class Use>
void PolicyGroups::forCandidates(const Facts& facts, const Use& use) const {
  const auto under = [&](const std::string& word) {
    const auto found = byFirst_.find(word);
    if (found == byFirst_.end()) return;
    for (const auto& group : found->second) use(group);
  };
  for (const auto& nameSpace : {facts.pod.key.nameSpace, std::string()}) {
    under(ofPods(nameSpace, ""));
    for (const auto& [key, value] : facts.pod.labels) under(ofPods(nameSpace, pairOf(key, value)));
  }
  if (facts.namespaceLabels == nullptr) return;
  for (const auto& [key, value] : *facts.namespaceLabels) under(ofNamespaces(pairOf(key, value)));
}

/// How a pod counts on a network: as a set, since several pods may say the same.
static std::set<PolicyMember> partOf(const std::vector<api::PolicyMember>& members) {
  std::set<PolicyMember> out;
  for (const auto& one : members) out.emplace(one.address, one.port.value_or(0));
  return out;
}

void PolicyGroups::addDefaults(const Facts& facts, PartsOfPod& parts) {
  for (const auto& interface : facts.pod.interfaces) {
    if (!closed_.contains(interface.network)) continue;
    const auto key = defaultKey(facts.pod.key.nameSpace, interface.network);
    auto& group = groups_[key];
    if (group == nullptr) {
      group = std::make_shared<Group>();
      group->key = key;
      group->peer = policy::sameNamespace(facts.pod.key.nameSpace);
      group->network = interface.network;
      group->isDefault = true;
      group->known = true;
      group->users.insert({facts.pod.key.nameSpace, interface.network});
    }
    parts[group] =
        partOf(policy::membersOf(group->peer, facts.pod, interface.network, facts.namespaceLabels));
  }
}

void PolicyGroups::apply(Group& group, const k8s::ObjectKey& pod, const Part* before,
                         const Part* now, PolicyTouches& touches) {
  bool changed =
      (before == nullptr) != (now == nullptr) && (group.isSelection() || group.isDefault);
  if (before != nullptr) {
    for (const auto& member : *before) {
      if (now != nullptr && now->contains(member)) continue;
      const auto found = group.members.find(member);
      if (--found->second > 0) continue;
      group.members.erase(found);
      changed = true;
    }
  }
  if (now != nullptr) {
    for (const auto& member : *now) {
      if (before != nullptr && before->contains(member)) continue;
      changed = ++group.members[member] == 1 || changed;
    }
  }
  if (!group.isPeer()) {
    if (now == nullptr) {
      group.pods.erase(pod);
    } else {
      group.pods.insert(pod);
    }
  } else if (now == nullptr) {
    group.sharers.erase(&pod);
  } else {
    group.sharers.insert(&pod);
  }
  const std::size_t was = before == nullptr ? 0 : before->size();
  const std::size_t is = now == nullptr ? 0 : now->size();
  group.size = group.size + is - was;
  std::optional<k8s::ObjectKey> peer;
  if (changed && !group.isSelection()) peer = placeOf(group.network, group.peer);
  for (const auto& user : group.users) {
    if (group.isPeer()) {
      Load& load = loads_.at(user);
      if (load.isOver) continue;
      load.members = load.members + is - was;
      if (load.members > api::kMaxPolicyMembers) swollen_.insert(&load);
    }
    if (changed) touches.push_back({user, group.isDefault, peer});
  }
}

void PolicyGroups::dropIfEmpty(const GroupPtr& group) {
  if (group->isDefault && group->pods.empty()) groups_.erase(group->key);
}

void PolicyGroups::pod(const k8s::ObjectKey& key, const Tables& tables, PolicyTouches& touches) {
  const auto held = parts_.find(key);
  if (held == parts_.end() && groups_.empty() && closed_.empty()) return;
  PartsOfPod now;
  Loads counted;
  if (const auto facts = Facts::of(key, tables)) {
    forCandidates(*facts, [&](const GroupPtr& group) {
      if (!group->known && group->counting.empty()) return;
      if (group->isSelection()) {
        if (facts->areOn(group->networks) && facts->areOf(*group->peer.who)) now[group];
        return;
      }
      auto members = partOf(
          policy::membersOf(group->peer, facts->pod, group->network, facts->namespaceLabels));
      if (members.empty()) return;
      for (Load* load : group->counting) counted[load] += members.size();
      if (group->known && group->isKept()) now[group] = std::move(members);
    });
    addDefaults(*facts, now);
  }
  count(key, counted);
  if (held != parts_.end() || !now.empty()) hold(key, std::move(now), touches);
  settle(tables, touches);
}

void PolicyGroups::hold(const k8s::ObjectKey& pod, PartsOfPod now, PolicyTouches& touches) {
  const auto held = parts_.try_emplace(pod).first;
  const auto& key = held->first;
  const PartsOfPod before = std::exchange(held->second, std::move(now));
  const PartsOfPod& parts = held->second;
  for (const auto& [group, part] : before) {
    const auto found = parts.find(group);
    apply(*group, key, &part, found == parts.end() ? nullptr : &found->second, touches);
    dropIfEmpty(group);
  }
  for (const auto& [group, part] : parts) {
    if (!before.contains(group)) apply(*group, key, nullptr, &part, touches);
  }
  if (parts.empty()) parts_.erase(held);
}

void PolicyGroups::count(const k8s::ObjectKey& pod, const Loads& now) {
  for (Load* load : over_) {
    const auto found = now.find(load);
    const std::size_t is = found == now.end() ? 0 : found->second;
    const auto known = load->byPod.find(pod);
    const std::size_t was = known == load->byPod.end() ? 0 : known->second;
    load->members = load->members + is - was;
    if (is > 0) {
      load->byPod[pod] = is;
    } else if (was > 0) {
      load->byPod.erase(known);
    }
  }
}

void PolicyGroups::nameSpace(const std::string& name, const Tables& tables,
                             PolicyTouches& touches) {
  if (groups_.empty()) return;
  for (const Pod* one : tables.of<Pod>().by<ByNamespace>(name)) pod(keyOf(*one), tables, touches);
}

void PolicyGroups::network(const Network* before, const Network* now, const Tables& tables,
                           const NetworkUse& use, PolicyTouches& touches) {
  const std::string& name = (now != nullptr ? now : before)->metadata.name;
  if (now != nullptr && now->spec.defaultPolicy == api::DefaultPolicy::SameNamespace) {
    closed_.insert(name);
  } else {
    closed_.erase(name);
  }
  for (const auto& [key, holder] : use.holders) pod(key, tables, touches);
}

void PolicyGroups::ready(const Tables& tables) {
  if (unknown_.empty() && swollen_.empty()) return;
  // Whoever asks looks at all of what is looked for here.
  PolicyTouches known;
  settle(tables, known);
  while (!unknown_.empty()) look(std::exchange(unknown_, {}), tables, known);
}

void PolicyGroups::look(const std::vector<GroupPtr>& groups, const Tables& tables,
                        PolicyTouches& touches) {
  std::set<std::string> spaces;
  bool all = false;
  for (const auto& group : groups) {
    group->known = true;
    const auto& who = group->peer.who;
    if (!who || who->ipBlock) {
      all = true;
    } else if (!who->namespaceSelector) {
      spaces.insert(group->peer.home);
    } else {
      for (const auto& one : tables.of<Namespace>().all()) {
        if (who->namespaceSelector->matches(one->metadata.labels))
          spaces.insert(one->metadata.name);
      }
    }
  }
  if (all) {
    for (const auto& one : tables.of<Pod>().all()) pod(keyOf(*one), tables, touches);
    return;
  }
  for (const auto& space : spaces) {
    for (const Pod* one : tables.of<Pod>().by<ByNamespace>(space)) {
      pod(keyOf(*one), tables, touches);
    }
  }
}

std::optional<std::size_t> PolicyGroups::excess(const k8s::ObjectKey& policy) const {
  const auto found = loads_.find(policy);
  if (found == loads_.end() || !found->second.isOver) return std::nullopt;
  return found->second.members;
}

std::size_t PolicyGroups::kept() const {
  std::size_t all = 0;
  for (const auto& [pod, parts] : parts_) {
    for (const auto& [group, part] : parts) all += part.size();
  }
  return all;
}

const PolicyMembers& PolicyGroups::members(const std::string& network,
                                           const policy::Peer& peer) const {
  const auto found = groups_.find(groupKey(network, peer));
  return found == groups_.end() ? kNobody : found->second->members;
}

const std::set<k8s::ObjectKey>& PolicyGroups::selected(const std::string& key) const {
  const auto found = groups_.find(key);
  return found == groups_.end() ? kNoPods : found->second->pods;
}
const std::set<k8s::ObjectKey>& PolicyGroups::subjects(const Policy& policy) const {
  return selected(selectionKey(policy));
}
const std::set<k8s::ObjectKey>& PolicyGroups::subjects(const ClusterPolicy& policy) const {
  return selected(selectionKey(policy));
}

std::vector<k8s::ObjectKey> PolicyGroups::selecting(const k8s::ObjectKey& pod) const {
  std::vector<k8s::ObjectKey> out;
  const auto found = parts_.find(pod);
  if (found == parts_.end()) return out;
  for (const auto& [group, part] : found->second) {
    if (group->isSelection()) out.insert(out.end(), group->users.begin(), group->users.end());
  }
  return out;
}

const PolicyMembers* PolicyGroups::defaultMembers(const std::string& nameSpace,
                                                  const std::string& network) const {
  const auto found = groups_.find(defaultKey(nameSpace, network));
  return found == groups_.end() ? nullptr : &found->second->members;
}

}  // namespace multinet::controller
