// Rules become entries (peers, protocol, ports); the addresses of all peers are laid over each
// other, and each piece that no boundary crosses gets a class.
#include <algorithm>
#include <limits>
#include <list>

#include "lib/api/spelling.h"
#include "lib/policy/key.h"
#include "lib/policy/match.h"
#include "lib/policy/program.h"

namespace multinet::policy {
namespace {

using api::PolicyType;
using match::Ports;

/// Null: everybody.
using Peers = const Named*;

class Compiler {
 public:
  Compiler(const Network& network, Source& source, Numbers& numbers, std::size_t mostPermits)
      : network_(network), source_(source), numbers_(numbers), mostPermits_(mostPermits) {}

  Compiled run(const std::vector<Subject>& subjects) {
    for (const Subject& subject : subjects) {
      isolate(subject, PolicyType::Egress, program_.egress);
      isolate(subject, PolicyType::Ingress, program_.ingress);
    }
    layOut();
    addAllPermits();
    return {std::move(program_), std::move(cut_)};
  }

 private:
  /// Something that is allowed: to whom, and how.
  struct Entry {
    std::string peers;  // key; empty: everybody
    std::optional<api::Protocol> protocol;
    Ports ports;
    auto operator<=>(const Entry&) const = default;
  };
  using Entries = std::set<Entry>;

  void isolate(const Subject& subject, PolicyType direction, std::map<PodKey, Number>& subjects) {
    const Pod& pod = *subject.pod;
    Entries entries;
    bool isolated = subject.closed;
    for (const auto* policy : subject.policies) {
      if (subject.closed || !policy->spec.isolates(direction)) continue;
      if (!match::selects(*policy, pod, network_.name)) continue;
      isolated = true;
      match::eachRule(policy->spec, direction, [&](std::size_t, const api::PolicyRule& rule) {
        addRule(*policy, rule, direction, pod, entries);
      });
    }
    if (!isolated) {
      if (network_.defaultPolicy == api::DefaultPolicy::Allow) return;
      if (network_.defaultPolicy == api::DefaultPolicy::SameNamespace) {
        entries.insert({use(&source_.podsIn(pod.key.nameSpace)), std::nullopt, {}});
      }
    }
    Key key('s');
    for (const auto& entry : entries) {
      key.add(entry.peers).add(entry.protocol ? k8s::spell(*entry.protocol) : "");
      key.add(entry.ports.first).add(entry.ports.last);
    }
    const Number number = numbers_.of(key.text());
    subjects.emplace(pod.key, number);
    entries_.emplace(number, std::move(entries));
  }

  void addRule(const api::PodNetworkPolicy& policy, const api::PolicyRule& rule,
               PolicyType direction, const Pod& subject, Entries& entries) {
    std::vector<const api::PolicyPeer*> peers;
    if (rule.peers.empty()) peers.push_back(nullptr);
    for (const auto& peer : rule.peers) {
      if (match::isLegible(peer)) peers.push_back(&peer);
    }
    for (const auto* one : peers) {
      if (rule.ports.empty()) entries.insert({use(peersOf(policy, one)), std::nullopt, {}});
      for (const auto& port : rule.ports) {
        const bool byPeer =
            direction == PolicyType::Egress && port.port && !port.port->name.empty();
        if (byPeer) {
          // Each pod among the peers has a number of its own for the name.
          for (const auto& [number, named] : source_.withPort(policy, one, port)) {
            entries.insert({use(named), port.protocol, {number, number}});
          }
        } else if (const auto ports = match::portsOf(port, &subject)) {
          entries.insert({use(peersOf(policy, one)), port.protocol, *ports});
        }
      }
    }
  }

  Peers peersOf(const api::PodNetworkPolicy& policy, const api::PolicyPeer* peer) {
    if (peer == nullptr) return nullptr;
    if (!peer->ipBlock) return &source_.podsOf(policy, *peer);
    Key key('b');
    key.add(peer->ipBlock->cidr);
    for (const auto& except : peer->ipBlock->except) key.add(except);
    auto block = blocks_.find(key.text());
    if (block == blocks_.end()) {
      block = blocks_.emplace(key.text(), Named{key.text(), rangesOf(*peer->ipBlock)}).first;
    }
    return &block->second;
  }

  /// As an entry names them.
  std::string use(Peers peers) {
    if (peers == nullptr) return "";
    used_.emplace(peers->key, peers);
    return peers->key;
  }

  /// Where a range of somebody begins, or the address behind its last.
  struct Edge {
    IpAddress at;
    std::size_t who = 0;
    bool begins = false;
  };

