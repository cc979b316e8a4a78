#include "nodeagent/policy/book.h"

#include <algorithm>

#include "lib/kube/store.h"
#include "lib/policy/key.h"
#include "lib/policy/peers.h"

namespace multinet::agent::policing {
namespace {

using policy::Key;
using Slice = api::PodNetworkPolicySlice;
using At = std::pair<std::string, std::string>;

std::string keyOf(const std::string& uid, const std::string& hash) {
  return Key('t').add(uid).add(hash).text();
}
std::string keyOf(const std::string& uid, const std::string& hash, std::int64_t port) {
  return Key('n').add(uid).add(hash).add(port).text();
}

/// Tells policies of a namespace apart: one made again is the one before. No policy's name has a
/// space.
std::string nameOf(const Slice& slice) {
  if (!slice.policyName.empty()) return slice.policyName;
  return "default of " + slice.policyUID;
}

std::uint64_t revisionOf(const Slice& slice) {
  return kube::revisionOf(slice.metadata.resourceVersion);
}

std::shared_ptr<const Members> membersOf(Slices from, const std::string& uid,
                                         const std::string& hash) {
  auto out = std::make_shared<Members>();
  policy::Ranges all;
  std::map<std::uint16_t, policy::Ranges> byPort;
  for (const auto& slice : from) {
    for (const api::PolicyMember& member : slice->members->entries) {
      ++out->count;
      const auto address = IpAddress::parse(member.address);
      if (!address) continue;
      if (!member.port) {
        all.push_back({*address, *address});
      } else if (*member.port > 0 && *member.port <= UINT16_MAX) {
        byPort[static_cast<std::uint16_t>(*member.port)].push_back({*address, *address});
      }
    }
  }
  out->from = std::move(from);
  out->all = {keyOf(uid, hash), policy::joined(std::move(all))};
  for (auto& [port, ranges] : byPort) {
    out->byPort.emplace(port, policy::Named{keyOf(uid, hash, port), joined(std::move(ranges))});
  }
  return out;
}

bool isComplete(const api::PolicyHead& head, const Peers& peers) {
  return std::ranges::all_of(head.peers, [&](const api::PolicyHeadPeer& one) {
    const auto found = peers.find({one.podNetworkName, one.peer});
    if (found == peers.end()) return one.slices <= 0 && one.members <= 0;
    return std::cmp_greater_equal(found->second->from.size(), one.slices) &&
           std::cmp_greater_equal(found->second->count, one.members);
  });
}

/// Of two heads of one name: whether this one counts.
bool isNewer(const Slice& one, const Slice& than) {
  if (one.policyUID != than.policyUID) return revisionOf(one) > revisionOf(than);
  return std::pair(one.head->policyGeneration, revisionOf(one)) >
         std::pair(than.head->policyGeneration, revisionOf(than));
}

ToldPtr toldOf(const Slice& head, std::map<At, Slices> members, const ToldPtr& before) {
  auto out = std::make_shared<Told>();
  out->uid = head.policyUID;
  out->revision = revisionOf(head);
  out->generation = head.head->policyGeneration;
  out->network = head.policyName.empty() ? head.head->podNetworkName : "";
  out->policy.metadata.nameSpace = head.metadata.nameSpace;
  out->policy.metadata.name = head.policyName;
  out->policy.metadata.uid = head.policyUID;
  if (head.head->spec) out->policy.spec = *head.head->spec;
  const bool isSame = before != nullptr && before->uid == out->uid;
  for (auto& [at, from] : members) {
    const auto known = isSame ? before->peers.find(at) : Peers::const_iterator();
    const bool keeps = isSame && known != before->peers.end() && known->second->from == from;
    out->peers.emplace(at, keeps ? known->second : membersOf(std::move(from), out->uid, at.second));
  }
  out->complete = isComplete(*head.head, out->peers) ||
                  (isSame && before->generation == out->generation && before->complete);
  return out;
}

}  // namespace

std::map<std::string, ToldPtr> read(const Slices& slices,
                                    const std::map<std::string, ToldPtr>& before) {
  std::map<std::string, const Slice*> heads;
  std::map<std::string, std::map<At, Slices>> members;  // by the policy's UID
  for (const auto& slice : slices) {
    if (slice->head) {
      const Slice*& head = heads[nameOf(*slice)];
      if (head == nullptr || isNewer(*slice, *head)) head = slice.get();
    } else if (slice->members) {
      const auto& [network, peer, entries] = *slice->members;
      members[slice->policyUID][{network, peer}].push_back(slice);
    }
  }
  std::map<std::string, ToldPtr> out;
  for (const auto& [name, head] : heads) {
    const auto known = before.find(name);
    out[name] =
        toldOf(*head, members[head->policyUID], known == before.end() ? nullptr : known->second);
  }
  return out;
}

bool Book::update(const std::string& nameSpace, const Slices& slices, BootTime now) {
  const auto [at, isFirst] = spaces_.try_emplace(nameSpace);
  Space& space = at->second;
  Slices sorted = slices;
  std::ranges::sort(sorted, {}, [](const auto& one) { return one->metadata.name; });
  if (!isFirst && sorted == space.slices) return false;
  space.slices = std::move(sorted);
  space.told = read(space.slices, space.told);
  std::erase_if(space.holdings,
                [&](const auto& holding) { return !space.told.contains(holding.first); });
  for (const auto& [name, told] : space.told) take(space.holdings[name], told, isFirst, now);
  return true;
}

/// What is there when a namespace is first looked at holds as it is: running pods were held to it
/// before, and nothing may be open that wasn't.
void Book::take(Holding& holding, const ToldPtr& told, bool first, BootTime now) const {
  const auto isSame = [&](const ToldPtr& one) {
    return one != nullptr && one->uid == told->uid && one->generation == told->generation;
  };
  if (first || told->complete || isSame(holding.held)) {
    holding = {told, nullptr, {}};
    return;
  }
  if (holding.next == nullptr) holding.since = now;
  holding.next = told;
}

void Book::keepOnly(const std::set<std::string>& nameSpaces) {
  std::erase_if(spaces_, [&](const auto& one) { return !nameSpaces.contains(one.first); });
}

std::set<std::string> Book::settle(BootTime now) {
  std::set<std::string> settled;
  for (auto& [name, space] : spaces_) {
    for (auto& [policy, holding] : space.holdings) {
      if (holding.next == nullptr || holding.since + patience_ > now) continue;
      holding = {holding.next, nullptr, {}};
      settled.insert(name);
    }
  }
  return settled;
}

std::optional<BootTime> Book::next() const {
  std::optional<BootTime> first;
  for (const auto& [name, space] : spaces_) {
    for (const auto& [policy, holding] : space.holdings) {
      if (holding.next == nullptr) continue;
      const BootTime at = holding.since + patience_;
      first = first ? std::min(*first, at) : at;
    }
  }
  return first;
}

std::vector<ToldPtr> Book::policiesFor(const std::string& nameSpace, BootTime joined) const {
  std::vector<ToldPtr> out;
  const auto space = spaces_.find(nameSpace);
  if (space == spaces_.end()) return out;
  for (const auto& [name, holding] : space->second.holdings) {
    const bool isNew = holding.next != nullptr && joined >= holding.since;
    const ToldPtr& one = isNew ? holding.next : holding.held;
    if (one != nullptr && one->network.empty()) out.push_back(one);
  }
  return out;
}

ToldPtr Book::defaultOf(const std::string& nameSpace, const NetworkUid& network) const {
  const auto space = spaces_.find(nameSpace);
  if (space == spaces_.end()) return nullptr;
  const auto found = space->second.told.find("default of " + network.str());
  return found == space->second.told.end() ? nullptr : found->second;
}

std::vector<ToldPtr> Book::all() const {
  std::vector<ToldPtr> out;
  for (const auto& [name, space] : spaces_) {
    for (const auto& [policy, told] : space.told) out.push_back(told);
  }
  return out;
}

std::vector<ToldPtr> Book::waiting() const {
  std::vector<ToldPtr> out;
  for (const auto& [name, space] : spaces_) {
    for (const auto& [policy, holding] : space.holdings) {
      if (holding.next != nullptr) out.push_back(holding.next);
    }
  }
  return out;
}

const Members* BookSource::find(const Told* told, const std::string& hash) const {
  if (told == nullptr) return nullptr;
  const auto found = told->peers.find({network_, hash});
  return found == told->peers.end() ? nullptr : found->second.get();
}

const policy::Named& BookSource::nobody(const std::string& key) {
  return nobody_.try_emplace(key, policy::Named{key, {}}).first->second;
}

const policy::Named& BookSource::podsOf(const api::PodNetworkPolicy& policy,
                                        const api::PolicyPeer& peer) {
  const std::string hash = policy::peerHash({policy.metadata.nameSpace, peer, std::nullopt});
  const auto told = told_.find(&policy);
  const Members* members = find(told == told_.end() ? nullptr : told->second.get(), hash);
  return members == nullptr ? nobody(keyOf(policy.metadata.uid, hash)) : members->all;
}

policy::Source::ByPort BookSource::withPort(const api::PodNetworkPolicy& policy,
                                            const api::PolicyPeer* peer,
                                            const api::PolicyPort& port) {
  policy::Peer who{policy.metadata.nameSpace, std::nullopt,
                   policy::PeerPort{port.port->name, port.protocol}};
  if (peer != nullptr) who.who = *peer;
  const auto told = told_.find(&policy);
  const Members* members =
      find(told == told_.end() ? nullptr : told->second.get(), policy::peerHash(who));
  ByPort out;
  if (members == nullptr) return out;
  for (const auto& [number, named] : members->byPort) out.emplace_back(number, &named);
  return out;
}

const policy::Named& BookSource::podsIn(const std::string& nameSpace) {
  const std::string hash = policy::peerHash(policy::sameNamespace(nameSpace));
  const auto told = defaults_.find(nameSpace);
  const Members* members = find(told == defaults_.end() ? nullptr : told->second.get(), hash);
  return members == nullptr ? nobody(keyOf(uid_.str(), hash)) : members->all;
}

}  // namespace multinet::agent::policing
