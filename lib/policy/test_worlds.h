// Worlds for the tests of this room: small ones, in which everything meets everything.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "lib/policy/evaluate.h"

namespace multinet::policy::testing {

inline IpAddress ip(const std::string& text) {
  return *IpAddress::parse(text);
}

inline Pod pod(const std::string& nameSpace, const std::string& name, k8s::StringMap labels,
               std::vector<IpAddress> addresses, std::vector<NamedPort> ports = {}) {
  return {{nameSpace, name}, std::move(labels), std::move(ports), {{"blue", std::move(addresses)}}};
}

/// Draws worlds; the same for the same seed. What it draws passes api::validate().
class Draw {
 public:
  explicit Draw(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t count) { return random_() % count; }
  bool oneIn(std::size_t count) { return below(count) == 0; }
  template <class T>
  const T& of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

  /// Of pods (1 to 7), of pods' space (8 to 15), or of far away.
  IpAddress address() {
    const auto number = static_cast<unsigned>(1 + below(15));
    if (oneIn(12)) return ip(oneIn(2) ? "192.0.2.7" : "2001:db8::7");
    return ip((oneIn(2) ? "10.0.0." : "fd00::") + std::to_string(number));
  }
  Packet packet() {
    Packet out{address(), address(), std::nullopt, 0};
    while (out.destination.family() != out.source.family()) out.destination = address();
    if (oneIn(6)) return out;
    out.protocol = of(protocols_);
    out.port = of(std::vector<std::uint16_t>{1, 79, 80, 81, 443, 8080, 65535});
    return out;
  }

  /// Some have an end that no pod's addresses tell.
  Packet packetOfAny() {
    Packet out = packet();
    if (oneIn(10)) addUnnamed(out);
    return out;
  }

  api::PodNetworkPolicy policy(std::size_t number) {
    api::PodNetworkPolicy out;
    out.metadata.name = "policy-" + std::to_string(number);
    out.metadata.nameSpace = of(spaces_);
    out.spec.podNetworkNames = {"blue"};
    if (oneIn(6)) out.spec.podNetworkNames = {"red"};
    if (oneIn(6)) out.spec.podNetworkNames = {"red", "blue"};
    if (!oneIn(3)) out.spec.podSelector = selector();
    if (oneIn(2)) out.spec.policyTypes.push_back(api::PolicyType::Egress);
    if (oneIn(2)) out.spec.policyTypes.push_back(api::PolicyType::Ingress);
    out.spec.ingress.resize(below(3));
    for (auto& one : out.spec.ingress) fill(one);
    out.spec.egress.resize(below(3));
    for (auto& one : out.spec.egress) fill(one);
    return out;
  }

  /// Of one number, of one name. Now and then it has a part that can't be read.
  api::ClusterPodNetworkPolicy clusterPolicy(std::size_t number) {
    api::ClusterPodNetworkPolicy out;
    out.metadata.name = "cluster-" + std::to_string(number);
    out.spec.podNetworkNames = {oneIn(8) ? "red" : "blue"};
    out.spec.tier = oneIn(2) ? api::ClusterPolicyTier::Admin : api::ClusterPolicyTier::Baseline;
    out.spec.priority = static_cast<std::int32_t>(below(3));
    if (oneIn(2)) {
      out.spec.subject.namespaces = oneIn(2) ? k8s::LabelSelector{} : selector();
    } else {
      out.spec.subject.pods = somePods();
    }
    out.spec.ingress.resize(below(4));
    for (auto& one : out.spec.ingress) fill(one, false);
    out.spec.egress.resize(below(4));
    for (auto& one : out.spec.egress) fill(one, true);
    return out;
  }

