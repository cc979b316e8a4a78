#include "lib/policy/hints.h"

#include <algorithm>

#include "lib/api/spelling.h"
#include "lib/policy/match.h"

namespace multinet::policy {
namespace {

std::string at(const std::string& list, std::size_t index) {
  return list + "[" + std::to_string(index) + "]";
}

bool isOn(const Pod& pod, const api::PodNetworkPolicy& policy) {
  return std::ranges::any_of(policy.spec.podNetworkNames,
                             [&](const auto& name) { return pod.on(name) != nullptr; });
}

/// Pods of the policy's namespace.
api::PolicyPeer subjectsOf(const api::PodNetworkPolicy& policy) {
  return {policy.spec.podSelector, {}, {}};
}

class Look {
 public:
  Look(const api::PodNetworkPolicy& policy, const World& world, const std::vector<Pod>& hostPods)
      : policy_(policy), world_(world), hostPods_(hostPods) {}

  api::Violations all() {
    ports();
    selector("spec.podSelector", subjectsOf(policy_), "it isolates none of them");
    rules("spec.ingress", ".from", policy_.spec.ingress);
    rules("spec.egress", ".to", policy_.spec.egress);
    return std::move(hints_);
  }

 private:
  void ports() {
    auto wanted = wantedPorts(policy_);
    bool isAny = false;
    for (const Pod& pod : world_.pods) {
      if (!isOn(pod, policy_) || !isMeant(subjectsOf(policy_), pod)) continue;
      isAny = true;
      std::erase_if(wanted, [&](const WantedPort& one) {
        return pod.portNamed(one.name, one.protocol).has_value();
      });
    }
    if (!isAny) return;
    for (const WantedPort& one : wanted) hints_.push_back(notFound(one));
  }

  template <class Rules>
  void rules(const std::string& list, const char* peers, const Rules& rules) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      for (std::size_t k = 0; k < rules[i].peers.size(); ++k) {
        if (rules[i].peers[k].ipBlock) continue;
        selector(at(at(list, i) + peers, k), rules[i].peers[k], "it allows none of them");
      }
    }
  }

  void selector(const std::string& path, const api::PolicyPeer& peer, const char* so) {
    if (std::ranges::none_of(hostPods_, [&](const Pod& pod) { return isMeant(peer, pod); })) return;
    const bool isAny = std::ranges::any_of(
        world_.pods, [&](const Pod& pod) { return isOn(pod, policy_) && isMeant(peer, pod); });
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

  [[nodiscard]] bool isMeant(const api::PolicyPeer& peer, const Pod& pod) const {
    return match::isPod(peer, policy_.metadata.nameSpace, pod, world_);
  }

  const api::PodNetworkPolicy& policy_;
  const World& world_;
  const std::vector<Pod>& hostPods_;
  api::Violations hints_;
};

}  // namespace

std::vector<WantedPort> wantedPorts(const api::PodNetworkPolicy& policy) {
  std::vector<WantedPort> wanted;
  if (!policy.spec.isolates(api::PolicyType::Ingress)) return wanted;
  for (std::size_t rule = 0; rule < policy.spec.ingress.size(); ++rule) {
    const auto& ports = policy.spec.ingress[rule].ports;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      if (!ports[i].port || ports[i].port->name.empty()) continue;
      wanted.push_back({at(at("spec.ingress", rule) + ".ports", i) + ".port", ports[i].port->name,
                        ports[i].protocol});
    }
  }
  return wanted;
}

api::Violation notFound(const WantedPort& port) {
  return {.path = port.path,
          .value = port.name,
          .detail = "is the name of no " + std::string(k8s::spell(port.protocol)) +
                    " port of a pod that it selects, so it lets nobody in",
          .remedy = "write a name that one of their containers gives a port, or a number",
          .reason = "NamedPortNotFound",
          .code = Code::Ok};
}

api::Violations hintsOf(const api::PodNetworkPolicy& policy, const World& world,
                        const std::vector<Pod>& hostPods) {
  return Look(policy, world, hostPods).all();
}

}  // namespace multinet::policy
