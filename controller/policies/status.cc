#include "controller/policies/status.h"

#include <algorithm>
#include <utility>

#include "lib/api/policy.h"
#include "lib/api/validate.h"
#include "lib/policy/hints.h"

namespace multinet::controller {
namespace {

using k8s::Condition;
using State = k8s::ConditionStatus;

Condition make(std::string type, State state, std::string reason, std::string message) {
  return {std::move(type), state, 0, std::nullopt, std::move(reason), std::move(message)};
}

Condition accepted(const World& world, const Policy& policy) {
  Sentences sentences;
  if (!policy.undecodable.empty()) {
    sentences.push_back(policy.undecodable);
  } else {
    for (const auto& one : api::validate(policy).violations) sentences.push_back(one.str());
  }
  if (!sentences.empty()) return make("Accepted", State::False, "Invalid", shortly(sentences));
  const auto& home = policy.metadata.nameSpace;
  const auto* space = world.find<Namespace>(home);
  const k8s::StringMap* labels = space == nullptr ? nullptr : &*space->metadata.labels;
  for (const auto& name : policy.spec.podNetworkNames) {
    const auto* network = world.find<Network>(name);
    if (network != nullptr && api::isOpenTo(*network, home, labels)) continue;
    std::string message = "spec.podNetworkNames: \"";
    message += name;
    message += "\" is no PodNetwork that is open to namespace \"";
    message += home;
    message += "\": create or open it, or name another; it holds on the others.";
    return make("Accepted", State::False, "NetworkNotFound", std::move(message));
  }
  return make("Accepted", State::True, "Accepted", "It holds on its networks.");
}

Condition resolved(const Policy& policy, const PolicyStanding& standing) {
  if (standing.tooMany) {
    return make("PeersResolved", State::False, "TooManyPeers",
                "Its peers on all of its networks are more than " +
                    std::to_string(api::kMaxPolicyResolved) +
                    ", so none of those that are selected is allowed: write several policies.");
  }
  const auto* head = standing.head;
  const bool stands = head != nullptr && head->head->policyGeneration == policy.metadata.generation;
  if (!stands) {
    return make("PeersResolved", State::False, "Pending",
                "Nodes haven't been told of this generation yet: where that lasts, this object's "
                "Events say why.");
  }
  return make("PeersResolved", State::True, "Resolved",
              "Nodes are told who its peers are, in PodNetworkPolicySlice \"" +
                  head->metadata.name + "\".");
}

/// The interfaces that a policy selects, as their nodes speak of them.
struct Tally {
  std::vector<policy::WantedPort>
      nobodyHas;  ///< names of ports that no pod with such an interface has
  api::PolicyInterfaceCounts counts;
  std::vector<std::string> notEnforced;  ///< the first of them
  std::string reason;                    ///< of the first
};

const api::PodNetwork* networkOf(const World& world, const api::PodInterface& interface) {
  const auto* network = world.find<Network>(interface.podNetworkName);
  if (network == nullptr) return nullptr;
  const bool isIt =
      interface.podNetworkUID.empty() || interface.podNetworkUID == network->metadata.uid;
  return isIt ? network : nullptr;
}

/// Why an interface isn't held; empty: it is. `knows`: its node has the policy.
std::string whyNot(const api::PodInterface& interface, bool knows) {
  if (interface.policy->reason.empty()) return "NotReported";
  if (!interface.policy->enforced) return interface.policy->reason;
  return knows ? "" : "Pending";
}

Tally tallyOf(const World& world, const Policy& policy, const PolicyStanding& standing) {
  Tally tally;
  tally.nobodyHas = policy::wantedPorts(policy);
  const auto& names = policy.spec.podNetworkNames;
  const bool wasHeld = policy.status.conditions.isTrueAt("Enforced", policy.metadata.generation);
  const bool stands = standing.head != nullptr &&
                      standing.head->head->policyGeneration == policy.metadata.generation;
  for (const auto& key : world.policyGroups().subjects(policy)) {
    const auto* pod = world.find<Pod>(key);
    if (pod == nullptr) continue;
    const auto* node = world.find<NodeSet>(pod->spec.nodeName);
    // What a node held it goes on to hold, whatever the counts in the head.
    const bool knows =
        wasHeld || (stands && node != nullptr &&
                    reaches(node->status.policyRevision, standing.head->metadata.resourceVersion));
    for (const auto* set : world.of<InterfaceSet>().by<ByPod>(key)) {
      if (misfit(*set, pod)) continue;
      for (const auto& interface : set->interfaces) {
        if (std::ranges::find(names, interface.podNetworkName) == names.end() ||
            networkOf(world, interface) == nullptr) {
          continue;
        }
        ++tally.counts.selected;
        std::erase_if(tally.nobodyHas, [&](const policy::WantedPort& one) {
          return policy::portNamed(*pod, one.name, one.protocol).has_value();
        });
        const auto why = whyNot(interface, knows);
        if (why.empty()) {
          ++tally.counts.enforced;
          continue;
        }
        if (tally.reason.empty()) tally.reason = why;
        if (tally.notEnforced.size() < api::kMaxNotEnforced) {
          tally.notEnforced.push_back("pod " + key.str() + " " + interface.name + ": " + why);
        }
      }
      break;
    }
  }
  return tally;
}

/// Where no pod is there yet nothing is missed.
Condition withPorts(Condition accepted, const Tally& tally) {
  if (accepted.status != State::True || tally.counts.selected == 0 || tally.nobodyHas.empty()) {
    return accepted;
  }
  std::string message =
      accepted.message + " But " + policy::notFound(tally.nobodyHas.front()).str() + ".";
  if (tally.nobodyHas.size() > 1) {
    message += " There are " + std::to_string(tally.nobodyHas.size() - 1) + " more such names.";
  }
  return make("Accepted", State::True, "NamedPortNotFound", std::move(message));
}

Condition enforced(const Tally& tally) {
  const auto& counts = tally.counts;
  if (counts.selected == 0) {
    return make("Enforced", State::True, "NoneSelected",
                "It selects no interface now: pods of this namespace with these labels on its "
                "networks are held to it from their first packet. Pods that ask for none of them "
                "never are, nor those in their node's network (hostNetwork).");
  }
  if (counts.enforced == counts.selected) {
    return make("Enforced", State::True, "Enforced",
                "Nodes hold all " + std::to_string(counts.selected) + " interfaces to it.");
  }
  return make("Enforced", State::False, tally.reason,
              "Nodes don't hold " + std::to_string(counts.selected - counts.enforced) + " of " +
                  std::to_string(counts.selected) +
                  " interfaces to it, or haven't said so: see status.notEnforced, and policy in "
                  "those pods' PodInterfaceSets.");
}

}  // namespace

bool reaches(const std::string& revision, const std::string& wanted) {
  return std::pair(revision.size(), std::string_view(revision)) >=
         std::pair(wanted.size(), std::string_view(wanted));
}

api::PodNetworkPolicyStatus policyStatusOf(const World& world, const Policy& policy,
                                           const PolicyStanding& standing, Counts counts,
                                           WallTime now) {
  auto status = policy.status;
  const auto set = [&](Condition condition) {
    condition.observedGeneration = policy.metadata.generation;
    status.conditions.set(std::move(condition), now);
  };
  auto verdict = accepted(world, policy);
  if (counts == Counts::AsTold) {
    const auto* told = status.conditions.find("Accepted");
    const bool isSame = told != nullptr && verdict.status == State::True &&
                        status.conditions.isTrueAt("Accepted", policy.metadata.generation);
    set(isSame ? *told : std::move(verdict));
    set(resolved(policy, standing));
    return status;
  }
  auto tally = tallyOf(world, policy, standing);
  set(withPorts(std::move(verdict), tally));
  set(resolved(policy, standing));
  status.interfaces = tally.counts;
  set(enforced(tally));
  status.notEnforced = std::move(tally.notEnforced);
  return status;
}

}  // namespace multinet::controller
