#include "lib/policy/hints.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/api/spelling.h"
#include "lib/policy/match.h"
#include "lib/policy/tiers.h"

namespace multinet::policy {
namespace {

constexpr std::array kProtocols{api::Protocol::TCP, api::Protocol::UDP, api::Protocol::SCTP};

std::string at(const std::string& list, std::size_t index) {
  return list + "[" + std::to_string(index) + "]";
}

/// Selected pods of a policy's namespace.
api::PolicyPeer subjectsOf(const api::PodNetworkPolicy& policy) {
  return {policy.spec.podSelector, {}, {}};
}

/// Nothing: it is no selection of pods.
std::optional<api::PolicyPeer> selectorsOf(const api::PolicyPeer& peer) {
  return peer.ipBlock ? std::nullopt : std::optional(peer);
}
std::optional<api::PolicyPeer> selectorsOf(const api::ClusterPolicyPeer& peer) {
  return peer.networks.empty() ? podsOf(api::ClusterPolicySubject{peer.namespaces, peer.pods})
                               : std::nullopt;
}

bool hasPort(const Pod& pod, const WantedPort& port) {
  return std::ranges::any_of(kProtocols, [&](const api::Protocol one) {
    return port.protocol.value_or(one) == one && pod.portNamed(port.name, one).has_value();
  });
}

/// What one policy says, beside the pods that there are.
class Look {
 public:
  Look(const std::vector<std::string>& networks, std::string home, const World& world,
       const std::vector<Pod>& hostPods)
      : networks_(networks), home_(std::move(home)), world_(world), hostPods_(hostPods) {}

  void ports(const api::PolicyPeer& subjects, std::vector<WantedPort> wanted) {
    bool isAny = false;
    for (const Pod& pod : world_.pods) {
      if (!isOn(pod) || !isMeant(subjects, pod)) continue;
      isAny = true;
      std::erase_if(wanted, [&](const WantedPort& one) { return hasPort(pod, one); });
    }
    if (!isAny) return;
    for (const WantedPort& one : wanted) hints_.push_back(notFound(one));
  }

  template <class Rules>
  void rules(const std::string& list, const char* peers, const char* so, const Rules& rules) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      for (std::size_t k = 0; k < rules[i].peers.size(); ++k) {
        const auto pods = selectorsOf(rules[i].peers[k]);
        if (pods) selector(at(at(list, i) + peers, k), *pods, so);
      }
    }
  }

  void selector(const std::string& path, const api::PolicyPeer& peer, const char* so) {
    if (std::ranges::none_of(hostPods_, [&](const Pod& pod) { return isMeant(peer, pod); })) return;
    const bool isAny = std::ranges::any_of(
        world_.pods, [&](const Pod& pod) { return isOn(pod) && isMeant(peer, pod); });
    if (isAny) return;
    hints_.push_back({.path = path,
                      .value = {},
                      .detail = std::string("matches pods with hostNetwork alone, which are on no "
                                            "network: ") +
                                so,
                      .remedy = "write labels of pods that ask for one of its networks",
                      .reason = "HostNetworkOnly",
                      .code = Code::Ok});
  }

  [[nodiscard]] api::Violations all() { return std::move(hints_); }

 private:
  [[nodiscard]] bool isOn(const Pod& pod) const {
    return std::ranges::any_of(networks_,
                               [&](const auto& name) { return pod.on(name) != nullptr; });
  }
  [[nodiscard]] bool isMeant(const api::PolicyPeer& peer, const Pod& pod) const {
    return match::isPod(peer, home_, pod, world_);
  }

  const std::vector<std::string>& networks_;
  const std::string home_;
  const World& world_;
  const std::vector<Pod>& hostPods_;
  api::Violations hints_;
};

const char* consequenceOf(api::ClusterPolicyAction action) {
  switch (action) {
    case api::ClusterPolicyAction::Accept:
      return "it lets nobody in";
    case api::ClusterPolicyAction::Deny:
      return "it keeps nobody out";
    case api::ClusterPolicyAction::Pass:
      break;
  }
  return "it passes nobody on";
}

}  // namespace

std::vector<WantedPort> wantedPorts(const api::PodNetworkPolicy& policy) {
  std::vector<WantedPort> wanted;
  if (!policy.spec.isolates(api::PolicyType::Ingress)) return wanted;
  for (std::size_t rule = 0; rule < policy.spec.ingress.size(); ++rule) {
    const auto& ports = policy.spec.ingress[rule].ports;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      if (!ports[i].port || ports[i].port->name.empty()) continue;
      wanted.push_back({at(at("spec.ingress", rule) + ".ports", i) + ".port", ports[i].port->name,
                        ports[i].protocol, "it lets nobody in"});
    }
  }
  return wanted;
}

std::vector<WantedPort> wantedPorts(const api::ClusterPodNetworkPolicy& policy) {
  std::vector<WantedPort> wanted;
  for (std::size_t rule = 0; rule < policy.spec.ingress.size(); ++rule) {
    const auto& protocols = policy.spec.ingress[rule].protocols;
    for (std::size_t i = 0; i < protocols.size(); ++i) {
      const std::string& name = protocols[i].destinationNamedPort;
      if (name.empty()) continue;
      wanted.push_back({at(at("spec.ingress", rule) + ".protocols", i) + ".destinationNamedPort",
                        name, std::nullopt, consequenceOf(policy.spec.ingress[rule].action)});
    }
  }
  return wanted;
}

bool has(const k8s::Pod& pod, const WantedPort& port) {
  return std::ranges::any_of(kProtocols, [&](const api::Protocol one) {
    return port.protocol.value_or(one) == one && portNamed(pod, port.name, one).has_value();
  });
}

api::Violation notFound(const WantedPort& port) {
  const std::string of =
      port.protocol ? std::string(k8s::spell(*port.protocol)) + " port" : std::string("port");
  return {.path = port.path,
          .value = port.name,
          .detail = "is the name of no " + of + " of a pod that it selects, so " + port.so,
          .remedy = "write a name that one of their containers gives a port, or a number",
          .reason = "NamedPortNotFound",
          .code = Code::Ok};
}

api::Violations hintsOf(const api::PodNetworkPolicy& policy, const World& world,
                        const std::vector<Pod>& hostPods) {
  const auto& spec = policy.spec;
  Look look(spec.podNetworkNames, policy.metadata.nameSpace, world, hostPods);
  look.ports(subjectsOf(policy), wantedPorts(policy));
  look.selector("spec.podSelector", subjectsOf(policy), "it isolates none of them");
  look.rules("spec.ingress", ".from", "it allows none of them", spec.ingress);
  look.rules("spec.egress", ".to", "it allows none of them", spec.egress);
  return look.all();
}

api::Violations hintsOf(const api::ClusterPodNetworkPolicy& policy, const World& world,
                        const std::vector<Pod>& hostPods) {
  const auto& spec = policy.spec;
  Look look(spec.podNetworkNames, "", world, hostPods);
  const auto subjects = podsOf(spec.subject);
  if (!subjects) return {};
  look.ports(*subjects, wantedPorts(policy));
  look.selector("spec.subject", *subjects, "it holds for none of them");
  look.rules("spec.ingress", ".from", "it is about none of them", spec.ingress);
  look.rules("spec.egress", ".to", "it is about none of them", spec.egress);
  return look.all();
}

}  // namespace multinet::policy
