#include "nodeagent/policy/book.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <span>

#include "lib/base/encoding.h"
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
  if (!slice.clusterPolicyName.empty()) return "of the cluster: " + slice.clusterPolicyName;
  if (!slice.policyName.empty()) return slice.policyName;
  return "default of " + slice.policyUID;
}

std::uint64_t revisionOf(const Slice& slice) {
  return kube::revisionOf(slice.metadata.resourceVersion);
}

/// The sum of them all is that of the same entries in any order.
std::uint64_t digestOf(const api::PolicyMember& member) {
  return fnv1a(member.port ? member.address + " " + std::to_string(*member.port) : member.address);
}

/// Of a peer with a port's name.
bool isPort(std::int64_t number) {
  return number > 0 && number <= UINT16_MAX;
}

bool isReadable(const api::PolicyMember& member) {
  return (!member.port || isPort(*member.port)) && IpAddress::parse(member.address).has_value();
}

std::shared_ptr<Members> membersOf(Slices from, const std::string& uid, const std::string& hash,
                                   std::uint64_t& version) {
  auto out = std::make_shared<Members>();
  out->all = {.key = keyOf(uid, hash), .version = ++version};
  for (const auto& slice : from) {
    for (const api::PolicyMember& member : slice->members->entries) {
      ++out->count;
      out->digest += digestOf(member);
      const auto address = IpAddress::parse(member.address);
      if (!address || (member.port && !isPort(*member.port))) {
        ++out->unread;
      } else if (!member.port) {
        ++out->all.members[*address];
      } else {
        ++out->byPort[static_cast<std::uint16_t>(*member.port)].members[*address];
      }
    }
  }
  out->from = std::move(from);
  for (auto& [port, named] : out->byPort) {
    named.key = keyOf(uid, hash, port);
    named.version = ++version;
  }
  return out;
}

bool isComplete(const api::PolicyHeadPeer& one, const Peers& peers) {
  const auto found = peers.find({one.podNetworkName, one.peer});
  if (found == peers.end()) return one.slices <= 0 && one.members <= 0;
  return std::cmp_greater_equal(found->second->from.size(), one.slices) &&
         std::cmp_greater_equal(found->second->count, one.members);
}

bool isComplete(const api::PolicyHead& head, const Peers& peers) {
  return std::ranges::all_of(
      head.peers, [&](const api::PolicyHeadPeer& one) { return isComplete(one, peers); });
}

/// Those of whom all are known.
using Resolved = std::set<At>;

/// Whether a rule's peers are among them, on the network.
bool isResolved(const policy::ClusterRule& rule, api::PolicyType direction,
                const std::string& network, const Resolved& resolved) {
  policy::ClusterRules alone;
  (direction == api::PolicyType::Ingress ? alone.ingress : alone.egress) = {rule};
  return std::ranges::all_of(policy::peersOf(alone), [&](const policy::Peer& peer) {
    return resolved.contains({network, policy::peerHash(peer)});
  });
}

/// Whom a rule denies, or leaves to others, it must know: else it denies everybody.
std::shared_ptr<const ClusterTold> toldOf(const api::ClusterPodNetworkPolicy& policy,
                                          Resolved resolved) {
  auto out = std::make_shared<ClusterTold>();
  const policy::ClusterRules all = policy::rulesOf(policy);
  for (const std::string& network : policy.spec.podNetworkNames) {
    policy::ClusterRules& rules = out->rules.emplace(network, all).first->second;
    for (const auto direction : {api::PolicyType::Ingress, api::PolicyType::Egress}) {
      auto& those = direction == api::PolicyType::Ingress ? rules.ingress : rules.egress;
      for (policy::ClusterRule& rule : those) {
        const bool isAccept = rule.action == api::ClusterPolicyAction::Accept;
        if (isAccept || isResolved(rule, direction, network, resolved)) continue;
        rule.action = api::ClusterPolicyAction::Deny;
        rule.rule = {};
      }
    }
  }
  out->spec = policy.spec;
  out->resolved = std::move(resolved);
  return out;
}

