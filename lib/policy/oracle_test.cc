// The evaluator against a second one, and the compiled program against the evaluator.
//
// The second is written from the API references of NetworkPolicy and ClusterNetworkPolicy and as
// plainly as can be: it lists what is allowed, address by address, and looks whether the packet is
// in the list. It shares neither matching nor arithmetic with this room.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "lib/policy/program.h"
#include "lib/policy/test_worlds.h"

namespace multinet::policy {
namespace {

using api::PolicyType;
using testing::Draw;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSets = 5'000;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kSets = 5'000;
#else
constexpr int kSets = 100'000;
#endif
#else
constexpr int kSets = 100'000;
#endif

namespace reference {

bool labelled(const k8s::LabelSelector& selector, const k8s::StringMap& labels) {
  for (const auto& [key, value] : selector.matchLabels) {
    if (labels.count(key) == 0 || labels.at(key) != value) return false;
  }
  for (const auto& one : selector.matchExpressions) {
    const bool has = labels.count(one.key) > 0;
    const std::set<std::string> values(one.values.begin(), one.values.end());
    if (one.op == k8s::SelectorOperator::Exists && !has) return false;
    if (one.op == k8s::SelectorOperator::DoesNotExist && has) return false;
    if (one.op == k8s::SelectorOperator::In && (!has || values.count(labels.at(one.key)) == 0)) {
      return false;
    }
    if (one.op == k8s::SelectorOperator::NotIn && has && values.count(labels.at(one.key)) > 0) {
      return false;
    }
  }
  return true;
}

/// Bit by bit.
bool inside(const std::string& cidr, const IpAddress& address) {
  const auto slash = cidr.find('/');
  const auto base = testing::ip(cidr.substr(0, slash));
  if (base.family() != address.family()) return false;
  const int length = std::stoi(cidr.substr(slash + 1));
  for (int bit = 0; bit < length; ++bit) {
    const auto at = static_cast<std::size_t>(bit);
    const auto mask = static_cast<unsigned>(0x80) >> (at % 8);
    if ((base.bytes().at(at / 8) & mask) != (address.bytes().at(at / 8) & mask)) return false;
  }
  return true;
}

bool has(const Pod& pod, const IpAddress& address) {
  for (const auto& interface : pod.interfaces) {
    for (const auto& one : interface.addresses) {
      if (interface.network == "blue" && one == address) return true;
    }
  }
  return false;
}

/// One direction of one packet.
struct Question {
  PolicyType type;
  const Pod* self = nullptr;
  IpAddress other;
  const Pod* receiver = nullptr;
};

std::set<std::tuple<api::Protocol, int, int>> portsOf(const std::vector<api::PolicyPort>& ports,
                                                      const Pod* receiver) {
  std::set<std::tuple<api::Protocol, int, int>> out;
  for (const auto& port : ports) {
    if (!port.port) {
      out.insert({port.protocol, 0, 65535});
    } else if (port.port->name.empty()) {
      out.insert({port.protocol, port.port->number, port.endPort.value_or(port.port->number)});
    } else if (receiver != nullptr) {
      for (const auto& named : receiver->ports) {
        if (named.name != port.port->name || named.protocol != port.protocol) continue;
        out.insert({port.protocol, named.number, named.number});
        break;
      }
    }
  }
  return out;
}

bool ruleAllows(const World& world, const std::string& home,
                const std::vector<api::PolicyPeer>& peers,
                const std::vector<api::PolicyPort>& ports, const Question& question,
                const Packet& packet) {
  bool portFits = ports.empty();
  for (const auto& [protocol, first, last] : portsOf(ports, question.receiver)) {
    if (packet.protocol && *packet.protocol == protocol && first <= packet.port &&
        packet.port <= last) {
      portFits = true;
    }
  }
  bool peerFits = peers.empty();
  for (const auto& peer : peers) {
    if (peer.ipBlock) {
      bool fits = inside(peer.ipBlock->cidr, question.other);
      for (const auto& except : peer.ipBlock->except) {
        if (inside(except, question.other)) fits = false;
      }
      if (fits) peerFits = true;
      continue;
    }
    for (const auto& pod : world.pods) {
      if (!has(pod, question.other)) continue;
      bool fits = !peer.podSelector || labelled(*peer.podSelector, pod.labels);
      if (peer.namespaceSelector) {
        const auto labels = world.namespaces.find(pod.key.nameSpace);
        if (labels == world.namespaces.end() ||
            !labelled(*peer.namespaceSelector, labels->second)) {
          fits = false;
        }
      } else if (pod.key.nameSpace != home) {
        fits = false;
      }
      if (fits) peerFits = true;
    }
  }
  return portFits && peerFits;
}

bool isOfType(const api::PodNetworkPolicySpec& spec, PolicyType type) {
  std::set<PolicyType> types(spec.policyTypes.begin(), spec.policyTypes.end());
  if (types.empty()) {
    types.insert(PolicyType::Ingress);
    if (!spec.egress.empty()) types.insert(PolicyType::Egress);
  }
  return types.count(type) > 0;
}

/// Of pods that have the address on the network.
bool isPodOf(const World& world, const IpAddress& address, const k8s::LabelSelector& spaces,
             const k8s::LabelSelector& pods) {
  for (const auto& pod : world.pods) {
    const auto labels = world.namespaces.find(pod.key.nameSpace);
    if (labels == world.namespaces.end() || !has(pod, address)) continue;
    if (labelled(spaces, labels->second) && labelled(pods, pod.labels)) return true;
  }
  return false;
}

enum class Fit { No, Yes, Illegible };

/// By an address of a link anybody sends, and by one of many anybody is met.
bool mayBeAnybody(const IpAddress& other, PolicyType type) {
  if (inside("fe80::/10", other)) return true;
  return type == PolicyType::Egress && (inside("ff00::/8", other) || inside("224.0.0.0/3", other));
}

Fit peersFit(const World& world, const std::vector<api::ClusterPolicyPeer>& peers,
             const IpAddress& other) {
  Fit out = Fit::No;
  for (const auto& peer : peers) {
    bool fits = false;
    if (peer.namespaces) {
      fits = isPodOf(world, other, *peer.namespaces, {});
    } else if (peer.pods) {
      fits = isPodOf(world, other, peer.pods->namespaceSelector, peer.pods->podSelector);
    } else if (!peer.networks.empty()) {
      for (const auto& block : peer.networks) fits = fits || inside(block, other);
    } else {
      return Fit::Illegible;
    }
    if (fits) out = Fit::Yes;
  }
  return out;
}

bool portFits(const std::optional<api::ClusterPolicyTransport>& transport, int port) {
  if (!transport) return false;
  const auto& wanted = *transport->destinationPort;
  if (wanted.number) return port == *wanted.number;
  return wanted.range->start <= port && port <= wanted.range->end;
}

Fit protocolsFit(const std::vector<api::ClusterPolicyProtocol>& protocols, const Pod* receiver,
                 const Packet& packet) {
  Fit out = protocols.empty() ? Fit::Yes : Fit::No;
  for (const auto& one : protocols) {
    bool fits = false;
    if (!one.destinationNamedPort.empty()) {
      std::vector<api::PolicyPort> named;
      for (const auto protocol : {api::Protocol::TCP, api::Protocol::UDP, api::Protocol::SCTP}) {
        named.push_back({protocol, k8s::IntOrString{0, one.destinationNamedPort}, {}});
      }
      for (const auto& [protocol, first, last] : portsOf(named, receiver)) {
        fits = fits || (packet.protocol == protocol && first == packet.port);
      }
    } else if (!one.tcp && !one.udp && !one.sctp) {
      return Fit::Illegible;
    } else if (packet.protocol == api::Protocol::TCP) {
      fits = portFits(one.tcp, packet.port);
    } else if (packet.protocol == api::Protocol::UDP) {
      fits = portFits(one.udp, packet.port);
    } else if (packet.protocol == api::Protocol::SCTP) {
      fits = portFits(one.sctp, packet.port);
    }
    if (fits) out = Fit::Yes;
  }
  return out;
}

struct Ordered {
  int priority = 0;
  std::string policy;
  std::size_t at = 0;
  const api::ClusterPolicyRule* rule = nullptr;
};

/// What the tier says; nothing where it leaves it to the next.
std::optional<bool> tierSays(const World& world, api::ClusterPolicyTier tier,
                             const Question& question, const Packet& packet) {
  std::vector<Ordered> rules;
  for (const auto& policy : world.clusterPolicies) {
    const auto& spec = policy.spec;
    const std::set<std::string> networks(spec.podNetworkNames.begin(), spec.podNetworkNames.end());
    const auto labels = world.namespaces.find(question.self->key.nameSpace);
    if (spec.tier != tier || networks.count("blue") == 0 || labels == world.namespaces.end()) {
      continue;
    }
    const auto& spaces =
        spec.subject.namespaces ? *spec.subject.namespaces : spec.subject.pods->namespaceSelector;
    if (!labelled(spaces, labels->second)) continue;
    if (spec.subject.pods && !labelled(spec.subject.pods->podSelector, question.self->labels)) {
      continue;
    }
    const auto add = [&](std::size_t at, const api::ClusterPolicyRule& rule) {
      rules.push_back({spec.priority, policy.metadata.name, at, &rule});
    };
    if (question.type == PolicyType::Ingress) {
      for (std::size_t at = 0; at < spec.ingress.size(); ++at) add(at, spec.ingress[at]);
    } else {
      for (std::size_t at = 0; at < spec.egress.size(); ++at) add(at, spec.egress[at]);
    }
  }
  std::sort(rules.begin(), rules.end(), [](const Ordered& one, const Ordered& other) {
    return std::tie(one.priority, one.policy, one.at) <
           std::tie(other.priority, other.policy, other.at);
  });
  for (const auto& one : rules) {
    Fit peers = peersFit(world, one.rule->peers, question.other);
    Fit protocols = protocolsFit(one.rule->protocols, question.receiver, packet);
    const bool meansPods = std::any_of(one.rule->peers.begin(), one.rule->peers.end(),
                                       [](const auto& peer) { return peer.networks.empty(); });
    const bool isDenied = one.rule->action == api::ClusterPolicyAction::Deny && meansPods &&
                          mayBeAnybody(question.other, question.type);
    if (isDenied && peers != Fit::Illegible && protocols != Fit::Illegible) {
      peers = Fit::Yes;
      for (const auto& protocol : one.rule->protocols) {
        if (!protocol.destinationNamedPort.empty() && packet.protocol) protocols = Fit::Yes;
      }
    }
    const bool accepts = one.rule->action == api::ClusterPolicyAction::Accept;
    if (peers == Fit::Illegible || protocols == Fit::Illegible) {
      if (accepts) continue;
      return false;
    }
    if (peers == Fit::No || protocols == Fit::No) continue;
    if (one.rule->action == api::ClusterPolicyAction::Pass) return std::nullopt;
    return accepts;
  }
  return std::nullopt;
}

bool allowed(const World& world, api::DefaultPolicy byDefault, const Question& question,
             const Packet& packet) {
  if (question.self == nullptr || has(*question.self, question.other)) return true;
  const auto admin = tierSays(world, api::ClusterPolicyTier::Admin, question, packet);
  if (admin) return *admin;
  bool isolated = false;
  bool any = false;
  for (const auto& policy : world.policies) {
    const std::set<std::string> networks(policy.spec.podNetworkNames.begin(),
                                         policy.spec.podNetworkNames.end());
    if (networks.count("blue") == 0 || policy.metadata.nameSpace != question.self->key.nameSpace ||
        !labelled(policy.spec.podSelector, question.self->labels) ||
        !isOfType(policy.spec, question.type)) {
      continue;
    }
    isolated = true;
    const std::string& home = policy.metadata.nameSpace;
    if (question.type == PolicyType::Ingress) {
      for (const auto& rule : policy.spec.ingress) {
        if (ruleAllows(world, home, rule.peers, rule.ports, question, packet)) any = true;
      }
    } else {
      for (const auto& rule : policy.spec.egress) {
        if (ruleAllows(world, home, rule.peers, rule.ports, question, packet)) any = true;
      }
    }
  }
  if (isolated) return any;
  const auto baseline = tierSays(world, api::ClusterPolicyTier::Baseline, question, packet);
  if (baseline) return *baseline;
  if (byDefault == api::DefaultPolicy::Allow) return true;
  if (byDefault == api::DefaultPolicy::Deny) return false;
  for (const auto& pod : world.pods) {
    if (has(pod, question.other) && pod.key.nameSpace == question.self->key.nameSpace) return true;
  }
  return false;
}

std::pair<bool, bool> verdict(const World& world, api::DefaultPolicy byDefault,
                              const Packet& packet) {
  const Pod* from = nullptr;
  const Pod* to = nullptr;
  for (const auto& pod : world.pods) {
    if (has(pod, packet.source)) from = &pod;
    if (has(pod, packet.destination)) to = &pod;
  }
  return {allowed(world, byDefault, {PolicyType::Egress, from, packet.destination, to}, packet),
          allowed(world, byDefault, {PolicyType::Ingress, to, packet.source, to}, packet)};
}

}  // namespace reference

std::string show(const Program& program) {
  std::string out;
  for (const auto& [pod, subject] : program.ingress) {
    out += pod.str() + " receives as " + std::to_string(subject) + "\n";
  }
  for (const auto& [pod, subject] : program.egress) {
    out += pod.str() + " sends as " + std::to_string(subject) + "\n";
  }
  program.addresses.each([&](const AddressRange& range, Number number) {
    out += range.first.str() + " to " + range.last.str() + ": " + std::to_string(number) + "\n";
  });
  for (const auto& permit : program.permits) {
    out += std::to_string(permit.subject) + " with " + std::to_string(permit.peers) + " protocol " +
           (permit.protocol ? std::to_string(static_cast<int>(*permit.protocol)) : "any") + " " +
           std::to_string(permit.first) + " to " + std::to_string(permit.last) + "\n";
  }
  return out;
}

std::string show(const World& world, const Network& network, const Packet& packet) {
  std::string out = packet.source.str() + " to " + packet.destination.str() + " port " +
                    std::to_string(packet.port) + ", default " +
                    std::to_string(static_cast<int>(network.defaultPolicy)) + "\n";
  for (const auto& pod : world.pods) {
    out += pod.key.str() + ":";
    for (const auto& address : pod.interfaces[0].addresses) out += " " + address.str();
    out += " on " + pod.interfaces[0].network + "\n";
  }
  for (const auto& policy : world.policies) {
    out += k8s::KindTraits<api::PodNetworkPolicy>::encode(policy).dump() + "\n";
  }
  for (const auto& policy : world.clusterPolicies) {
    out += k8s::KindTraits<api::ClusterPodNetworkPolicy>::encode(policy).dump() + "\n";
  }
  return out;
}

bool byProgram(const Program& program, const World& world, const Packet& packet) {
  const Pod* from = world.podAt("blue", packet.source);
  const Pod* to = world.podAt("blue", packet.destination);
  return allows(program, packet, from == nullptr ? nullptr : &from->key,
                to == nullptr ? nullptr : &to->key);
}

TEST(Oracle, EvaluatorReferenceAndProgramAgree) {
  Draw draw(20260901);
  int allowed = 0;
  int denied = 0;
  int ordered = 0;
  int accepted = 0;
  int refused = 0;
  int passed = 0;
  for (int i = 0; i < kSets; ++i) {
    const World world = draw.world();
    const Network network = draw.network();
    Numbers numbers;
    const Program program = compile(world, network, numbers);
    ordered += program.ordered ? 1 : 0;
    for (int k = 0; k < 4; ++k) {
      const Packet packet = draw.packetOfAny();
      const auto verdict = evaluate(world, network, packet);
      const auto reference = reference::verdict(world, network.defaultPolicy, packet);
      ASSERT_EQ(std::pair(verdict.egress.allowed, verdict.ingress.allowed), reference)
          << "set " << i << ": " << show(world, network, packet);
      ASSERT_EQ(byProgram(program, world, packet), verdict.allowed())
          << "set " << i << ": " << show(world, network, packet) << show(program);
      ++(verdict.allowed() ? allowed : denied);
      for (const auto* end : {&verdict.egress, &verdict.ingress}) {
        if (end->ground == Ground::Cluster) ++(end->allowed ? accepted : refused);
        passed += end->passedBy.empty() ? 0 : 1;
      }
    }
  }
  // Worlds in which everything passes, or nothing, would show little.
  EXPECT_GT(allowed, kSets);
  EXPECT_GT(denied, kSets / 2);
  for (const int count : {ordered, accepted, refused, passed}) EXPECT_GT(count, kSets / 100);
}

TEST(Oracle, ADeltaLeadsFromOneProgramToTheNext) {
  Draw draw(7);
  int tightened = 0;
  int loosened = 0;
  for (int i = 0; i < kSets / 100; ++i) {
    World world = draw.world();
    const Network network = draw.network();
    Numbers numbers;
    Program held = compile(world, network, numbers);
    for (int step = 0; step < 10; ++step) {
      const World before = world;
      const Program old = held;
      draw.change(world);
      const Program wanted = compile(world, network, numbers);
      const Delta way = delta(held, wanted);
      apply(way, held);
      ASSERT_EQ(held, wanted) << "set " << i << " step " << step;
      ASSERT_EQ(way.empty(), old == wanted);
      ++(way.mayTighten() ? tightened : loosened);
      numbers.keepOnly({&held});
      ASSERT_EQ(compile(world, network, numbers), held) << "numbers in use were forgotten";
      if (way.mayTighten()) continue;
      for (int k = 0; k < 4; ++k) {
        const Packet packet = draw.packetOfAny();
        // Of ends that were there before and are there now; who came newly has no connections.
        const Pod* from = before.podAt("blue", packet.source);
        const Pod* to = before.podAt("blue", packet.destination);
        const PodKey* fromKey = from == nullptr ? nullptr : &from->key;
        const PodKey* toKey = to == nullptr ? nullptr : &to->key;
        if (!allows(old, packet, fromKey, toKey)) continue;
        ASSERT_TRUE(allows(held, packet, fromKey, toKey))
            << "set " << i << " step " << step << ": " << show(world, network, packet);
      }
    }
  }
  EXPECT_GT(tightened, 0);
  EXPECT_GT(loosened, 0);
}

}  // namespace
}  // namespace multinet::policy
