#include "nodeagent/policy/policing.h"

#include <algorithm>

#include "lib/base/log.h"
#include "nodeagent/attach/ports.h"

namespace multinet::agent::policing {
namespace {

bool hasEnd(const InterfacePlan& plan) {
  return traitsOf(plan.link).hasHostEnd;
}

/// Whether anything can hold it to policies.
bool isCovered(const InterfacePlan& plan) {
  return hasEnd(plan) || attach::isPolicedInPod(plan);
}

/// Whether a policy is about the pod's interface on that network.
bool concerns(const Told& told, const policy::Pod& pod, const std::string& network) {
  const auto& names = told.policy.spec.podNetworkNames;
  return std::ranges::find(names, network) != names.end() &&
         told.policy.spec.podSelector.matches(pod.labels);
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

struct Policing::Question {
  struct One {
    const Member* member = nullptr;
    const InterfacePlan* plan = nullptr;
    policy::PodKey key;
  };
  std::vector<One> interfaces;
  std::vector<ToldPtr> told;
  std::map<std::string, ToldPtr> defaults;
  std::vector<std::unique_ptr<policy::Pod>> pods;
  std::vector<policy::Subject> subjects;
  std::map<policy::PodKey, std::string> ports;
  std::map<policy::PodKey, std::vector<IpAddress>> addresses;
  std::map<policy::PodKey, attach::PodPort> inPod;
};

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

std::shared_ptr<const Admissions> Policing::admissions(const NetworkUid& network) const {
  static const auto kNobody = std::make_shared<const Admissions>();
  const std::lock_guard lock(mutex_);
  if (!admissionsKnown_) return nullptr;
  const auto found = admissions_.find(network);
  return found == admissions_.end() ? kNobody : found->second;
}

template <class Work>
void Policing::inTurn(Work work) {
  std::vector<std::function<void()>> answers;
  {
    const std::lock_guard turn(turn_);
    work();
    answers.swap(answers_);
  }
  for (const auto& answer : answers) answer();
}

void Policing::put(Joining joining) {
  {
    const std::lock_guard lock(mutex_);
    const bool isNew = heard_.insert(joining.pod.intent).second;
    if (!isNew && !joining.done) return;
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
    auto [at, isNew] = members_.try_emplace(intent, Member{one.pod});
    Member& member = at->second;
    member.pod = std::move(one.pod);
    if (one.ours && member.ends.empty()) {
      member.joined = now;
      member.ours = true;
    }
    for (const InterfacePlan& plan : member.pod.interfaces) {
      Network& network = networks_[plan.networkUid];
      network.name = plan.network.str();
      if (hasEnd(plan)) network.bridge = parentOf(plan.link);
      network.dirty = network.dirty || isNew;
    }
    if (one.done) waiting_.push_back({intent, now + options_.joinPatience, std::move(*one.done)});
  }
  if (allKnown && !recovered_) findEnds();
}

/// What an earlier agent made has names that the kernel alone knows for certain.
void Policing::findEnds() {
  const auto ends = findEnds_();
  if (!ends) {
    log::warn("can't look for the links of pods, trying again", {{"error", ends.error()}});
    return lookAt(clock_.now() + options_.retry);
  }
  for (auto& [intent, member] : members_) {
    for (const InterfacePlan& plan : member.pod.interfaces) {
      const auto end = ends->find({intent, plan.name.str()});
      if (end != ends->end() && hasEnd(plan)) member.ends.try_emplace(plan.name.str(), end->second);
    }
  }
  for (const auto& [at, end] : *ends) {
    if (const auto network = options_.gatewayOf(at.first)) putGateway(*network, end);
  }
  recovered_ = true;
  metBy_ = clock_.now() + options_.meeting;
  if (kernel_.commitInPods) lookAt(metBy_);
}

void Policing::refresh() {
  std::map<std::string, const k8s::Pod*> pods;
  const auto all = caches_.pods();
  for (const auto& pod : all) pods.emplace(pod->metadata.uid, pod.get());
  std::set<std::string> spaces;
  for (auto& [intent, member] : members_) {
    spaces.insert(member.pod.pod.namespaceName);
    readPod(member, pods);
  }
  readNetworks();
  const BootTime now = clock_.now();
  std::set<std::string> changed = book_.settle(now);
  for (const std::string& space : spaces) {
    if (!caches_.needPolicies(space)) continue;
    const auto slices = caches_.policiesOf(space);
    if (slices && book_.update(space, *slices, now)) changed.insert(space);
  }
  book_.keepOnly(spaces);
  for (const auto& [intent, member] : members_) {
    if (changed.contains(member.pod.pod.namespaceName)) dirtyOf(member);
  }
  if (const auto next = book_.next()) lookAt(*next);
}

void Policing::readPod(Member& member, const std::map<std::string, const k8s::Pod*>& pods) {
  const auto found = pods.find(member.pod.pod.uid.str());
  if (found == pods.end()) return;  // it ends, held to what it was
  auto who = identityOf(*found->second);
  if (!who || who == member.who) return;
  member.who = std::move(who);
  dirtyOf(member);
}

void Policing::readNetworks() {
  for (const auto& network : caches_.networks()) {
    const NetworkUid uid(network->metadata.uid);
    const auto held = networks_.find(uid);
    if (held == networks_.end()) continue;
    const auto [at, isNew] = defaults_.try_emplace(uid, network->spec.defaultPolicy);
    if (!isNew && at->second == network->spec.defaultPolicy) continue;
    at->second = network->spec.defaultPolicy;
    held->second.dirty = true;
  }
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

Status Policing::isKnown(const NetworkUid& uid) const {
  MULTINET_CHECK(caches_.synced());
  for (const auto& [intent, member] : members_) {
    const bool isThere = std::ranges::any_of(member.pod.interfaces, [&](const auto& plan) {
      return plan.networkUid == uid && member.ends.contains(plan.name.str());
    });
    if (isThere) MULTINET_CHECK(isKnown(member));
  }
  return {};
}

bool Policing::isComplete(const Member& member, const InterfacePlan& plan) const {
  const std::string& space = member.pod.pod.namespaceName;
  bool isAny = false;
  for (const ToldPtr& told : book_.policiesFor(space, member.joined)) {
    if (!member.who || !concerns(*told, *member.who, plan.network.str())) continue;
    if (!told->complete) return false;
    isAny = true;
  }
  const auto byDefault = defaults_.find(plan.networkUid);
  if (isAny || byDefault == defaults_.end() ||
      byDefault->second != api::DefaultPolicy::SameNamespace) {
    return true;
  }
  const ToldPtr told = book_.defaultOf(space, plan.networkUid);
  return told != nullptr && told->complete;
}

Policing::Question Policing::questionOf(const NetworkUid& uid, const Network& network) const {
  Question question;
  std::set<policy::PodKey> keys;
  for (const auto& [intent, member] : members_) {
    const std::string& space = member.pod.pod.namespaceName;
    std::vector<ToldPtr> policies;
    for (const InterfacePlan& plan : member.pod.interfaces) {
      if (plan.networkUid != uid) continue;
      const auto end = member.ends.find(plan.name.str());
      // One that is about to join isn't known yet; its turn comes.
      if (end == member.ends.end() && (!isKnown(member) || !member.who)) continue;
      policy::PodKey key{space, member.pod.pod.name};
      if (keys.contains(key)) key.name += " " + plan.name.str() + " " + intent.str();
      keys.insert(key);
      const auto inPod = member.inPod.find(plan.name.str());
      if (inPod != member.inPod.end()) {
        question.inPod.emplace(key, inPod->second);
      } else if (end != member.ends.end()) {
        question.ports.emplace(key, end->second);
      }
      for (const AddressPlan& one : plan.addresses) {
        question.addresses[key].push_back(one.address.address);
      }
      auto pod = std::make_unique<policy::Pod>(member.who.value_or(policy::Pod{}));
      pod->key = key;
      pod->interfaces = {{network.name, {}}};
      if (policies.empty()) policies = book_.policiesFor(space, member.joined);
      policy::Subject subject{pod.get()};
      for (const ToldPtr& told : policies) subject.policies.push_back(&told->policy);
      subject.closed = !member.who;
      question.subjects.push_back(std::move(subject));
      question.pods.push_back(std::move(pod));
      question.interfaces.push_back({&member, &plan, key});
    }
    question.told.insert(question.told.end(), policies.begin(), policies.end());
    if (auto told = book_.defaultOf(space, uid)) question.defaults.emplace(space, std::move(told));
  }
  return question;
}

void Policing::publishAdmissions() {
  if (!recovered_) return;
  std::map<NetworkUid, std::shared_ptr<const Admissions>> now;
  for (const auto& [uid, network] : networks_) now.emplace(uid, network.admissions);
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(admissionsKnown_, true) && admissions_ == now) return;
    admissions_ = std::move(now);
  }
  reports_.admissions();
}

/// What the kernel refuses is in `trouble`; the error is of what isn't known.
Status Policing::commit(const NetworkUid& uid, Network& network) {
  if (!recovered_) {
    return fail(Code::Unavailable, "PoliciesUnknown",
                "hold network " + network.name +
                    " to policies: the agent is still finding out which pods are on it");
  }
  MULTINET_CHECK(isKnown(uid));
  const Question question = questionOf(uid, network);
  BookSource source(network.name, uid);
  for (const ToldPtr& told : question.told) source.add(told);
  for (const auto& [space, told] : question.defaults) source.addDefault(space, told);
  const auto byDefault = defaults_.find(uid);
  const policy::Network asked{
      network.name, byDefault == defaults_.end() ? api::DefaultPolicy::Allow : byDefault->second};
  auto compiled = policy::compile(question.subjects, asked, source, numbers_);
  ++compiled_;
  network.program = compiled.program;
  auto admissions = admissionsOf(question.subjects, asked, question.addresses, compiled.cut);
  if (network.admissions == nullptr || *network.admissions != admissions) {
    network.admissions = std::make_shared<const Admissions>(std::move(admissions));
  }
  const auto gateways = gateways_.find(uid);
  const Status done = question.ports.empty()
                          ? Status{}
                          : kernel_.commit(uid, network.bridge,
                                           {compiled.program, question.ports,
                                            gateways == gateways_.end() ? std::set<std::string>{}
                                                                        : gateways->second});
  if (question.ports.empty()) kernel_.forget(uid);
  if (!done && (!network.trouble || network.trouble->message != done.error().message)) {
    log::error("can't hold pods to the policies of their network",
               {{"network", network.name}, {"error", done.error()}});
  }
  network.trouble = done ? std::nullopt : std::optional(done.error());
  commitInPods(uid, network, question);
  network.dirty = !done || !network.refused.empty();
  if (network.dirty) lookAt(clock_.now() + options_.retry);
  say(network, question, compiled);
  return {};
}

/// What one pod's kernel refuses is nobody else's trouble.
void Policing::commitInPods(const NetworkUid& uid, Network& network, const Question& question) {
  if (!kernel_.commitInPods) return;
  const auto refused = kernel_.commitInPods(uid, network.program, question.inPod);
  std::map<At, Error> now;
  for (const Question::One& one : question.interfaces) {
    const auto found = refused.find(one.key);
    if (found == refused.end()) continue;
    const At at{one.member->pod.intent, one.plan->name.str()};
    const auto before = network.refused.find(at);
    if (before == network.refused.end() || before->second.message != found->second.message) {
      log::error("can't hold a pod to the policies of its network",
                 {{"network", network.name},
                  {"pod", one.member->pod.pod.str()},
                  {"error", found->second}});
    }
    now.emplace(at, found->second);
  }
  network.refused = std::move(now);
}

void Policing::commitDirty() {
  for (auto& [uid, network] : networks_) {
    if (!network.dirty) continue;
    // What isn't known is told when it is.
    if (const Status known = commit(uid, network); !known) {
      log::debug("policies aren't known yet", {{"network", network.name}, {"why", known.error()}});
    }
  }
  std::vector<const policy::Program*> programs;
  programs.reserve(networks_.size());
  for (const auto& [uid, network] : networks_) programs.push_back(&network.program);
  numbers_.keepOnly(programs);
  std::erase_if(networks_, [&](const auto& one) {
    return !one.second.dirty && std::ranges::none_of(members_, [&](const auto& member) {
      return std::ranges::any_of(member.second.pod.interfaces,
                                 [&](const auto& plan) { return plan.networkUid == one.first; });
    });
  });
  std::erase_if(defaults_, [&](const auto& one) { return !networks_.contains(one.first); });
}

void Policing::say(Network& network, const Question& question, const policy::Compiled& compiled) {
  std::map<At, std::optional<api::InterfacePolicy>> now;
  for (const Question::One& one : question.interfaces) {
    const At at{one.member->pod.intent, one.plan->name.str()};
    if (isCovered(*one.plan) && !one.member->ends.contains(at.second)) continue;
    const bool isIsolated =
        compiled.program.egress.contains(one.key) || compiled.program.ingress.contains(one.key);
    auto& said = now[at];
    if (isIsolated) said = judge(network, *one.member, *one.plan, compiled.cut.contains(one.key));
    const auto before = network.said.find(at);
    if (before != network.said.end() && before->second == said) continue;
    reports_.interface(one.member->pod.pod.uid, one.plan->networkUid, said);
  }
  network.said = std::move(now);
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
    const Member& member = found->second;
    const Status known = isKnown(member);
    const bool isWhole = std::ranges::all_of(member.pod.interfaces, [&](const auto& plan) {
      return !isCovered(plan) || isComplete(member, plan);
    });
    const bool isAny = std::ranges::any_of(member.pod.interfaces, isCovered);
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
  if (member.ends.empty() && member.ours) member.joined = clock_.now();
  for (const End& end : ends) {
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
  Status held;
  for (const End& end : ends) {
    Network& network = networks_[end.network];
    if (network.dirty) {
      if (const Status known = commit(end.network, network); !known) held = fail(known.error());
    }
    const At at{intent, end.interface};
    const auto said = network.said.find(at);
    const bool isIsolated = said != network.said.end() && said->second.has_value();
    const Error* const trouble = troubleOf(network, at);
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
  for (const IntentId& intent : intents) {
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
