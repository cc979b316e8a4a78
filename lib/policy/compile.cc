// Rules become entries (peers, protocol, ports), and these permits for the classes of addresses
// that the peers are laid out in.
#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "lib/api/spelling.h"
#include "lib/policy/compilation.h"
#include "lib/policy/key.h"
#include "lib/policy/match.h"

namespace multinet::policy {
namespace {

using api::PolicyType;
using match::Ports;

/// Of one class and protocol.
void addPorts(Permit permit, std::vector<Ports> ports, std::set<Permit>& permits) {
  std::ranges::sort(ports);
  permit.first = ports.front().first;
  permit.last = ports.front().last;
  for (const auto& one : ports) {
    const bool touches =
        permit.last == std::numeric_limits<std::uint16_t>::max() || one.first <= permit.last + 1;
    if (touches) {
      permit.last = std::max(permit.last, one.last);
      continue;
    }
    permits.insert(permit);
    permit.first = one.first;
    permit.last = one.last;
  }
  permits.insert(permit);
}

}  // namespace

/// What the policies of subjects say.
class Compilation::Reader {
 public:
  Reader(const Network& network, Source& source, Numbers& numbers)
      : network_(network), source_(source), numbers_(numbers) {}

  void isolate(const Subject& subject, PolicyType direction, std::map<PodKey, Number>& subjects) {
    Selecting selecting = selectingOf(subject, direction);
    if (const auto known = numbersOf_.find(selecting); known != numbersOf_.end()) {
      subjects.emplace(subject.pod->key, known->second);
      return;
    }
    Steps steps;
    if (!subject.closed) {
      addTier(selecting, Tier::Admin, *subject.pod, steps);
      addNamespaced(selecting, *subject.pod, steps);
      if (selecting.policies.empty()) {
        addTier(selecting, Tier::Baseline, *subject.pod, steps);
        if (!addDefault(*subject.pod, steps)) return;
      }
    }
    if (isUnion(steps)) {
      Step all;
      for (Step& step : steps) all.entries.merge(step.entries);
      steps.assign(1, std::move(all));
    } else {
      ordered_ = true;
      used_.emplace(kAnyAddress, &any_);
    }
    const Number number = numbers_.of(keyOf(steps));
    subjects.emplace(subject.pod->key, number);
    steps_.emplace(number, std::move(steps));
    if (!isOfPod(selecting)) numbersOf_.emplace(std::move(selecting), number);
  }

  [[nodiscard]] bool ordered() const { return ordered_; }
  [[nodiscard]] const Layout::Peers& used() const { return used_; }
  [[nodiscard]] std::map<Number, Steps> takeSteps() { return std::move(steps_); }

 private:
  /// A block's addresses stand in its key.
  static constexpr std::uint64_t kOfBlocks = 1;

  /// Of the same text where the same is allowed in the same order.
  static std::string keyOf(const Steps& steps) {
    const bool isOrdered = !isUnion(steps);
    Key key(isOrdered ? 'o' : 's');
    for (const Step& step : steps) {
      if (isOrdered) {
        key.add(static_cast<std::int64_t>(step.tier)).add(k8s::spell(step.action));
        key.add(static_cast<std::int64_t>(step.entries.size()));
      }
      for (const auto& entry : step.entries) {
        key.add(entry.peers).add(entry.protocol ? k8s::spell(*entry.protocol) : "");
        key.add(entry.first).add(entry.last);
      }
    }
    return key.text();
  }

  /// What selects a pod. Most pods are selected by what selects others, and of most it is the same
  /// that is allowed.
  struct Selecting {
    PolicyType direction;
    bool closed;
    std::vector<const ClusterRules*> cluster;              ///< in their order
    std::vector<const api::PodNetworkPolicy*> policies{};  ///< of its namespace, that isolate it
    auto operator<=>(const Selecting&) const = default;
  };

  [[nodiscard]] Selecting selectingOf(const Subject& subject, PolicyType direction) const {
    Selecting out{direction, subject.closed, {}};
    if (subject.closed) return out;
    for (const auto* one : subject.cluster) {
      if (selectsWithin(*one, *subject.pod, network_.name)) out.cluster.push_back(one);
    }
    std::ranges::sort(out.cluster,
                      [](const auto* one, const auto* other) { return precedes(*one, *other); });
    for (const auto* policy : subject.policies) {
      if (!policy->spec.isolates(direction)) continue;
      if (match::selects(*policy, *subject.pod, network_.name)) out.policies.push_back(policy);
    }
    return out;
  }