/// Of two heads of one name: whether this one counts.
bool isNewer(const Slice& one, const Slice& than) {
  if (one.policyUID != than.policyUID) return revisionOf(one) > revisionOf(than);
  return std::pair(one.head->policyGeneration, revisionOf(one)) >
         std::pair(than.head->policyGeneration, revisionOf(than));
}

/// Of a head with such a spec; `before`: of the same generation, or null.
void readCluster(const Slice& head, const Told* before, Told& into) {
  into.policy.metadata.nameSpace.clear();
  into.policy.metadata.name = head.clusterPolicyName;
  into.policy.spec.podNetworkNames = head.head->clusterSpec->podNetworkNames;
  Resolved resolved;
  bool areAllRead = true;
  for (const api::PolicyHeadPeer& one : head.head->peers) {
    const auto found = into.peers.find({one.podNetworkName, one.peer});
    const bool isRead = found == into.peers.end() || found->second->unread == 0;
    const bool isKnown = isRead && (into.complete || isComplete(one, into.peers));
    if (isKnown) resolved.insert({one.podNetworkName, one.peer});
    areAllRead = areAllRead && isRead;
  }
  into.complete = into.complete && areAllRead;
  // A generation that another version of the controller wrote may say more.
  const bool isSame = before != nullptr && before->cluster &&
                      before->cluster->resolved == resolved &&
                      before->cluster->spec == *head.head->clusterSpec;
  into.cluster =
      isSame ? before->cluster
             : toldOf({into.policy.metadata, *head.head->clusterSpec, {}}, std::move(resolved));
}

ToldPtr toldOf(const Slice& head, std::map<At, Slices> members, const ToldPtr& before,
               std::uint64_t& version) {
  auto out = std::make_shared<Told>();
  out->uid = head.policyUID;
  out->revision = revisionOf(head);
  out->generation = head.head->policyGeneration;
  const bool isDefault = head.policyName.empty() && head.clusterPolicyName.empty();
  out->network = isDefault ? head.head->podNetworkName : "";
  out->policy.metadata.nameSpace = head.metadata.nameSpace;
  out->policy.metadata.name = head.policyName;
  out->policy.metadata.uid = head.policyUID;
  if (head.head->spec) out->policy.spec = *head.head->spec;
  const bool isSame = before != nullptr && before->uid == out->uid;
  for (auto& [at, from] : members) {
    const auto known = isSame ? before->peers.find(at) : Peers::const_iterator();
    const bool keeps = isSame && known != before->peers.end() && known->second->from == from;
    out->peers.emplace(
        at, keeps ? known->second : membersOf(std::move(from), out->uid, at.second, version));
  }
  const Told* const same = isSame && before->generation == out->generation ? before.get() : nullptr;
  out->since = same != nullptr ? same->since : out->revision;
  out->complete = isComplete(*head.head, out->peers) || (same != nullptr && same->complete);
  if (head.head->clusterSpec) readCluster(head, same, *out);
  return out;
}

/// Puts the slices of one namespace together: of each policy the newest head, with its members;
/// `before` has what was read of the same slices already.
std::map<std::string, ToldPtr> read(Slices slices, const std::map<std::string, ToldPtr>& before,
                                    std::uint64_t& version) {
  std::ranges::sort(slices, {}, [](const auto& one) { return one->metadata.name; });
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
    out[name] = toldOf(*head, members[head->policyUID],
                       known == before.end() ? nullptr : known->second, version);
  }
  return out;
}

using Entries = std::vector<api::PolicyMember>;
/// Version of those of whom nothing was told; no Book gives it.
constexpr std::uint64_t kNobody = std::numeric_limits<std::uint64_t>::max();

/// Without what two lists of them begin and end with alike.
std::pair<std::span<const api::PolicyMember>, std::span<const api::PolicyMember>> differing(
    const Entries& one, const Entries& other) {
  std::span<const api::PolicyMember> a(one);
  std::span<const api::PolicyMember> b(other);
  const auto begin = static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
  a = a.subspan(begin);
  b = b.subspan(begin);
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    a = a.first(a.size() - 1);
    b = b.first(b.size() - 1);
  }
  return {a, b};
}