  [[nodiscard]] std::vector<Edge> edges() const {
    std::vector<Edge> all;
    std::size_t who = 0;
    for (const auto& [key, peers] : used_) {
      for (const auto& range : peers->ranges) {
        all.push_back({range.first, who, true});
        if (range.last != lastOf(range.last.family())) {
          all.push_back({next(range.last), who, false});
        }
      }
      ++who;
    }
    // Those of one peer are in order.
    if (!std::ranges::is_sorted(all, {}, &Edge::at)) std::ranges::sort(all, {}, &Edge::at);
    return all;
  }

  /// How many ranges of whom; few at a time.
  using Here = boost::container::flat_map<std::size_t, int>;

  /// Lays all peers' addresses over each other.
  void layOut() {
    for (const auto& [key, peers] : used_) keys_.push_back(&key);
    classesOf_.resize(keys_.size());
    const std::vector<Edge> all = edges();
    Here here;
    for (auto edge = all.begin(); edge != all.end();) {
      // What reaches the end of IPv4 doesn't go on in IPv6.
      if (edge != all.begin() && std::prev(edge)->at.family() != edge->at.family()) here.clear();
      const IpAddress at = edge->at;
      for (; edge != all.end() && edge->at == at; ++edge) {
        const auto counted = here.try_emplace(edge->who, 0).first;
        counted->second += edge->begins ? 1 : -1;
        if (counted->second == 0) here.erase(counted);
      }
      if (here.empty()) continue;
      const bool isLast = edge == all.end() || edge->at.family() != at.family();
      addPiece({at, isLast ? lastOf(at.family()) : previous(edge->at)}, classOf(here));
    }
  }

  Number classOf(const Here& here) {
    members_.clear();
    for (const auto& [who, count] : here) members_.push_back(who);
    const auto known = classes_.find(members_);
    if (known != classes_.end()) return known->second;
    Key key('c');
    for (const std::size_t who : members_) key.add(*keys_[who]);
    const Number number = numbers_.of(key.text());
    for (const std::size_t who : members_) classesOf_[who].push_back(number);
    classes_.emplace(members_, number);
    return number;
  }

  void addPiece(const AddressRange& piece, Number number) {
    auto& addresses = program_.addresses;
    AddressRange range = piece;
    if (!addresses.empty()) {
      const auto before = std::prev(addresses.end());
      const bool touches = before->first.last.family() == piece.first.family() &&
                           before->first.last == previous(piece.first);
      if (before->second == number && touches) {
        range.first = before->first.first;
        addresses.erase(before);
      }
    }
    addresses.emplace_hint(addresses.end(), range, number);
  }

  /// Those that need few come first, so that what there is no room for hits few.
  void addAllPermits() {
    std::vector<std::pair<std::size_t, Number>> order;
    std::map<Number, std::set<Permit>> all;
    for (const auto& [subject, entries] : entries_) {
      auto& permits = all[subject] = permitsOf(subject, entries);
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

  [[nodiscard]] std::set<Permit> permitsOf(Number subject, const Entries& entries) const {
    // By class and protocol: which ports.
    std::map<std::pair<Number, std::optional<api::Protocol>>, std::vector<Ports>> all;
    for (const auto& entry : entries) {
      if (entry.peers.empty()) {
        all[{kEverybody, entry.protocol}].push_back(entry.ports);
        continue;
      }
      const auto who =
          static_cast<std::size_t>(std::distance(used_.begin(), used_.find(entry.peers)));
      for (const Number one : classesOf_[who]) all[{one, entry.protocol}].push_back(entry.ports);
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

  static void addPorts(Permit permit, std::vector<Ports> ports, std::set<Permit>& permits) {
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

  const Network& network_;
  Source& source_;
  Numbers& numbers_;
  const std::size_t mostPermits_;
  std::map<std::string, Named> blocks_;   // by key
  std::map<std::string, Peers> used_;     // likewise
  std::vector<const std::string*> keys_;  // of used_, in its order; their places are who they are
  std::map<Number, Entries> entries_;     // by subject
  std::map<std::vector<std::size_t>, Number> classes_;
  std::vector<std::size_t> members_;            // of the piece that is looked at
  std::vector<std::vector<Number>> classesOf_;  // by who
  Program program_;
  std::set<PodKey> cut_;
};

}  // namespace

Compiled compile(const std::vector<Subject>& subjects, const Network& network, Source& source,
                 Numbers& numbers, std::size_t mostPermits) {
  return Compiler(network, source, numbers, mostPermits).run(subjects);
}

Program compile(const World& world, const Network& network, Numbers& numbers) {
  std::vector<const api::PodNetworkPolicy*> policies;
  policies.reserve(world.policies.size());
  for (const auto& policy : world.policies) policies.push_back(&policy);
  std::vector<Subject> subjects;
  for (const auto& pod : world.pods) {
    if (pod.on(network.name) != nullptr) subjects.push_back({&pod, policies});
  }
  WorldSource source(world, network.name);
  return compile(subjects, network, source, numbers).program;
}

}  // namespace multinet::policy