  /// Whether more than that says what a pod is allowed: its namespace, or which numbers the names
  /// of its ports have.
  [[nodiscard]] bool isOfPod(const Selecting& selecting) const {
    const auto namesPorts = [](const api::PolicyRule& rule) {
      return std::ranges::any_of(
          rule.ports, [](const auto& port) { return port.port && !port.port->name.empty(); });
    };
    const bool isByNamespace = selecting.policies.empty() && !selecting.closed &&
                               network_.defaultPolicy == api::DefaultPolicy::SameNamespace;
    bool isOne = isByNamespace;
    for (const auto* policy : selecting.policies) {
      match::eachRule(
          policy->spec, selecting.direction,
          [&](std::size_t, const api::PolicyRule& rule) { isOne = isOne || namesPorts(rule); });
    }
    for (const auto* policy : selecting.cluster) {
      for (const ClusterRule& rule : policy->of(selecting.direction)) {
        isOne = isOne || namesPorts(rule.rule);
      }
    }
    return isOne;
  }

  void addTier(const Selecting& selecting, Tier tier, const Pod& pod, Steps& steps) {
    for (const auto* policy : selecting.cluster) {
      if (policy->tier != tier) continue;
      for (const ClusterRule& rule : policy->of(selecting.direction)) {
        Step step{tier, rule.action};
        addRule(policy->as, rule.rule, selecting.direction, pod, step.entries);
        if (!step.entries.empty()) steps.push_back(std::move(step));
      }
    }
  }

  void addNamespaced(const Selecting& selecting, const Pod& pod, Steps& steps) {
    Step step{Tier::Namespaced, api::ClusterPolicyAction::Accept};
    for (const auto* policy : selecting.policies) {
      match::eachRule(policy->spec, selecting.direction,
                      [&](std::size_t, const api::PolicyRule& rule) {
                        addRule(*policy, rule, selecting.direction, pod, step.entries);
                      });
    }
    if (!step.entries.empty()) steps.push_back(std::move(step));
  }

  /// False: everybody may, and nothing before that denies anything.
  bool addDefault(const Pod& pod, Steps& steps) {
    Step step{Tier::Default, api::ClusterPolicyAction::Accept};
    switch (network_.defaultPolicy) {
      case api::DefaultPolicy::Allow:
        if (std::ranges::none_of(steps, [](const Step& one) {
              return one.action == api::ClusterPolicyAction::Deny;
            })) {
          return false;
        }
        step.entries.insert(Entry{});
        break;
      case api::DefaultPolicy::SameNamespace:
        step.entries.insert({use(&source_.podsIn(pod.key.nameSpace)), std::nullopt, 0, 0});
        break;
      case api::DefaultPolicy::Deny:
        return true;
    }
    steps.push_back(std::move(step));
    return true;
  }

  void addRule(const api::PodNetworkPolicy& policy, const api::PolicyRule& rule,
               PolicyType direction, const Pod& subject, Entries& entries) {
    std::vector<const api::PolicyPeer*> peers;
    if (rule.peers.empty()) peers.push_back(nullptr);
    for (const auto& peer : rule.peers) {
      if (match::isLegible(peer)) peers.push_back(&peer);
    }
    for (const auto* one : peers) {
      if (rule.ports.empty()) entries.insert({use(peersOf(policy, one)), std::nullopt, 0, 0});
      for (const auto& port : rule.ports) {
        const bool byPeer =
            direction == PolicyType::Egress && port.port && !port.port->name.empty();
        if (byPeer) {
          // Each pod among the peers has a number of its own for the name.
          for (const auto& [number, named] : source_.withPort(policy, one, port)) {
            entries.insert({use(named), port.protocol, number, number});
          }
        } else if (const auto ports = match::portsOf(port, &subject)) {
          entries.insert({use(peersOf(policy, one)), port.protocol, ports->first, ports->last});
        }
      }
    }
  }

  const Named* peersOf(const api::PodNetworkPolicy& policy, const api::PolicyPeer* peer) {
    if (peer == nullptr) return nullptr;
    // Of many pods one policy speaks.
    const auto asked = pods_.find(peer);
    if (asked != pods_.end()) return asked->second;
    if (!peer->ipBlock) return pods_.emplace(peer, &source_.podsOf(policy, *peer)).first->second;
    Key key('b');
    key.add(peer->ipBlock->cidr);
    for (const auto& except : peer->ipBlock->except) key.add(except);
    auto block = blocks_.find(key.text());
    if (block == blocks_.end()) {
      block =
          blocks_.emplace(key.text(), Named{key.text(), rangesOf(*peer->ipBlock), {}, kOfBlocks})
              .first;
    }
    return &block->second;
  }

  /// As an entry names them.
  std::string use(const Named* peers) {
    if (peers == nullptr) return "";
    used_.emplace(peers->key, peers);
    return peers->key;
  }