const Entries& entriesOf(const std::shared_ptr<const Slice>& slice) {
  static const Entries kNone;
  return slice == nullptr ? kNone : slice->members->entries;
}

/// By name.
void exchangeIn(Slices& all, const Slice* gone, const std::shared_ptr<const Slice>& come) {
  if (gone != nullptr) {
    std::erase_if(all, [&](const auto& one) { return one.get() == gone; });
  }
  if (come == nullptr) return;
  const auto name = [](const auto& one) -> const std::string& { return one->metadata.name; };
  all.insert(std::ranges::upper_bound(all, come->metadata.name, {}, name), come);
}

/// Which of a peer's Named it is one of, and its address there; null: of none.
std::pair<policy::Named*, IpAddress> placeOf(const api::PolicyMember& member, Members& all) {
  const auto address = IpAddress::parse(member.address);
  if (!address || (member.port && !isPort(*member.port))) return {};
  if (!member.port) return {&all.all, *address};
  const auto port = all.byPort.find(static_cast<std::uint16_t>(*member.port));
  return {port == all.byPort.end() ? nullptr : &port->second, *address};
}

/// Whether each of them is of a port that is known already.
bool areOfKnownPorts(std::span<const api::PolicyMember> entries, const Members& all) {
  return std::ranges::all_of(entries, [&](const api::PolicyMember& one) {
    return !one.port ||
           (isPort(*one.port) && all.byPort.contains(static_cast<std::uint16_t>(*one.port)));
  });
}

/// Whether both tell of the same peers, whoever these are.
bool haveSamePeers(const api::PolicyHead& before, const api::PolicyHead& after) {
  return std::ranges::equal(before.peers, after.peers, [](const auto& one, const auto& other) {
    return one.podNetworkName == other.podNetworkName && one.peer == other.peer;
  });
}

bool isSameButForMembers(const Slice& before, const Slice& after) {
  return before.policyUID == after.policyUID && before.policyName == after.policyName &&
         before.clusterPolicyName == after.clusterPolicyName &&
         before.head->policyGeneration == after.head->policyGeneration &&
         before.head->spec == after.head->spec &&
         before.head->clusterSpec == after.head->clusterSpec &&
         (!after.head->clusterSpec || haveSamePeers(*before.head, *after.head)) &&
         before.head->podNetworkName == after.head->podNetworkName;
}

/// Of a namespace's slices: the policies of the cluster that were looked at for it.
std::map<std::string, std::int64_t> ledgerIn(const Slices& slices) {
  std::map<std::string, std::int64_t> generations;
  for (const auto& slice : slices) {
    if (!slice->ledger) continue;
    for (const api::PolicyLedgerEntry& one : slice->ledger->clusterPolicies) {
      generations[one.uid] = one.generation;
    }
  }
  return generations;
}

bool isLedger(const std::shared_ptr<const Slice>& slice) {
  return slice == nullptr || slice->ledger;
}

}  // namespace

BookChange Book::update(const std::string& nameSpace, Slices slices, BootTime now) {
  const auto [at, isFirst] = spaces_.try_emplace(nameSpace);
  Space& space = at->second;
  std::ranges::sort(slices);
  if (!isFirst && slices == space.slices) return {};
  auto members = isFirst ? std::nullopt : changeMembers(space, slices);
  space.slices = std::move(slices);
  space.ledger = ledgerIn(space.slices);
  if (members) return {BookChange::What::Members, *std::move(members)};
  space.told = read(space.slices, space.told, version_);
  std::erase_if(space.holdings, [&](const auto& holding) {
    const ToldPtr& held = holding.second.held;
    return !space.told.contains(holding.first) && (held == nullptr || held->cluster == nullptr);
  });
  for (const auto& [name, told] : space.told) take(space.holdings[name], told, isFirst, now);
  return {BookChange::What::All, {}};
}

