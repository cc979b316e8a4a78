// What policies come to, as the kernel is told it and as it is told of.
#include <algorithm>
#include <iterator>
#include <string_view>

#include "lib/base/log.h"
#include "nodeagent/attach/ports.h"
#include "nodeagent/policy/policing.h"

namespace multinet::agent::policing {

struct Policing::Question {
  struct One {
    const Member* member = nullptr;
    const InterfacePlan* plan = nullptr;
    const policy::Pod* pod = nullptr;  ///< the member's own
  };
  std::vector<One> interfaces;
  std::vector<ToldPtr> told;
  std::map<std::string, ToldPtr> defaults;  ///< null: nothing was told of it
  std::vector<policy::Subject> subjects;
  std::map<policy::PodKey, std::string> ports;
  std::map<policy::PodKey, attach::PodPort> inPod;
  std::map<const policy::Pod*, std::vector<ToldPtr>> clusterOf;  ///< as its namespace was told

  /// Gives subjects the rules of the cluster, of one namespace's word where that is to be had.
  void addCluster(const std::string& network, std::map<std::string, Speaker>& speakers);
};

void Policing::Question::addCluster(const std::string& network,
                                    std::map<std::string, Speaker>& speakers) {
  // By UID, those of one generation by namespace.
  std::map<std::string, std::map<std::int64_t, std::map<std::string, ToldPtr>>> words;
  for (const auto& [pod, of] : clusterOf) {
    for (const ToldPtr& one : of) {
      words[one->uid][one->generation].emplace(pod->key.nameSpace, one);
    }
  }
  std::erase_if(speakers, [&](const auto& one) { return !words.contains(one.first); });
  for (const auto& [uid, generations] : words) {
    Speaker& speaker = speakers[uid];
    const bool isThere = std::ranges::any_of(
        generations, [&](const auto& one) { return one.second.contains(speaker.nameSpace); });
    if (!isThere) speaker = {generations.rbegin()->second.begin()->first};
    if (speaker.after && generations.rbegin()->second.contains(*speaker.after)) {
      speaker = {*speaker.after};
    }
    speaker.isForAll = generations.size() == 1;
  }
  for (policy::Subject& subject : subjects) {
    const auto of = clusterOf.find(subject.pod);
    if (of == clusterOf.end()) continue;
    for (const ToldPtr& one : of->second) {
      const auto& those = words[one->uid][one->generation];
      const auto spoken = those.find(speakers[one->uid].nameSpace);
      const ToldPtr& word = spoken == those.end() ? one : spoken->second;
      subject.cluster.push_back(word->rulesOn(network));
      told.push_back(word);
    }
  }
}

Policing::Question Policing::questionOf(const NetworkUid& uid, Network& network) {
  Question question;
  std::set<std::pair<std::string_view, std::string_view>> keys;
  for (auto& [intent, member] : members_) {
    const std::string& space = member.pod.pod.namespaceName;
    std::vector<ToldPtr> policies;
    for (const InterfacePlan& plan : member.pod.interfaces) {
      if (plan.networkUid != uid) continue;
      const auto end = member.ends.find(plan.name.str());
      // One that is about to join isn't known yet; its turn comes.
      if (end == member.ends.end() && (!isKnown(member) || !member.who)) continue;
      policy::Pod& pod = podOn(member, plan);
      // Of one pod another sandbox may be there, on its way out or in.
      pod.key.name = member.pod.pod.name;
      if (keys.contains({space, pod.key.name})) {
        pod.key.name += " " + plan.name.str() + " " + intent.str();
      }
      keys.emplace(space, pod.key.name);
      const auto inPod = member.inPod.find(plan.name.str());
      if (inPod != member.inPod.end()) {
        question.inPod.emplace(pod.key, inPod->second);
      } else if (end != member.ends.end()) {
        question.ports.emplace(pod.key, end->second);
      }
      if (policies.empty()) policies = book_.policiesFor(space, member.joined);
      policy::Subject subject{&pod};
      for (const ToldPtr& told : policies) {
        if (told->cluster == nullptr) {
          subject.policies.push_back(&told->policy);
        } else if (told->rulesOn(network.name) != nullptr) {
          question.clusterOf[&pod].push_back(told);
        }
      }
      // Whom the cluster's policies deny they deny by who the API says he is: one who runs on
      // without it would be nobody.
      subject.closed = !member.who || (member.gone && isOfCluster(network.name));
      question.subjects.push_back(std::move(subject));
      question.interfaces.push_back({&member, &plan, &pod});
    }
    std::ranges::copy_if(policies, std::back_inserter(question.told),
                         [](const ToldPtr& told) { return told->cluster == nullptr; });
    const auto [byDefault, isNew] = question.defaults.try_emplace(space);
    if (isNew) byDefault->second = book_.defaultOf(space, uid);
  }
  question.addCluster(network.name, network.speakers);
  return question;
}

/// Only gateways want to know, and most nodes have none to a network.
void Policing::admit(const NetworkUid& uid, Network& network, const Question& question,
                     const policy::Network& asked) {
  {
    const std::lock_guard lock(mutex_);
    if (!asked_.contains(uid)) return;
  }
  std::map<policy::PodKey, std::vector<IpAddress>> addresses;
  for (const Question::One& one : question.interfaces) {
    for (const AddressPlan& plan : one.plan->addresses) {
      addresses[one.pod->key].push_back(plan.address.address);
    }
  }
  auto now = admissionsOf(question.subjects, asked, addresses, network.compilation.cut());
  if (network.admissions != nullptr && *network.admissions == now) return;
  network.admissions = std::make_shared<const Admissions>(std::move(now));
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
  MULTINET_CHECK(isKnown(uid, network));
  Question question = questionOf(uid, network);
  BookSource source(network.name, uid);
  for (const ToldPtr& told : question.told) source.add(told);
  for (const auto& [space, told] : question.defaults) source.addDefault(space, told);
  const policy::Network asked{network.name, defaultOf(uid, network, question)};
  const policy::Delta way = network.compilation.compile(question.subjects, asked, source, numbers_);
  ++compiled_;
  admit(uid, network, question, asked);
  network.ports = std::move(question.ports);
  const auto gateways = gateways_.find(uid);
  network.gateways = gateways == gateways_.end() ? std::set<std::string>{} : gateways->second;
  const Status done = commitPorts(uid, network, way.addresses);
  if (!done && (!network.trouble || network.trouble->message != done.error().message)) {
    log::error("can't hold pods to the policies of their network",
               {{"network", network.name}, {"error", done.error()}});
  }
  network.trouble = done ? std::nullopt : std::optional(done.error());
  commitInPods(uid, network, question, way.addresses);
  network.dirty = !done || !network.refused.empty();
  if (!network.dirty) network.refusedSince.reset();
  if (network.dirty) {
    const BootTime now = clock_.now();
    if (!network.refusedSince) network.refusedSince = now;
    lookAt(now + options_.retry);
  }
  say(network, question);
  return {};
}

/// An admin's change from Allow isn't one to Deny for those whose namespaces weren't told yet.
api::DefaultPolicy Policing::defaultOf(const NetworkUid& uid, Network& network,
                                       const Question& question) {
  const api::DefaultPolicy written = writtenOf(uid).byDefault;
  if (!network.former) return written;
  const bool isTold = std::ranges::all_of(question.interfaces, [&](const Question::One& one) {
    const auto found = question.defaults.find(one.member->pod.pod.namespaceName);
    return found != question.defaults.end() && found->second != nullptr && found->second->complete;
  });
  if (isTold || network.former->until <= clock_.now()) {
    network.former.reset();
    return written;
  }
  lookAt(network.former->until);
  return network.former->byDefault;
}

/// `since`: what differs of the program's addresses where it is held.
Status Policing::commitPorts(const NetworkUid& uid, Network& network,
                             const policy::AddressChange& since) {
  const policy::Program& program = network.compilation.program();
  const bool wasHeld = std::exchange(network.isHeld, false);
  const api::TrackConnections track = writtenOf(uid).track;
  const bool isTrackedAlike = std::exchange(network.track, track) == track;
  if (network.ports.empty()) {
    kernel_.forget(uid);
    return {};
  }
  if (wasHeld && isTrackedAlike && kernel_.change) {
    const Status done =
        kernel_.change(uid, network.bridge, {program, since, &network.ports, &network.gateways});
    network.isHeld = done.has_value();
    if (done || done.error().reason != "NotHeld") return done;
  }
  const Status done =
      kernel_.commit(uid, network.bridge, {program, network.ports, network.gateways, track});
  network.isHeld = done.has_value();
  return done;
}

/// Members of a peer are all that changed. What can't be passed on as that is compiled and
/// committed in its turn.
void Policing::follow(const NetworkUid& uid, Network& network, const policy::MemberChange& change) {
  const std::set<policy::PodKey> cut = network.compilation.cut();
  const auto way = network.compilation.change(change, numbers_);
  if (!way || cut != network.compilation.cut()) network.dirty = true;
  if (!way || way->empty()) return;
  const policy::Program& program = network.compilation.program();
  if (!network.ports.empty() && std::exchange(network.isHeld, false) && kernel_.change) {
    PolicedChange asked{program, way->addresses};
    if (!way->permits.empty()) {
      asked.ports = &network.ports;
      asked.gateways = &network.gateways;
    }
    const Status done = kernel_.change(uid, network.bridge, asked);
    // None of its ports is isolated: nothing is held, and nothing need be.
    network.isHeld = done || done.error().reason == "NotHeld";
  }
  if (!network.ports.empty() && !network.isHeld) network.dirty = true;
  if (network.inPods.pods.empty() || !kernel_.commitInPods) return;
  const auto refused = kernel_.commitInPods(uid, program, &way->addresses, network.inPods);
  if (!refused.empty()) network.dirty = true;
}

/// What one pod's kernel refuses is nobody else's trouble.
void Policing::commitInPods(const NetworkUid& uid, Network& network, Question& question,
                            const policy::AddressChange& since) {
  if (!kernel_.commitInPods) return;
  const Written written = writtenOf(uid);
  const auto gateway = gatewayAddresses_.find(uid);
  network.inPods = {std::move(question.inPod), written.track, {}};
  // Who could send from the gateway's address would come in past all policies.
  if (gateway != gatewayAddresses_.end() && written.believesAddresses) {
    network.inPods.gateways = gateway->second;
  }
  const auto refused =
      kernel_.commitInPods(uid, network.compilation.program(), &since, network.inPods);
  std::map<At, Error> now;
  for (const Question::One& one : question.interfaces) {
    const auto found = refused.find(one.pod->key);
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
  std::set<NetworkUid> asked;
  {
    const std::lock_guard lock(mutex_);
    asked = asked_;
  }
  for (auto& [uid, network] : networks_) {
    network.dirty = network.dirty || (network.admissions == nullptr && asked.contains(uid));
    if (network.former && network.former->until <= clock_.now()) network.dirty = true;
    if (!network.dirty) continue;
    // What isn't known is told when it is.
    if (const Status known = commit(uid, network); !known) {
      log::debug("policies aren't known yet", {{"network", network.name}, {"why", known.error()}});
    }
  }
  std::vector<const policy::Program*> programs;
  programs.reserve(networks_.size());
  for (const auto& [uid, network] : networks_) programs.push_back(&network.compilation.program());
  numbers_.keepOnly(programs);
  std::erase_if(networks_, [&](const auto& one) {
    return !one.second.dirty && std::ranges::none_of(members_, [&](const auto& member) {
      return std::ranges::any_of(member.second.pod.interfaces,
                                 [&](const auto& plan) { return plan.networkUid == one.first; });
    });
  });
  std::erase_if(written_, [&](const auto& one) { return !networks_.contains(one.first); });
  // Of one that comes again it is asked again.
  const std::lock_guard lock(mutex_);
  std::erase_if(asked_, [&](const NetworkUid& one) { return !networks_.contains(one); });
}

void Policing::say(Network& network, const Question& question) {
  const policy::Program& program = network.compilation.program();
  const auto& cut = network.compilation.cut();
  std::map<At, std::optional<api::InterfacePolicy>> now;
  for (const Question::One& one : question.interfaces) {
    At at{one.member->pod.intent, one.plan->name.str()};
    if (attach::isCovered(*one.plan) && !one.member->ends.contains(at.second)) continue;
    const policy::PodKey& key = one.pod->key;
    const bool isIsolated = program.egress.contains(key) || program.ingress.contains(key);
    std::optional<api::InterfacePolicy> said;
    if (isIsolated) said = judge(network, *one.member, *one.pod, *one.plan, cut.contains(key));
    auto before = network.said.extract(at);
    const bool isSame = !before.empty() && before.mapped() == said;
    if (!isSame) reports_.interface(one.member->pod.pod.uid, one.plan->networkUid, said);
    // Most say what they said.
    if (isSame) now.insert(now.end(), std::move(before));
    if (!isSame) now.emplace_hint(now.end(), std::move(at), std::move(said));
  }
  network.said = std::move(now);
}

}  // namespace multinet::agent::policing