  const Network& network_;
  Source& source_;
  Numbers& numbers_;
  std::map<const api::PolicyPeer*, const Named*> pods_;
  std::map<std::string, Named> blocks_;  // by key
  Layout::Peers used_;                   // likewise
  std::map<Number, Steps> steps_;        // by subject
  std::map<Selecting, Number> numbersOf_;
  bool ordered_ = false;
  const Named any_{kAnyAddress,
                   {{IpAddress(IpFamily::V4, 0), lastOf(IpFamily::V4)},
                    {IpAddress(IpFamily::V6, 0), lastOf(IpFamily::V6)}},
                   {},
                   kOfBlocks};
};

Delta Compilation::compile(const std::vector<Subject>& subjects, const Network& network,
                           Source& source, Numbers& numbers) {
  Program before;
  std::swap(before, program_);
  std::swap(before.addresses, program_.addresses);
  Reader reader(network, source, numbers);
  for (const Subject& subject : subjects) {
    reader.isolate(subject, PolicyType::Egress, program_.egress);
    reader.isolate(subject, PolicyType::Ingress, program_.ingress);
  }
  AddressChange addresses = layout_.set(reader.used(), numbers, program_.addresses);
  steps_ = reader.takeSteps();
  program_.ordered = reader.ordered();
  addAllPermits();
  // All but the addresses, of which there may be many.
  AddressClasses all;
  std::swap(all, program_.addresses);
  Delta out = delta(before, program_);
  std::swap(all, program_.addresses);
  out.addresses = std::move(addresses);
  return out;
}

std::optional<Delta> Compilation::change(const MemberChange& members, Numbers& numbers) {
  auto addresses = layout_.change(members, numbers, program_.addresses);
  if (!addresses) return std::nullopt;
  Delta out;
  out.addresses = *std::move(addresses);
  out.ordered = program_.ordered;
  if (shape_ == layout_.shape()) return out;
  const std::set<Permit> before = std::exchange(program_.permits, {});
  addAllPermits();
  std::ranges::set_difference(before, program_.permits, std::back_inserter(out.permits.removed));
  std::ranges::set_difference(program_.permits, before, std::back_inserter(out.permits.added));
  return out;
}

/// Those that need few come first, so that what there is no room for hits few.
void Compilation::addAllPermits() {
  shape_ = layout_.shape();
  program_.permits.clear();
  cut_.clear();
  std::vector<std::pair<std::size_t, Number>> order;
  std::map<Number, std::set<Permit>> all;
  for (const auto& [subject, steps] : steps_) {
    auto& permits = all[subject] = permitsOf(subject, steps);
    order.emplace_back(permits.size(), subject);
  }
  std::ranges::sort(order);
  std::set<Number> cut;
  for (const auto& [count, subject] : order) {
    if (program_.permits.size() + count > mostPermits_) {
      cut.insert(subject);
    } else {
      program_.permits.merge(all[subject]);
    }
  }
  for (const auto* subjects : {&program_.egress, &program_.ingress}) {
    for (const auto& [pod, subject] : *subjects) {
      if (cut.contains(subject)) cut_.insert(pod);
    }
  }
}

std::set<Permit> Compilation::permitsOf(Number subject, const Steps& steps) const {
  if (!isUnion(steps)) return orderedPermits(subject, steps, layout_);
  // By class and protocol: which ports.
  std::map<std::pair<Number, std::optional<api::Protocol>>, std::vector<Ports>> all;
  for (const auto& entry : steps.front().entries) {
    const Ports ports{entry.first, entry.last};
    if (entry.peers.empty()) {
      all[{kEverybody, entry.protocol}].push_back(ports);
      continue;
    }
    for (const Number one : layout_.classesOf(entry.peers)) {
      all[{one, entry.protocol}].push_back(ports);
    }
  }
  std::set<Permit> permits;
  for (auto& [at, ports] : all) {
    const auto& [peers, protocol] = at;
    if (!protocol) {
      permits.insert({subject, peers, std::nullopt, 0, 0});
    } else if (!all.contains({peers, std::nullopt})) {
      addPorts({subject, peers, protocol, 0, 0}, std::move(ports), permits);
    }
  }
  return permits;
}

Compiled compile(const std::vector<Subject>& subjects, const Network& network, Source& source,
                 Numbers& numbers, std::size_t mostPermits) {
  Compilation once(mostPermits);
  static_cast<void>(once.compile(subjects, network, source, numbers));
  return once.take();
}

Program compile(const World& world, const Network& network, Numbers& numbers) {
  std::vector<const api::PodNetworkPolicy*> policies;
  policies.reserve(world.policies.size());
  for (const auto& policy : world.policies) policies.push_back(&policy);
  const std::vector<ClusterRules> cluster = orderedRules(world);
  std::vector<Subject> subjects;
  for (const auto& pod : world.pods) {
    if (pod.on(network.name) == nullptr) continue;
    auto& subject = subjects.emplace_back(Subject{&pod, policies});
    for (const auto& one : cluster) {
      if (selectsNamespace(one.subject, world, pod.key.nameSpace)) subject.cluster.push_back(&one);
    }
  }
  WorldSource source(world, network.name);
  return compile(subjects, network, source, numbers).program;
}

}  // namespace multinet::policy