bool Book::release(const std::string& nameSpace,
                   const std::function<bool(const std::string& uid)>& isThere) {
  const auto found = spaces_.find(nameSpace);
  if (found == spaces_.end()) return false;
  Space& space = found->second;
  const std::size_t released = std::erase_if(space.holdings, [&](const auto& holding) {
    if (space.told.contains(holding.first)) return false;
    const std::string& uid = holding.second.held->uid;
    return space.ledger.contains(uid) || !isThere(uid);
  });
  return released > 0;
}

/// By name. Both are in the order of their addresses in memory.
std::map<std::string, Book::Exchange> Book::exchanges(const Slices& before, const Slices& after) {
  Slices gone;
  Slices come;
  std::ranges::set_difference(before, after, std::back_inserter(gone));
  std::ranges::set_difference(after, before, std::back_inserter(come));
  std::map<std::string, Exchange> out;
  for (auto& one : gone) out[one->metadata.name].gone = one;
  for (auto& one : come) out[one->metadata.name].come = one;
  return out;
}

/// nullopt: it isn't of members alone, of a policy that holds for all pods.
std::optional<Book::Shift> Book::shiftOf(const Space& space, const Exchange& exchange) {
  const Slice& one = exchange.come != nullptr ? *exchange.come : *exchange.gone;
  const auto told = space.told.find(nameOf(one));
  const auto holding = space.holdings.find(nameOf(one));
  if (told == space.told.end() || holding == space.holdings.end()) return std::nullopt;
  const bool isHeld = holding->second.held == told->second && holding->second.next == nullptr;
  if (!isHeld || !told->second->complete) return std::nullopt;
  for (const auto& slice : {exchange.gone, exchange.come}) {
    if (slice != nullptr && slice->policyUID != told->second->uid) return std::nullopt;
  }
  const bool isOfHeads = exchange.gone != nullptr && exchange.come != nullptr &&
                         exchange.gone->head && exchange.come->head;
  if (isOfHeads) {
    if (!isSameButForMembers(*exchange.gone, *exchange.come)) return std::nullopt;
    return Shift{nullptr, "", "", {exchange}};
  }
  const auto at = [](const Slice& slice) {
    return At{slice.members->podNetworkName, slice.members->peer};
  };
  for (const auto& slice : {exchange.gone, exchange.come}) {
    if (slice != nullptr && (!slice->members || slice->head || at(*slice) != at(one))) {
      return std::nullopt;
    }
  }
  const auto peer = told->second->peers.find(at(one));
  if (peer == told->second->peers.end()) return std::nullopt;
  const bool isOfCluster = told->second->cluster != nullptr;
  return Shift{peer->second, at(one).first, isOfCluster ? told->second->uid : "", {exchange}};
}

/// nullopt, and nothing done: more than members of policies that hold for all pods changed.
std::optional<std::vector<BookChange::OnNetwork>> Book::changeMembers(Space& space,
                                                                      const Slices& after) {
  std::map<Members*, Shift> shifts;
  std::vector<std::shared_ptr<const Slice>> heads;
  for (const auto& [name, exchange] : exchanges(space.slices, after)) {
    if (isLedger(exchange.gone) && isLedger(exchange.come)) continue;
    auto one = shiftOf(space, exchange);
    if (!one) return std::nullopt;
    if (one->members == nullptr) {
      heads.push_back(exchange.come);
      continue;
    }
    const auto [gone, come] = differing(entriesOf(exchange.gone), entriesOf(exchange.come));
    if (!areOfKnownPorts(come, *one->members)) return std::nullopt;
    // They are counted anew.
    const bool areRead =
        std::ranges::all_of(gone, isReadable) && std::ranges::all_of(come, isReadable);
    if (!areRead) return std::nullopt;
    const auto [shift, isNew] = shifts.try_emplace(one->members.get(), *one);
    if (!isNew) shift->second.slices.push_back(exchange);
  }
  std::vector<BookChange::OnNetwork> out;
  bool isWhole = true;
  for (const auto& [members, one] : shifts) isWhole = shift(one, out) && isWhole;
  if (!isWhole) {
    for (const auto& [members, one] : shifts) members->from.clear();  // to be read again
    return std::nullopt;
  }
  for (const auto& head : heads) {
    ToldPtr& told = space.told.at(nameOf(*head));
    auto next = std::make_shared<Told>(*told);
    next->revision = revisionOf(*head);
    told = space.holdings.at(nameOf(*head)).held = std::move(next);
  }
  return out;
}

