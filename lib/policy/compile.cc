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
using Ranges = std::vector<AddressRange>;

/// Who one peer of a rule is, by a key and addresses; null: everybody.
using Peers = const std::pair<const std::string, Ranges>*;

IpAddress next(const IpAddress& address) {
  return {address.family(), address.number() + 1};
}
IpAddress previous(const IpAddress& address) {
  return {address.family(), address.number() - 1};
}
IpAddress lastOf(IpFamily family) {
  return IpPrefix(IpAddress(family, 0), 0).last();
}

/// In order, disjoint, none touching the next.
Ranges joined(Ranges ranges) {
  std::ranges::sort(ranges);
  Ranges out;
  for (const auto& range : ranges) {
    const bool joins =
        !out.empty() && out.back().last.family() == range.first.family() &&
        (out.back().last == lastOf(range.first.family()) || range.first <= next(out.back().last));
    if (joins) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

/// `from` without `what`; both of one family.
Ranges without(const Ranges& from, const AddressRange& what) {
  Ranges out;
  for (const auto& range : from) {
    if (what.last < range.first || range.last < what.first) {
      out.push_back(range);
      continue;
    }
    if (range.first < what.first) out.push_back({range.first, previous(what.first)});
    if (what.last < range.last) out.push_back({next(what.last), range.last});
  }
  return out;
}

Ranges rangesOf(const api::PolicyIpBlock& block) {
  const auto cidr = IpPrefix::parse(block.cidr);
  if (!cidr) return {};
  Ranges out = {{cidr->first(), cidr->last()}};
  for (const auto& text : block.except) {
    const auto except = IpPrefix::parse(text);
    if (!except) return {};
    if (except->family() == cidr->family()) out = without(out, {except->first(), except->last()});
  }
  return out;
}

/// Of ranges in order, disjoint.
bool contains(const Ranges& ranges, const IpAddress& address) {
  const auto after = std::ranges::upper_bound(ranges, address, {}, &AddressRange::first);
  return after != ranges.begin() && address <= std::prev(after)->last;
}

class Compiler {
 public:
  Compiler(const World& world, const Network& network, Numbers& numbers)
      : world_(world), network_(network), numbers_(numbers) {
    for (const auto& pod : world.pods) {
      if (pod.on(network.name) != nullptr) pods_.push_back(&pod);
    }
  }

  Program run() {
    for (const Pod* pod : pods_) {
      isolate(*pod, PolicyType::Egress, program_.egress);
      isolate(*pod, PolicyType::Ingress, program_.ingress);
    }
    layOut();
    for (const auto& [text, subject] : subjects_) addPermits(subject.first, *subject.second);
    return std::move(program_);
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

  const std::vector<IpAddress>& addressesOf(const Pod& pod) const {
    return pod.on(network_.name)->addresses;
  }

  template <class Wanted>
  Ranges podsThat(Wanted wanted) const {
    Ranges out;
    for (const Pod* pod : pods_) {
      if (!wanted(*pod)) continue;
      for (const auto& address : addressesOf(*pod)) out.push_back({address, address});
    }
    return joined(std::move(out));
  }

  void isolate(const Pod& pod, PolicyType direction, std::map<PodKey, Number>& subjects) {
    Entries entries;
    bool isolated = false;
    for (const auto& policy : world_.policies) {
      if (!policy.spec.isolates(direction) || !match::selects(policy, pod, network_.name)) continue;
      isolated = true;
      match::eachRule(policy.spec, direction, [&](std::size_t, const api::PolicyRule& rule) {
        addRule(rule, policy.metadata.nameSpace, direction, pod, entries);
      });
    }
    if (!isolated) {
      if (network_.defaultPolicy == api::DefaultPolicy::Allow) return;
      if (network_.defaultPolicy == api::DefaultPolicy::SameNamespace) {
        api::PolicyPeer own;
        own.podSelector.emplace();
        entries.insert({use(peersOf(own, pod.key.nameSpace)), std::nullopt, {}});
      }
    }
    Key key('s');
    for (const auto& entry : entries) {
      key.add(entry.peers).add(entry.protocol ? k8s::spell(*entry.protocol) : "");
      key.add(entry.ports.first).add(entry.ports.last);
    }
    const Number number = numbers_.of(key.text());
    subjects.emplace(pod.key, number);
    auto& held = entries_.emplace_back(std::move(entries));
    subjects_.emplace(key.text(), std::pair(number, &held));
  }

  void addRule(const api::PolicyRule& rule, const std::string& home, PolicyType direction,
               const Pod& subject, Entries& entries) {
    std::vector<Peers> peers;
    if (rule.peers.empty()) peers.push_back(nullptr);
    for (const auto& peer : rule.peers) {
      if (match::isLegible(peer)) peers.push_back(peersOf(peer, home));
    }
    for (const Peers one : peers) {
      if (rule.ports.empty()) entries.insert({use(one), std::nullopt, {}});
      for (const auto& port : rule.ports) {
        const bool byPeer =
            direction == PolicyType::Egress && port.port && !port.port->name.empty();
        if (byPeer) {
          addNamed(one, port, entries);
        } else if (const auto ports = match::portsOf(port, &subject)) {
          entries.insert({use(one), port.protocol, *ports});
        }
      }
    }
  }

  /// Each pod among the peers has a number of its own for the name.
  void addNamed(Peers peers, const api::PolicyPort& port, Entries& entries) {
    std::map<Ports, Ranges> byPorts;
    for (const Pod* pod : pods_) {
      const auto ports = match::portsOf(port, pod);
      if (!ports) continue;
      for (const auto& address : addressesOf(*pod)) {
        if (peers != nullptr && !contains(peers->second, address)) continue;
        byPorts[*ports].push_back({address, address});
      }
    }
    for (auto& [ports, ranges] : byPorts) {
      Key key('n');
      key.add(peers == nullptr ? "" : peers->first).add(port.port->name);
      key.add(k8s::spell(port.protocol)).add(ports.first);
      const Peers named = know(key, [&] { return joined(std::move(ranges)); });
      entries.insert({use(named), port.protocol, ports});
    }
  }

  Peers peersOf(const api::PolicyPeer& peer, const std::string& home) {
    if (peer.ipBlock) {
      Key key('b');
      key.add(peer.ipBlock->cidr);
      for (const auto& except : peer.ipBlock->except) key.add(except);
      return know(key, [&] { return rangesOf(*peer.ipBlock); });
    }
    Key key('p');
    key.add(peer.namespaceSelector ? "" : home);
    key.add(peer.namespaceSelector).add(peer.podSelector);
    return know(key, [&] {
      return podsThat([&](const Pod& pod) { return match::isPod(peer, home, pod, world_); });
    });
  }

  /// Their addresses are found out once.
  template <class FindOut>
  Peers know(const Key& key, FindOut findOut) {
    auto known = known_.find(key.text());
    if (known == known_.end()) known = known_.emplace(key.text(), findOut()).first;
    return &*known;
  }

  /// As an entry names them.
  std::string use(Peers peers) {
    if (peers == nullptr) return "";
    used_.insert(peers);
    return peers->first;
  }

  /// Lays all peers' addresses over each other.
  void layOut() {
    std::map<IpAddress, std::vector<const std::string*>> begins;
    std::map<IpAddress, std::vector<const std::string*>> ends;  // by the address behind the last
    std::set<IpAddress> edges;
    for (const Peers peers : used_) {
      const auto& [key, ranges] = *peers;
      for (const auto& range : ranges) {
        begins[range.first].push_back(&key);
        edges.insert(range.first);
        if (range.last == lastOf(range.last.family())) continue;
        ends[next(range.last)].push_back(&key);
        edges.insert(next(range.last));
      }
    }
    std::set<std::string_view> here;
    for (auto edge = edges.begin(); edge != edges.end(); ++edge) {
      // What reaches the end of IPv4 doesn't go on in IPv6.
      if (edge != edges.begin() && std::prev(edge)->family() != edge->family()) here.clear();
      if (const auto found = ends.find(*edge); found != ends.end()) {
        for (const auto* key : found->second) here.erase(*key);
      }
      if (const auto found = begins.find(*edge); found != begins.end()) {
        for (const auto* key : found->second) here.insert(*key);
      }
      if (here.empty()) continue;
      const auto following = std::next(edge);
      const bool isLast = following == edges.end() || following->family() != edge->family();
      addPiece({*edge, isLast ? lastOf(edge->family()) : previous(*following)}, here);
    }
  }

  void addPiece(const AddressRange& piece, const std::set<std::string_view>& peers) {
    Key key('c');
    for (const auto& one : peers) key.add(one);
    const Number number = numbers_.of(key.text());
    auto& addresses = program_.addresses;
    if (!addresses.empty()) {
      const auto before = std::prev(addresses.end());
      const AddressRange range = before->first;
      const bool touches =
          range.last.family() == piece.first.family() && range.last == previous(piece.first);
      if (before->second == number && touches) {
        addresses.erase(before);
        addresses.emplace(AddressRange{range.first, piece.last}, number);
        return;
      }
    }
    addresses.emplace(piece, number);
    for (const auto& one : peers) classesOf_[std::string(one)].insert(number);
  }

  void addPermits(Number subject, const Entries& entries) {
    // By class and protocol: which ports.
    std::map<std::pair<Number, std::optional<api::Protocol>>, std::vector<Ports>> all;
    for (const auto& entry : entries) {
      if (entry.peers.empty()) {
        all[{kEverybody, entry.protocol}].push_back(entry.ports);
        continue;
      }
      for (const Number one : classesOf_[entry.peers]) {
        all[{one, entry.protocol}].push_back(entry.ports);
      }
    }
    for (auto& [at, ports] : all) {
      const auto& [peers, protocol] = at;
      if (!protocol) {
        program_.permits.insert({subject, peers, std::nullopt, 0, 0});
      } else if (!all.contains({peers, std::nullopt})) {
        addPorts({subject, peers, protocol, 0, 0}, std::move(ports));
      }
    }
  }

  void addPorts(Permit permit, std::vector<Ports> ports) {
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
      program_.permits.insert(permit);
      permit.first = one.first;
      permit.last = one.last;
    }
    program_.permits.insert(permit);
  }

  const World& world_;
  const Network& network_;
  Numbers& numbers_;
  std::vector<const Pod*> pods_;         // on the network
  std::map<std::string, Ranges> known_;  // by key
  std::set<Peers> used_;
  std::list<Entries> entries_;
  std::map<std::string, std::pair<Number, const Entries*>> subjects_;
  std::map<std::string, std::set<Number>> classesOf_;  // by peers
  Program program_;
};

}  // namespace

Program compile(const World& world, const Network& network, Numbers& numbers) {
  return Compiler(world, network, numbers).run();
}

}  // namespace multinet::policy
