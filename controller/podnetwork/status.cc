#include "controller/podnetwork/status.h"

#include <algorithm>
#include <set>
#include <utility>

#include "controller/plan/status_patch.h"
#include "lib/api/describe.h"
#include "lib/api/names.h"
#include "lib/api/validate.h"

namespace multinet::controller {
namespace {

using k8s::Condition;
using State = k8s::ConditionStatus;

Condition condition(std::string type, State state, std::string reason, std::string message) {
  return {std::move(type), state, 0, std::nullopt, std::move(reason), std::move(message)};
}

Condition notReady(std::string reason, std::string message) {
  return condition("Ready", State::False, std::move(reason), std::move(message));
}

Condition readyCondition(const NetworkObservation& observed) {
  const auto& network = *observed.network;
  const auto& violations = *observed.violations;
  if (network.metadata.deleting()) {
    return notReady("Deleting", "The network is being deleted: it takes no new interface.");
  }
  if (!violations.empty()) return notReady("Invalid", shortly(violations));
  if (observed.rival) return notReady("Conflict", *observed.rival);
  if (observed.vni.exhausted) {
    return notReady("VNIsExhausted", "No VNI is free in the automatic range: set spec.vxlan.vni.");
  }
  if (network.spec.type == api::NetworkType::Vxlan && !observed.vni.held) {
    return notReady("VNIPending", "The VNI isn't reserved yet.");
  }
  if (!network.spec.isEnabled()) {
    return notReady("AdministrativelyDisabled",
                    "spec.enabled is false: no new interface, running pods keep theirs.");
  }
  return condition("Ready", State::True, "Accepted", "The network can be used.");
}

/// Pods that hold the network: those that are attached, and those whose attach may be under way and
/// not reported yet. Their count, and for a deletion the names of the first.
struct Held {
  std::size_t pods = 0;
  std::vector<std::string> names;
  std::optional<Duration> again;
};

Held heldBy(const NetworkObservation& observed, BootTime now) {
  const auto& holders = observed.use->holders;
  Held held;
  if (!observed.network->metadata.deleting()) {
    held.pods = holders.size();
    return held;
  }
  const Duration since = now - observed.deletingSince.value_or(now);
  for (const auto& [pod, holder] : holders) {
    // A running pod has its interfaces, whatever was reported.
    if (!holder.attached && !holder.running) {
      if (since >= kAttachGrace) continue;
      held.again = kAttachGrace - since;
    }
    if (++held.pods <= kMaxBlockers) held.names.push_back("pod " + pod.get().str());
  }
  if (held.pods > kMaxBlockers) {
    held.names.push_back("and " + std::to_string(held.pods - kMaxBlockers) + " more");
  }
  return held;
}

Condition inUseCondition(std::size_t pods) {
  if (pods == 0) {
    return condition("InUse", State::False, "NoPods", "No pod has an interface here.");
  }
  // Without their number: that is told at its own pace.
  return condition("InUse", State::True, "PodsAttached",
                   "Pods have interfaces here, or are about to.");
}

Condition degradedCondition(const api::PodNetworkSpec& spec, const NetworkUse& use) {
  if (!use.failing.empty()) {
    const auto& [node, reason] = *use.failing.begin();
    std::string message = "Not ready on " + node.str() + " (" + reason + ")";
    if (use.failing.size() > 1)
      message += " and " + std::to_string(use.failing.size() - 1) + " more";
    return condition("Degraded", State::True, "NodesNotReady", message + ".");
  }
  if (use.nodesUnknown > 0) {
    return condition("Degraded", State::Unknown, "NotProbed",
                     "Some node can't tell its readiness yet.");
  }
  // Where no pod wants it nobody has anything to report.
  if (use.nodesReady == 0 && spec.join == api::JoinMode::Always) {
    return condition("Degraded", State::Unknown, "NotReported",
                     "No node has reported this network yet.");
  }
  return condition("Degraded", State::False, "NodesReady", "Every node that reports it is ready.");
}

/// Nodes on which somebody wants it, and those that say that it wouldn't work there.
int nodesDesired(const NetworkObservation& observed) {
  if (observed.network->spec.join == api::JoinMode::Always) return observed.nodes;
  const NetworkUse& use = *observed.use;
  return use.nodesReady + use.nodesUnknown + static_cast<int>(use.failing.size());
}

/// The oldest of those that can't be served beside this one.
std::optional<std::string> rivalOf(const World& world, const Network& network) {
  const Network* rival = nullptr;
  std::string sentence;
  for (const auto& word : api::contention(network).meets) {
    for (const Network* other : world.of<Network>().by<ByContention>(word)) {
      if (other == &network || other == rival || !api::keepsPlace(*other, network)) continue;
      if (!other->undecodable.empty() || !world.violations(*other).empty()) continue;
      if (rival != nullptr && !api::keepsPlace(*other, *rival)) continue;
      const auto found = api::conflicts(network, *other);
      if (found.empty()) continue;
      rival = other;
      sentence = found.front().str();
    }
  }
  return rival == nullptr ? std::nullopt : std::optional(sentence);
}

Write finalizerWrite(const Network& network, std::vector<std::string> finalizers) {
  return writeTo(api::kPodNetworkKind, network.metadata, Verb::Patch,
                 {{"metadata", {{"finalizers", std::move(finalizers)}}}});
}

Write adding(const Network& network) {
  std::vector<std::string> finalizers = network.metadata.finalizers;
  finalizers.emplace_back(api::kInUseFinalizer);
  return finalizerWrite(network, std::move(finalizers));
}

/// Of one that is being deleted only where no set at all has an interface here, also one that is to
/// go: it is gone then. One that stays gets its finalizer again as soon as it is used.
Write removing(const Network& network) {
  std::vector<std::string> finalizers = network.metadata.finalizers;
  std::erase(finalizers, api::kInUseFinalizer);
  Write write = finalizerWrite(network, std::move(finalizers));
  if (!network.metadata.deleting()) return write;
  write.why = "nobody uses the network: it is released";
  write.premises.push_back({api::kPodInterfaceSetKind, std::nullopt,
                            [name = network.metadata.name](const simdjson::dom::element& there) {
                              const auto set = k8s::KindTraits<InterfaceSet>::decode(there);
                              if (!set.has_value() || !set->undecodable.empty()) return true;
                              return std::ranges::any_of(set->interfaces,
                                                         [&](const auto& interface) {
                                                           return interface.podNetworkName == name;
                                                         });
                            }});
  return write;
}

/// Subnets, by cidr, that give no address any more and of which nobody has a block.
std::vector<std::string> removableSubnetsOf(const World& world, const Network& network) {
  std::vector<std::string> out;
  for (const api::Subnet& subnet : network.spec.ipam.subnets) {
    const auto cidr = IpPrefix::parse(subnet.cidr);
    if (!cidr || !subnet.isExcluded()) continue;
    const auto& blocks = world.of<Block>().by<ByNetworkUid>(NetworkUid(network.metadata.uid));
    const bool isLeased = std::ranges::any_of(blocks, [&](const Block* block) {
      const auto prefix = IpPrefix::parse(block->spec.cidr);
      return !prefix || prefix->overlaps(*cidr);
    });
    if (!isLeased) out.push_back(subnet.cidr);
  }
  return out;
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  Outcome outcome;
  const auto* network = world.find<Network>(key);
  if (network == nullptr) return outcome;
  const auto wish = wishFor(observe(world, *network), now);
  outcome.again = wish.again;
  // One write of an object at a time: of two the second would be on an old version.
  auto patch = statusPatch(network->status, wish.status);
  if (wish.finalizer == FinalizerWish::Add) {
    outcome.writes.push_back(adding(*network));
  } else if (!patch.empty()) {
    outcome.writes.push_back(
        writeTo(api::kPodNetworkKind, network->metadata, Verb::PatchStatus, std::move(patch)));
  } else if (wish.finalizer == FinalizerWish::Remove) {
    outcome.writes.push_back(removing(*network));
  }
  return outcome;
}

void concerned(const World& world, const Change& change, Keys& keys) {
  vniConcerned(world, change, keys);
  on(
      change, [&](const Touched<Network>& touched) { keys.push_back(touched.key); },
      [&](const Changed<Network>& changed) {
        for (const auto& network : {changed.before, changed.now}) {
          if (network == nullptr) continue;
          for (const auto& word : api::contention(*network).meets) {
            for (const auto* other : world.of<Network>().by<ByContention>(word)) {
              keys.push_back(keyOf(*other));
            }
          }
        }
      },
      [&](const Changed<Node>& changed) {
        if (!changed.existence()) return;  // each network counts the nodes
        for (const auto& other : world.of<Network>().all()) keys.push_back(keyOf(*other));
      },
      [&](const Changed<Block>& changed) {
        if (!changed.existence()) return;
        const Block& block = changed.now != nullptr ? *changed.now : *changed.before;
        const NetworkUid uid(block.spec.podNetworkUID);
        for (const auto* network : world.of<Network>().by<ByNetworkUid>(uid)) {
          const auto& subnets = network->spec.ipam.subnets;
          if (std::ranges::any_of(subnets, &api::Subnet::isExcluded))
            keys.push_back(keyOf(*network));
        }
      });
}

}  // namespace

NetworkObservation observe(const World& world, const Network& network) {
  NetworkObservation observed{&network, &world.violations(network),
                              &world.use(NetworkName(network.metadata.name)),
                              vniOf(world, network)};
  observed.deletingSince = world.deletingSince(network);
  observed.nodes = static_cast<int>(world.of<Node>().size());
  observed.countsDue = world.countsDue(network);
  observed.removableSubnets = removableSubnetsOf(world, network);
  if (const auto& winner = observed.vni.loserTo) {
    observed.rival = "spec.vxlan.vni: " + std::to_string(*network.spec.vxlan->vni) +
                     " belongs to the older network \"" + *winner +
                     "\": use another, or none to have one allocated.";
  } else {
    observed.rival = rivalOf(world, network);
  }
  return observed;
}

NetworkWish wishFor(const NetworkObservation& observed, const Moment& now) {
  const auto& network = *observed.network;
  const auto& use = *observed.use;
  const Held held = heldBy(observed, now.boot);
  NetworkWish wish{network.status};
  wish.again = held.again;
  auto& status = wish.status;
  for (auto one : {readyCondition(observed), inUseCondition(held.pods),
                   degradedCondition(network.spec, use)}) {
    one.observedGeneration = network.metadata.generation;
    status.conditions.set(std::move(one), now.wall);
  }
  status.vni = observed.vni.held;
  status.nodes = {nodesDesired(observed), use.nodesReady};
  status.attachedPods = use.attachedPods;
  status.blockers = held.names;
  status.removableSubnets = observed.removableSubnets;
  if (now.boot < observed.countsDue && countsDiffer(network.status, status)) {
    keepCounts(network.status, status);
    wish.askAgain(observed.countsDue - now.boot);
  }
  // Only while somebody uses it or is about to: what nobody wants goes at once, also where no
  // controller is left to release it.
  const bool holds = network.metadata.hasFinalizer(api::kInUseFinalizer);
  if (holds && held.pods == 0) wish.finalizer = FinalizerWish::Remove;
  if (!holds && held.pods > 0 && !network.metadata.deleting()) {
    wish.finalizer = FinalizerWish::Add;
  }
  return wish;
}

Reconciler podNetworkReconciler() {
  return {"podnetwork", concerned, reconcile};
}

}  // namespace multinet::controller