  Pod drawPod(unsigned number) {
    Pod out = pod(of(spaces_), "pod-" + std::to_string(number), labels(), {});
    auto& addresses = out.interfaces[0].addresses;
    if (!oneIn(8)) addresses.push_back(ip("10.0.0." + std::to_string(number)));
    if (oneIn(2)) addresses.push_back(ip("fd00::" + std::to_string(number)));
    if (oneIn(6)) out.interfaces[0].network = "red";
    if (oneIn(2)) out.ports.push_back({"web", of(protocols_), oneIn(2) ? 80 : 8080});
    if (oneIn(3)) out.ports.push_back({"web", api::Protocol::TCP, 443});
    return out;
  }

  World world() {
    World out;
    out.namespaces = {{"x", labels()}, {"y", labels()}};
    if (!oneIn(4)) out.namespaces["z"] = labels();
    const auto pods = static_cast<unsigned>(1 + below(7));
    for (unsigned i = 1; i <= pods; ++i) out.pods.push_back(drawPod(i));
    const std::size_t policies = below(5);
    for (std::size_t i = 0; i < policies; ++i) out.policies.push_back(policy(i));
    const std::size_t cluster = oneIn(3) ? 0 : below(4);
    for (std::size_t i = 0; i < cluster; ++i) out.clusterPolicies.push_back(clusterPolicy(i));
    return out;
  }

  /// One step of a cluster's life.
  void change(World& world) {
    const auto number = static_cast<unsigned>(1 + below(7));
    const auto isIt = [&](const Pod& one) {
      return one.key.name == "pod-" + std::to_string(number);
    };
    switch (below(7)) {
      case 0:
        std::erase_if(world.pods, isIt);
        break;
      case 1:
        std::erase_if(world.pods, isIt);
        world.pods.push_back(drawPod(number));
        break;
      case 2:
        world.policies.push_back(policy(100 + number));
        break;
      case 3:
        if (!world.policies.empty()) world.policies.erase(world.policies.begin());
        break;
      case 4: {
        const auto one = clusterPolicy(below(3));
        std::erase_if(world.clusterPolicies,
                      [&](const auto& old) { return old.metadata.name == one.metadata.name; });
        world.clusterPolicies.push_back(one);
        break;
      }
      case 5:
        if (!world.clusterPolicies.empty()) world.clusterPolicies.pop_back();
        break;
      default:
        world.namespaces[of(spaces_)] = labels();
    }
  }
  Network network() {
    return {"blue", of(std::vector{api::DefaultPolicy::Allow, api::DefaultPolicy::Allow,
                                   api::DefaultPolicy::SameNamespace, api::DefaultPolicy::Deny})};
  }

