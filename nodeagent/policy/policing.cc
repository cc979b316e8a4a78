#include "nodeagent/policy/policing.h"

#include <algorithm>
#include <unordered_map>

#include "lib/api/net_admin.h"
#include "lib/base/log.h"
#include "nodeagent/attach/ports.h"

namespace multinet::agent::policing {
namespace {

/// Whether a policy is about the interface of a pod that is on that network alone.
bool concerns(const Told& told, const policy::Pod& pod, const std::string& network) {
  if (const auto* rules = told.rulesOn(network)) {
    return policy::selectsWithin(*rules, pod, network);
  }
  const auto& names = told.policy.spec.podNetworkNames;
  return told.cluster == nullptr && std::ranges::find(names, network) != names.end() &&
         told.policy.spec.podSelector.matches(pod.labels);
}

/// Whether they are the same to policies. A look at a pod tells of it each time.
bool isSame(const attach::Policeable& one, const attach::Policeable& other) {
  const auto isAlike = [](const InterfacePlan& a, const InterfacePlan& b) {
    return a.name == b.name && a.network == b.network && a.networkUid == b.networkUid &&
           a.link == b.link && a.addresses == b.addresses;
  };
  return one.unseen == other.unseen &&
         std::ranges::equal(one.interfaces, other.interfaces, isAlike);
}

/// Whether it is known where the node's end is. Of a PodInterfaceSet alone it isn't.
bool isEndKnown(const InterfacePlan& plan) {
  return attach::hasEnd(plan) && !plan.networkUid.empty() && !parentOf(plan.link).empty();
}

/// As the API has it, but for its interfaces.
std::optional<policy::Pod> identityOf(const k8s::Pod& pod) {
  api::PodInterfaceSet none;
  none.pod.uid = pod.metadata.uid;
  return policy::podOf(pod, none);
}

Error unknown(const attach::Policeable& pod, const std::string& what) {
  return {Code::Unavailable, "PoliciesUnknown",
          "hold pod " + pod.pod.str() + " to policies: " + what};
}

}  // namespace

Policing::Policing(watch::Caches& caches, Kernel kernel, std::function<Result<Ends>()> ends,
                   PolicingReports reports, const Clock& clock, PolicingOptions options)
    : caches_(caches),
      kernel_(std::move(kernel)),
      findEnds_(std::move(ends)),
      reports_(std::move(reports)),
      clock_(clock),
      options_(std::move(options)),
      book_(options_.patience),
      gather_(lane_, options_.gather, [this] { inTurn([this] { work(); }); }),
      lane_("policies", clock) {}

PolicingCounts Policing::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::shared_ptr<const Admissions> Policing::admissions(const NetworkUid& network) {
  static const auto kNobody = std::make_shared<const Admissions>();
  const std::lock_guard lock(mutex_);
  if (asked_.insert(network).second) gather_.ask();
  if (!admissionsKnown_) return nullptr;
  const auto found = admissions_.find(network);
  return found == admissions_.end() ? kNobody : found->second;
}

void Policing::put(Joining joining) {
  {
    const std::lock_guard lock(mutex_);
    const auto [heard, isNew] = heard_.try_emplace(joining.pod.intent, joining.pod);
    if (!isNew && !joining.done && isSame(heard->second, joining.pod)) return;
    heard->second = joining.pod;
    inbox_.push_back(std::move(joining));
  }
  lane_.post([this] { inTurn([this] { work(); }); });
}

void Policing::join(attach::Policeable pod, async::Answer<void> done) {
  put({std::move(pod), true, std::move(done)});
}

void Policing::known(attach::Policeable pod) {
  put({std::move(pod)});
}

void Policing::recovered() {
  {
    const std::lock_guard lock(mutex_);
    allKnown_ = true;
  }
  gather_.ask();
}

void Policing::takeInbox() {
  std::vector<Joining> inbox;
  bool allKnown = false;
  {
    const std::lock_guard lock(mutex_);
    inbox.swap(inbox_);
    allKnown = allKnown_;
  }
  const BootTime now = clock_.now();
  for (Joining& one : inbox) {
    const IntentId intent = one.pod.intent;
    forgetUnseen(one.pod);
    auto [at, isNew] = members_.try_emplace(intent, Member{one.pod});
    Member& member = at->second;
    const bool isOther = isNew || !isSame(member.pod, one.pod);
    if (isOther && !isNew) dirtyOf(member);  // those that it isn't on any more
    member.pod = std::move(one.pod);
    member.as.clear();
    claimEnds(member);
    if (one.ours && member.ends.empty()) {
      member.joined = now;
      member.ours = true;
    }
    for (const InterfacePlan& plan : member.pod.interfaces) {
      Network& network = networks_[plan.networkUid];
      network.name = plan.network.str();
      if (isEndKnown(plan)) network.bridge = parentOf(plan.link);
      network.dirty = network.dirty || (isOther && !isYetToBeHeld(member, plan));
    }
    if (one.done) waiting_.push_back({intent, now + options_.joinPatience, std::move(*one.done)});
  }
  if (allKnown && !recovered_) findEnds();
}

/// Who was looked into since has the intent of the links that were found.
void Policing::forgetUnseen(const attach::Policeable& seen) {
  for (auto next = members_.begin(); next != members_.end();) {
    const auto one = next++;
    const attach::Policeable& pod = one->second.pod;
    if (!pod.unseen || pod.pod != seen.pod || pod.intent == seen.intent) continue;
    {
      const std::lock_guard lock(mutex_);
      heard_.erase(one->first);
    }
    members_.erase(one);
  }
}

/// What an earlier agent made has names that the kernel alone knows for certain.
void Policing::findEnds() {
  const auto ends = findEnds_();
  if (!ends) {
    log::warn("can't look for the links of pods, trying again", {{"error", ends.error()}});
    return lookAt(clock_.now() + options_.retry);
  }
  for (const auto& [at, end] : *ends) {
    if (const auto network = options_.gatewayOf(at.first)) {
      putGateway(*network, end.name);
    } else {
      unclaimed_.emplace(at, end);
    }
  }
  for (auto& [intent, member] : members_) claimEnds(member);
  gatewayAddresses_.merge(options_.gatewaysThere());
  recovered_ = true;
  metBy_ = clock_.now() + options_.meeting;
  if (kernel_.commitInPods) lookAt(metBy_);
}

/// After a lost journal the kernel alone tells of a pod's links, and not of which network they are.
void Policing::claimEnds(Member& member) {
  for (const InterfacePlan& plan : member.pod.interfaces) {
    const auto end = unclaimed_.find({member.pod.intent, plan.name.str()});
    if (end == unclaimed_.end() || !isEndKnown(plan)) continue;
    member.ends.try_emplace(plan.name.str(), end->second.name);
    networks_[plan.networkUid].dirty = true;
    unclaimed_.erase(end);
  }
}

/// Who may have an end that nobody claims, on whatever network it is; null: nobody of whom is told.
const Policing::Member* Policing::mayHave(const At& at) const {
  const auto found = std::ranges::find_if(members_, [&](const auto& one) {
    const auto isIt = [&](const auto& plan) {
      return plan.name.str() == at.second && attach::hasEnd(plan);
    };
    const attach::Policeable& pod = one.second.pod;
    return pod.unseen || (one.first == at.first && std::ranges::any_of(pod.interfaces, isIt));
  });
  return found == members_.end() ? nullptr : &found->second;
}

void Policing::refresh() {
  const auto all = caches_.pods();
  std::unordered_map<std::string_view, const std::shared_ptr<const k8s::Pod>*> pods;
  pods.reserve(all.size());
  for (const auto& pod : all) pods.emplace(pod->metadata.uid, &pod);
  std::set<std::string> spaces;
  for (auto& [intent, member] : members_) {
    spaces.insert(member.pod.pod.namespaceName);
    const auto found = pods.find(member.pod.pod.uid.str());
    if (found != pods.end()) readPod(member, *found->second);
    const bool isGone = found == pods.end() && member.read != nullptr;
    if (std::exchange(member.gone, isGone) != isGone) dirtyOf(member);
  }
  readNetworks();
  const BootTime now = clock_.now();
  std::set<std::string> changed = book_.settle(now);
  for (const std::string& space : spaces) {
    if (readPolicies(space, now)) changed.insert(space);
  }
  book_.keepOnly(spaces);
  hearSpeakers(now);
  for (const auto& [intent, member] : members_) {
    if (changed.contains(member.pod.pod.namespaceName)) dirtyOf(member);
  }
  if (const auto next = book_.next()) lookAt(*next);
}

void Policing::readPod(Member& member, const std::shared_ptr<const k8s::Pod>& pod) {
  if (pod == member.read) return;
  member.read = pod;
  auto undoer = api::whoMayChangeNetwork(pod->spec);
  auto who = identityOf(*pod);
  if (!who || (who == member.who && undoer == member.undoer)) return;
  member.who = std::move(who);
  member.undoer = std::move(undoer);
  member.as.clear();
  for (const InterfacePlan& plan : member.pod.interfaces) {
    if (!isYetToBeHeld(member, plan)) networks_[plan.networkUid].dirty = true;
  }
}

/// Its network is committed with it right before its link is made, and not earlier.
bool Policing::isYetToBeHeld(const Member& member, const InterfacePlan& plan) {
  return member.ours && attach::isCovered(plan) && !member.ends.contains(plan.name.str());
}

policy::Pod& Policing::podOn(Member& member, const InterfacePlan& plan) {
  const auto [at, isNew] = member.as.try_emplace(plan.name.str());
  policy::Pod& pod = at->second;
  if (!isNew) return pod;
  if (member.who) pod = *member.who;
  pod.key = {member.pod.pod.namespaceName, member.pod.pod.name};
  pod.interfaces = {{plan.network.str(), {}}};
  return pod;
}

/// Whether more than members changed.
bool Policing::readPolicies(const std::string& space, BootTime now) {
  if (!caches_.needPolicies(space)) return false;
  auto slices = caches_.policiesOf(space);
  if (!slices) return false;
  const BookChange change = book_.update(space, *std::move(slices), now);
  areApart_ = areApart_ || change.what != BookChange::What::Nothing;
  const bool isReleased = book_.release(space, [&](const std::string& uid) {
    const auto policies = caches_.clusterPolicies();
    return !policies || std::ranges::any_of(
                            *policies, [&](const auto& one) { return one->metadata.uid == uid; });
  });
  for (const BookChange::OnNetwork& one : change.members) {
    for (auto& [uid, network] : networks_) {
      if (network.name != one.network) continue;
      const auto speaker = network.speakers.find(one.cluster);
      const bool isAnothers =
          speaker != network.speakers.end() && speaker->second.nameSpace != space;
      if (!isAnothers) {
        follow(uid, network, one.change);
      } else if (!speaker->second.isForAll) {
        network.dirty = true;
      }
    }
  }
  return isReleased || change.what == BookChange::What::All;
}

/// All namespaces are told of a policy's peers alike, but not at one moment; and one that is about
/// to go is told no more.
void Policing::hearSpeakers(BootTime now) {
  if (!std::exchange(areApart_, false)) return;
  for (auto& [uid, network] : networks_) {
    for (auto& [policy, speaker] : network.speakers) {
      auto later = speaker.isForAll ? book_.toldLater(speaker.nameSpace, policy, network.name)
                                    : std::nullopt;
      if (!later) {
        speaker.since.reset();
        speaker.after.reset();
        continue;
      }
      areApart_ = true;
      if (!speaker.since) speaker.since = now;
      const BootTime until = *speaker.since + options_.speakerPatience;
      if (until > now) {
        lookAt(until);
      } else {
        speaker.after = std::move(later);
        network.dirty = true;
      }
    }
  }
}

void Policing::readNetworks() {
  for (const auto& network : caches_.networks()) {
    const NetworkUid uid(network->metadata.uid);
    const auto held = networks_.find(uid);
    if (held == networks_.end()) continue;
    const Written now{network->spec.defaultPolicy, network->spec.trackConnections,
                      network->spec.portSecurity == api::PortSecurity::Enforced};
    const auto [at, isNew] = written_.try_emplace(uid, now);
    if (!isNew && at->second == now) continue;
    if (!isNew && at->second.byDefault != now.byDefault) {
      held->second.former.reset();
      if (now.byDefault == api::DefaultPolicy::SameNamespace) {
        held->second.former = Former{at->second.byDefault, clock_.now() + options_.patience};
      }
    }
    at->second = now;
    held->second.dirty = true;
  }
}

Policing::Written Policing::writtenOf(const NetworkUid& uid) const {
  const auto found = written_.find(uid);
  return found == written_.end() ? Written{} : found->second;
}

bool Policing::isOfCluster(const std::string& network) const {
  const auto policies = caches_.clusterPolicies();
  return policies && std::ranges::any_of(*policies, [&](const auto& policy) {
           const auto& names = policy->spec.podNetworkNames;
           return std::ranges::find(names, network) != names.end();
         });
}

void Policing::dirtyOf(const Member& member) {
  for (const InterfacePlan& plan : member.pod.interfaces) networks_[plan.networkUid].dirty = true;
}

Status Policing::isKnown(const Member& member) const {
  const std::string& space = member.pod.pod.namespaceName;
  if (!book_.knows(space)) {
    const Status needed = caches_.needPolicies(space);
    return fail(unknown(
        member.pod, needed ? "those of its namespace aren't read yet" : needed.error().message));
  }
  if (!member.who && member.ours) {
    return fail(unknown(member.pod, "the API server hasn't told of the pod yet"));
  }
  return {};
}

/// Of a pod that runs this isn't asked: it is held to what it was, till it is told otherwise.
Status Policing::isInLedgers(const Member& member) const {
  const auto policies = caches_.clusterPolicies();
  if (!policies) return fail(unknown(member.pod, policies.error().message));
  const std::string& space = member.pod.pod.namespaceName;
  for (const auto& policy : *policies) {
    const auto& names = policy->spec.podNetworkNames;
    const auto isUntold = [&](const InterfacePlan& plan) {
      const std::string& network = plan.network.str();
      return attach::isCovered(plan) && std::ranges::find(names, network) != names.end() &&
             !book_.isInLedger(space, policy->metadata, network);
    };
    if (std::ranges::none_of(member.pod.interfaces, isUntold)) continue;
    return fail(unknown(
        member.pod, "nobody has told whether ClusterPodNetworkPolicy \"" + policy->metadata.name +
                        "\", generation " + std::to_string(policy->metadata.generation) +
                        ", selects namespace \"" + space + "\": is a controller running?"));
  }
  return {};
}

Status Policing::isPastFormer(const Member& member) const {
  for (const InterfacePlan& plan : member.pod.interfaces) {
    const auto network = networks_.find(plan.networkUid);
    const bool isOpen = network != networks_.end() && network->second.former &&
                        network->second.former->byDefault == api::DefaultPolicy::Allow;
    if (!isOpen || !attach::isCovered(plan)) continue;
    return fail(unknown(member.pod, "nobody has told yet who is of which namespace on network \"" +
                                        plan.network.str() +
                                        "\", whose default has just become SameNamespace"));
  }
  return {};
}

Status Policing::isKnown(const NetworkUid& uid, const Network& network) const {
  MULTINET_CHECK(caches_.synced());
  for (const auto& [at, end] : unclaimed_) {
    const bool isOnIt = !end.bridge.empty() && end.bridge == network.bridge;
    const Member* const member = isOnIt ? mayHave(at) : nullptr;
    if (member == nullptr) continue;
    return fail(unknown(member->pod, "link \"" + end.name + "\" on bridge \"" + end.bridge +
                                         "\" may be its, and its networks aren't confirmed yet by "
                                         "its PodInterfaceSet; if they never are, delete the pod"));
  }
  for (const auto& [intent, member] : members_) {
    for (const InterfacePlan& plan : member.pod.interfaces) {
      if (!member.ends.contains(plan.name.str())) continue;
      if (plan.networkUid == uid) MULTINET_CHECK(isKnown(member));
      // One made again under its name may have its bridge too, where that has a name of its own.
      const bool isOnIt = plan.networkUid == uid ||
                          (!network.bridge.empty() && parentOf(plan.link) == network.bridge);
      if (!isOnIt || written_.contains(plan.networkUid)) continue;
      return fail(unknown(member.pod, "its PodNetwork \"" + plan.network.str() + "\" of UID " +
                                          plan.networkUid.str() +
                                          " isn't there any more, and it is held to what it was; "
                                          "delete the pod"));
    }
  }
  return {};
}

bool Policing::isComplete(const Member& member, const policy::Pod& pod,
                          const InterfacePlan& plan) const {
  const std::string& space = member.pod.pod.namespaceName;
  bool isAny = false;
  for (const ToldPtr& told : book_.policiesFor(space, member.joined)) {
    if (!member.who || !concerns(*told, pod, plan.network.str())) continue;
    if (!told->complete) return false;
    isAny = isAny || told->cluster == nullptr;
  }
  const Written written = writtenOf(plan.networkUid);
  if (isAny || written.byDefault != api::DefaultPolicy::SameNamespace) return true;
  const ToldPtr told = book_.defaultOf(space, plan.networkUid);
  return told != nullptr && told->complete;
}

void Policing::answerWaiting() {
  const BootTime now = clock_.now();
  std::vector<Waiting> rest;
  const auto answer = [this](const Waiting& one, Status status) {
    answers_.emplace_back([done = one.done, status = std::move(status)] { done(status); });
  };
  for (Waiting& one : waiting_) {
    const auto found = members_.find(one.intent);
    if (found == members_.end()) {
      answer(one,
             fail(Code::Cancelled, "Aborted", "hold a pod to policies: nobody wants it any more"));
      continue;
    }
    Member& member = found->second;
    Status known = isKnown(member);
    if (known && member.ends.empty()) known = isInLedgers(member);
    if (known && member.ends.empty()) known = isPastFormer(member);
    const bool isWhole = std::ranges::all_of(member.pod.interfaces, [&](const auto& plan) {
      return !attach::isCovered(plan) || isComplete(member, podOn(member, plan), plan);
    });
    const bool isAny = std::ranges::any_of(member.pod.interfaces, attach::isCovered);
    const bool isLate = one.until <= now;
    if (!isAny || (known && (isWhole || isLate))) {
      answer(one, {});
    } else if (isLate) {
      answer(one, fail(known.error()));
    } else {
      lookAt(one.until);
      rest.push_back(std::move(one));
    }
  }
  waiting_ = std::move(rest);
}

void Policing::work() {
  takeInbox();
  refresh();
  commitDirty();
  answerWaiting();
  tell();
}

void Policing::lookAt(BootTime when) {
  if (lookAt_ && *lookAt_ <= when) return;
  lookAt_ = when;
  lane_.postAfter(std::max(Duration{}, Duration(when - clock_.now())), [this, when] {
    inTurn([this, when] {
      if (lookAt_ != when) return;  // an earlier one came in between
      lookAt_.reset();
      work();
    });
  });
}

Status Policing::hold(const IntentId& intent, const std::vector<isolation::Port>& ports,
                      const std::vector<attach::PodPort>& inPod) {
  if (ports.empty() && inPod.empty()) return {};
  if (options_.gatewayOf(intent)) {
    // Nothing of it is held up, whatever the kernel says: at worst its checks are denied.
    inTurn([&] {
      for (const isolation::Port& port : ports) putGateway(port.network, port.name);
      for (const attach::PodPort& port : inPod) putGateway(port);
      commitDirty();
      tell();
    });
    return {};
  }
  std::vector<End> ends;
  ends.reserve(ports.size() + inPod.size());
  for (const isolation::Port& port : ports) {
    ends.push_back({port.interface, port.name, port.network});
  }
  for (const attach::PodPort& port : inPod) {
    ends.push_back({port.interface, port.name, port.network, &port});
  }
  Status held;
  inTurn([&] { held = holdNow(intent, ends); });
  return held;
}

void Policing::putGateway(const NetworkUid& network, const std::string& port) {
  if (!gateways_[network].insert(port).second) return;
  const auto known = networks_.find(network);
  if (known != networks_.end()) known->second.dirty = true;
}

/// A node has one gateway to a network, with one port.
void Policing::putGateway(const attach::PodPort& port) {
  const std::set<IpAddress> addresses(port.addresses.begin(), port.addresses.end());
  if (std::exchange(gatewayAddresses_[port.network], addresses) == addresses) return;
  const auto known = networks_.find(port.network);
  if (known != networks_.end()) known->second.dirty = true;
}

void Policing::releaseGateway(const NetworkUid& network) {
  const bool hadPorts = gateways_.erase(network) > 0;
  const bool hadAddresses = gatewayAddresses_.erase(network) > 0;
  const auto known = networks_.find(network);
  if (known != networks_.end() && (hadPorts || hadAddresses)) known->second.dirty = true;
}

Status Policing::holdNow(const IntentId& intent, const std::vector<End>& ends) {
  takeInbox();
  const auto found = members_.find(intent);
  if (found == members_.end()) {
    return fail(Code::Internal, "PoliciesUnknown",
                "hold ports of " + intent.str() + " to policies: nobody told whose they are");
  }
  Member& member = found->second;
  const bool isHeld = std::ranges::all_of(ends, [&](const End& end) {
    const auto known = member.ends.find(end.interface);
    return known != member.ends.end() && known->second == end.name && !networks_[end.network].dirty;
  });
  if (isHeld) return {};
  const bool begins = member.ends.empty() && member.ours;
  for (const End& end : ends) {
    std::erase_if(unclaimed_, [&](const auto& one) { return one.second.name == end.name; });
    // A sandbox whose intent has another name by now. In a pod the same link goes on.
    for (auto& [other, one] : members_) {
      if (end.inPod != nullptr) {
        std::erase_if(one.inPod, [&](const auto& is) { return is.second.name == end.name; });
      }
      std::erase_if(one.ends, [&](const auto& is) { return is.second == end.name; });
    }
  }
  for (const End& end : ends) {
    const auto before = member.inPod.find(end.interface);
    if (before != member.inPod.end() && kernel_.leave) kernel_.leave(before->second);
    member.ends[end.interface] = end.name;
    if (end.inPod != nullptr) member.inPod.insert_or_assign(end.interface, *end.inPod);
    networks_[end.network].dirty = true;
  }
  refresh();
  // Newer than all that was read for it.
  if (begins) member.joined = clock_.now();
  Status held;
  for (const End& end : ends) {
    Network& network = networks_[end.network];
    if (network.dirty) {
      if (const Status known = commit(end.network, network); !known) held = fail(known.error());
    }
    const At at{intent, end.interface};
    const auto said = network.said.find(at);
    const bool isIsolated = said != network.said.end() && said->second.has_value();
    const Error* const trouble = refusalOf(network, at);
    if (trouble != nullptr && isIsolated) held = fail(*trouble);
  }
  tell();
  return held;
}

Status Policing::linked(const IntentId& intent) {
  Status done;
  inTurn([&] {
    const auto found = members_.find(intent);
    if (found == members_.end() || !kernel_.linked) return;
    for (const auto& [interface, port] : found->second.inPod) {
      const Status one = kernel_.linked(port);
      if (!one) done = one;
    }
  });
  return done;
}

void Policing::release(const std::vector<std::string>& names,
                       const std::vector<IntentId>& intents) {
  inTurn([&] { releaseNow(names, intents); });
}

/// Forgets ports of a member; at once, since a pod's namespace lasts as long as it is held open.
void Policing::letGo(Member& member, const std::function<bool(const std::string&)>& isGone) {
  std::erase_if(member.inPod, [&](const auto& one) {
    const bool is = isGone(one.second.name);
    if (is && kernel_.leave) kernel_.leave(one.second);
    return is;
  });
  const bool any =
      std::erase_if(member.ends, [&](const auto& one) { return isGone(one.second); }) > 0;
  if (any) dirtyOf(member);
}

void Policing::releaseNow(const std::vector<std::string>& names,
                          const std::vector<IntentId>& intents) {
  takeInbox();
  for (auto& [intent, member] : members_) {
    letGo(member,
          [&](const std::string& name) { return std::ranges::find(names, name) != names.end(); });
  }
  for (auto& [uid, ends] : gateways_) {
    const auto isGone = [&](const auto& end) {
      return std::ranges::find(names, end) != names.end();
    };
    if (std::erase_if(ends, isGone) == 0) continue;
    if (const auto known = networks_.find(uid); known != networks_.end())
      known->second.dirty = true;
  }
  std::erase_if(gateways_, [](const auto& one) { return one.second.empty(); });
  std::erase_if(unclaimed_, [&](const auto& one) {
    return std::ranges::find(names, one.second.name) != names.end() ||
           std::ranges::find(intents, one.first.first) != intents.end();
  });
  for (const IntentId& intent : intents) {
    if (const auto network = options_.gatewayOf(intent)) releaseGateway(*network);
    const auto member = members_.find(intent);
    if (member == members_.end()) continue;
    letGo(member->second, [](const std::string&) { return true; });
    dirtyOf(member->second);
    members_.erase(member);
    const std::lock_guard lock(mutex_);
    heard_.erase(intent);
  }
  commitDirty();
  answerWaiting();
  tell();
}

}  // namespace multinet::agent::policing