/// False where a port isn't anybody's any more.
bool Book::shift(const Shift& shift, std::vector<BookChange::OnNetwork>& out) {
  Members& members = *shift.members;
  std::map<policy::Named*, std::map<IpAddress, bool>> touched;  // whether it was there
  const auto touch = [&](const api::PolicyMember& entry) {
    const auto [named, address] = placeOf(entry, members);
    if (named != nullptr) touched[named].try_emplace(address, named->members.contains(address));
    return std::pair(named, address);
  };
  // First who comes, so that one which only changes its slice stays.
  for (const auto& [gone, come] : shift.slices) {
    for (const auto& entry : differing(entriesOf(gone), entriesOf(come)).second) {
      members.digest += digestOf(entry);
      const auto [named, address] = touch(entry);
      if (named != nullptr) ++named->members[address];
    }
  }
  for (const auto& [gone, come] : shift.slices) {
    for (const auto& entry : differing(entriesOf(gone), entriesOf(come)).first) {
      members.digest -= digestOf(entry);
      const auto [named, address] = touch(entry);
      if (named != nullptr && --named->members[address] == 0) named->members.erase(address);
    }
    members.count += entriesOf(come).size();
    members.count -= entriesOf(gone).size();
    exchangeIn(members.from, gone.get(), come);
  }
  bool areAllSomebodys = true;
  for (const auto& [named, addresses] : touched) {
    policy::MemberChange change{named->key, named->version, 0};
    for (const auto& [address, wasThere] : addresses) {
      const bool isThere = named->members.contains(address);
      if (wasThere && !isThere) change.gone.push_back(address);
      if (!wasThere && isThere) change.come.push_back(address);
    }
    if (change.gone.empty() && change.come.empty()) continue;
    change.after = named->version = ++version_;
    areAllSomebodys = areAllSomebodys && (named == &members.all || !named->members.empty());
    out.push_back({shift.network, std::move(change), shift.cluster});
  }
  return areAllSomebodys;
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

bool Book::isInLedger(const std::string& nameSpace, const k8s::ObjectMeta& policy,
                      const std::string& network) const {
  const auto space = spaces_.find(nameSpace);
  if (space == spaces_.end()) return false;
  const auto entry = space->second.ledger.find(policy.uid);
  if (entry == space->second.ledger.end()) return false;
  // The caches may be at different moments: the ledger may be the newer one.
  if (entry->second >= policy.generation) return true;
  return std::ranges::any_of(space->second.told, [&](const auto& one) {
    return one.second->uid == policy.uid && one.second->rulesOn(network) != nullptr;
  });
}

std::optional<std::string> Book::toldLater(const std::string& nameSpace, const std::string& uid,
                                           const std::string& network) const {
  const auto toldOf = [&](const Space& space) -> const Told* {
    const auto is = [&](const auto& one) { return one.second->uid == uid; };
    const auto found = std::ranges::find_if(space.told, is);
    return found == space.told.end() ? nullptr : found->second.get();
  };
  const auto digest = [&](const Told& told) {
    std::map<std::string, std::uint64_t> out;
    for (const auto& [at, members] : told.peers) {
      if (at.first == network && members->count > 0) out.emplace(at.second, members->digest);
    }
    return out;
  };
  const auto at = spaces_.find(nameSpace);
  const Told* own = at == spaces_.end() ? nullptr : toldOf(at->second);
  if (own == nullptr) return std::nullopt;
  std::optional<std::string> latest;
  std::uint64_t revision = own->revision;
  for (const auto& [name, space] : spaces_) {
    const Told* other = toldOf(space);
    if (other == nullptr || other->revision <= revision || other->generation != own->generation ||
        !other->complete || digest(*other) == digest(*own)) {
      continue;
    }
    latest = name;
    revision = other->revision;
  }
  return latest;
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
  return nobody_.try_emplace(key, policy::Named{.key = key, .version = kNobody}).first->second;
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