 private:
  void addUnnamed(Packet& packet) {
    const bool isV6 = packet.source.family() == IpFamily::V6;
    if (isV6 && oneIn(2)) packet.source = ip("fe80::7");
    if (oneIn(2)) return;
    packet.destination = ip(isV6 ? of(std::vector<std::string>{"fe80::1", "ff02::fb"})
                                 : of(std::vector<std::string>{"224.0.0.251", "255.255.255.255"}));
  }
  k8s::StringMap labels() {
    k8s::StringMap out;
    if (!oneIn(4)) out["app"] = of(words_);
    if (oneIn(2)) out["tier"] = of(words_);
    return out;
  }
  k8s::LabelSelector selector() {
    k8s::LabelSelector out;
    if (oneIn(2)) out.matchLabels[of(keys_)] = of(words_);
    if (!oneIn(3)) return out;
    const auto op =
        of(std::vector{k8s::SelectorOperator::In, k8s::SelectorOperator::NotIn,
                       k8s::SelectorOperator::Exists, k8s::SelectorOperator::DoesNotExist});
    std::vector<std::string> values;
    if (op == k8s::SelectorOperator::In || op == k8s::SelectorOperator::NotIn) {
      values.push_back(of(words_));
      if (oneIn(3)) values.push_back(of(words_));
    }
    out.matchExpressions.push_back({of(keys_), op, std::move(values)});
    return out;
  }
  api::PolicyIpBlock block() {
    static const std::vector<api::PolicyIpBlock> kBlocks = {
        {"0.0.0.0/0", {}},
        {"0.0.0.0/0", {"10.0.0.0/29", "10.0.0.12/32"}},
        {"0.0.0.0/0", {"128.0.0.0/1"}},
        {"10.0.0.0/28", {}},
        {"10.0.0.0/28", {"10.0.0.4/30"}},
        {"10.0.0.0/28", {"10.0.0.0/30", "10.0.0.2/32", "10.0.0.14/31"}},
        {"10.0.0.3/32", {}},
        {"10.0.0.8/29", {}},
        {"::/0", {}},
        {"::/0", {"fd00::/125", "8000::/1"}},
        {"fd00::/124", {"fd00::4/126"}},
        {"fd00::5/128", {}},
        {"2001:db8::/32", {}}};
    return of(kBlocks);
  }
  void fill(api::PolicyRule& rule) {
    rule.peers.resize(below(4));
    for (auto& peer : rule.peers) {
      const std::size_t kind = below(4);
      if (kind == 0) {
        peer.ipBlock = block();
        continue;
      }
      if (kind != 1) peer.podSelector = selector();
      if (kind != 2) peer.namespaceSelector = selector();
    }
    rule.ports.resize(below(3));
    for (auto& port : rule.ports) {
      port.protocol = of(protocols_);
      if (oneIn(5)) continue;
      if (oneIn(3)) {
        port.port = k8s::IntOrString{0, "web"};
        continue;
      }
      const auto first = of(std::vector<std::int32_t>{1, 80, 81, 443});
      port.port = k8s::IntOrString{first, ""};
      if (oneIn(3)) port.endPort = oneIn(4) ? 65535 : first + static_cast<std::int32_t>(below(3));
    }
  }

  api::NamespacedPods somePods() {
    api::NamespacedPods out;
    if (!oneIn(3)) out.namespaceSelector = selector();
    if (!oneIn(3)) out.podSelector = selector();
    return out;
  }
  void fill(api::ClusterPolicyRule& rule, bool egress) {
    rule.action = of(std::vector{api::ClusterPolicyAction::Accept, api::ClusterPolicyAction::Deny,
                                 api::ClusterPolicyAction::Pass});
    rule.peers.resize(1 + below(2));
    for (auto& peer : rule.peers) {
      if (oneIn(60)) continue;
      if (egress && oneIn(2)) {
        peer.networks = {block().cidr};
        if (oneIn(3)) peer.networks.push_back("10.0.0.2/31");
      } else if (oneIn(2)) {
        peer.namespaces = oneIn(3) ? k8s::LabelSelector{} : selector();
      } else {
        peer.pods = somePods();
      }
    }
    rule.protocols.resize(oneIn(2) ? 0 : 1 + below(2));
    for (auto& one : rule.protocols) {
      if (oneIn(60)) continue;
      if (oneIn(4)) {
        one.destinationNamedPort = "web";
        continue;
      }
      const auto first = of(std::vector<std::int32_t>{1, 80, 81, 443});
      api::ClusterPolicyPort port{first, std::nullopt};
      if (oneIn(2))
        port = {std::nullopt, api::ClusterPolicyPortRange{first, oneIn(3) ? 65535 : 444}};
      const auto protocol = of(protocols_);
      auto& transport = protocol == api::Protocol::TCP   ? one.tcp
                        : protocol == api::Protocol::UDP ? one.udp
                                                         : one.sctp;
      transport = api::ClusterPolicyTransport{port};
    }
  }

  const std::vector<std::string> spaces_ = {"x", "y", "z"};
  const std::vector<std::string> keys_ = {"app", "tier"};
  const std::vector<std::string> words_ = {"a", "b"};
  const std::vector<api::Protocol> protocols_ = {api::Protocol::TCP, api::Protocol::TCP,
                                                 api::Protocol::UDP, api::Protocol::SCTP};
  std::mt19937 random_;
};

}  // namespace multinet::policy::testing
