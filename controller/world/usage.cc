#include "controller/world/usage.h"

#include <algorithm>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/request.h"

namespace multinet::controller {
namespace {

using k8s::ConditionStatus;

/// The networks that a pod's request comes down to. One that can't be read is refused by every
/// agent.
std::set<NetworkName> asked(const Pod& pod, const Tables& tables) {
  std::set<NetworkName> names;
  const auto* request = pod.metadata.annotation(api::kNetworksAnnotation);
  if (request == nullptr) return names;
  const auto parsed = api::parseRequest(*request);
  if (!parsed.has_value()) return names;
  for (const auto& item : parsed->items) {
    if (item.kind == api::RequestKind::Network) {
      names.insert(NetworkName(item.name));
    } else if (const auto* attachment =
                   tables.of<Attachment>().find({pod.metadata.nameSpace, item.name})) {
      names.insert(NetworkName(attachment->spec.podNetworkName));
    }
  }
  return names;
}

struct Report {
  ConditionStatus ready = ConditionStatus::Unknown;
  std::string reason;
  bool operator==(const Report&) const = default;
};

std::map<NetworkName, Report> reportsOf(const NodeSet* set) {
  std::map<NetworkName, Report> reports;
  if (set == nullptr) return reports;
  for (const auto& network : set->status.networks) {
    const auto* ready = network.conditions.find("Ready");
    reports[NetworkName(network.podNetworkName)] =
        ready == nullptr ? Report{} : Report{ready->status, ready->reason};
  }
  return reports;
}

void count(NetworkUse& use, const NodeName& node, const Report& report, int by) {
  if (report.ready == ConditionStatus::True) use.nodesReady += by;
  if (report.ready == ConditionStatus::Unknown) use.nodesUnknown += by;
  if (report.ready != ConditionStatus::False) return;
  if (by > 0) {
    use.failing[node] = report.reason;
  } else {
    use.failing.erase(node);
  }
}

/// Null where the network isn't among `holds`.
const Holder* holderOf(const auto& holds, const NetworkName& network) {
  for (const auto& hold : holds) {
    if (hold.network == network) return &hold.holder;
  }
  return nullptr;
}
/// Whether the same attachment is among `holds`, to the same network.
bool names(const auto& holds, const auto& wanted) {
  return std::ranges::any_of(holds, [&](const auto& hold) {
    return hold.network == wanted.network && hold.attachment == wanted.attachment;
  });
}

}  // namespace

std::optional<std::string> misfit(const api::PodInterfaceSet& set, const k8s::Pod* pod) {
  const std::string name = "pod \"" + set.pod.name + "\"";
  if (pod == nullptr) return name + " is gone";
  if (pod->metadata.uid != set.pod.uid) {
    return name + " is another one: UID " + pod->metadata.uid + ", the set says " + set.pod.uid;
  }
  if (pod->spec.nodeName != set.nodeName) {
    return name + " is on node \"" + pod->spec.nodeName + "\", the set says \"" + set.nodeName +
           "\"";
  }
  return std::nullopt;
}

Usage::Holds Usage::holdsOf(const k8s::ObjectKey& key, const Tables& tables) {
  Holds holds;
  const Pod* pod = tables.of<Pod>().find(key);
  if (pod == nullptr) return holds;
  const auto add = [&](Hold hold) {
    if (!names(holds, hold)) holds.push_back(std::move(hold));
  };
  const bool running = pod->status.phase == "Running";
  for (const InterfaceSet* set : tables.of<InterfaceSet>().by<ByPod>(key)) {
    if (misfit(*set, pod)) continue;
    for (const auto& interface : set->interfaces) {
      add({NetworkName(interface.podNetworkName), interface.attachmentName, {true, running}});
    }
  }
  if (pod->spec.nodeName.empty() || pod->finished()) return holds;
  for (const auto& network : asked(*pod, tables)) {
    if (holderOf(holds, network) == nullptr) add({network, "", {false, running}});
  }
  holds.shrink_to_fit();
  return holds;
}

void Usage::set(const NetworkName& network, const k8s::ObjectKey& pod, const Holder* holder,
                UseChanges& changes) {
  NetworkUse& use = networks_[network];
  const auto found = use.holders.find(std::cref(pod));
  const bool isKnown = found != use.holders.end();
  if (isKnown) use.attachedPods -= found->second.attached ? 1 : 0;
  if (!isKnown && holder != nullptr && ++use.spaces[pod.nameSpace] == 1) {
    changes.namespaces.insert(pod.nameSpace);
  }
  if (isKnown && holder == nullptr) {
    use.holders.erase(found);
    if (--use.spaces[pod.nameSpace] == 0) {
      use.spaces.erase(pod.nameSpace);
      changes.namespaces.insert(pod.nameSpace);
      changes.vacated.emplace(pod.nameSpace, network);
    }
  }
  if (holder == nullptr) return prune(network);
  use.holders[std::cref(pod)] = *holder;
  use.attachedPods += holder->attached ? 1 : 0;
}

void Usage::prune(const NetworkName& network) {
  const auto found = networks_.find(network);
  if (found == networks_.end()) return;
  const NetworkUse& use = found->second;
  if (use.holders.empty() && use.failing.empty() && use.nodesReady == 0 && use.nodesUnknown == 0) {
    networks_.erase(found);
  }
}

void Usage::setAttachments(const k8s::ObjectKey& pod, const Holds& before, const Holds& now,
                           UseChanges& changes) {
  for (const Hold& hold : before) {
    if (hold.attachment.empty() || names(now, hold)) continue;
    const k8s::ObjectKey attachment{pod.nameSpace, hold.attachment};
    auto& counts = networks_[hold.network].attachedBy;
    if (--counts[attachment] == 0) counts.erase(attachment);
    changes.attachments.insert(attachment);
  }
  for (const Hold& hold : now) {
    if (hold.attachment.empty() || names(before, hold)) continue;
    const k8s::ObjectKey attachment{pod.nameSpace, hold.attachment};
    ++networks_[hold.network].attachedBy[attachment];
    changes.attachments.insert(attachment);
  }
}

void Usage::setNetworks(const k8s::ObjectKey& pod, const Holds& before, const Holds& now,
                        UseChanges& changes) {
  for (const Hold& hold : before) {
    if (holderOf(now, hold.network) != nullptr) continue;
    set(hold.network, pod, nullptr, changes);
    changes.networks.insert(hold.network);
  }
  for (const Hold& hold : now) {
    const Holder* old = holderOf(before, hold.network);
    if (old != nullptr && *old == hold.holder) continue;
    set(hold.network, pod, &hold.holder, changes);
    changes.networks.insert(hold.network);
  }
}

void Usage::pod(const k8s::ObjectKey& key, const Tables& tables, UseChanges& changes) {
  Holds now = holdsOf(key, tables);
  auto part = parts_.find(key);
  if (part == parts_.end()) {
    if (now.empty()) return;
    part = parts_.insert({key, {}}).first;
  }
  const Holds before = std::exchange(part->holds, std::move(now));
  setAttachments(part->key, before, part->holds, changes);
  setNetworks(part->key, before, part->holds, changes);
  if (part->holds.empty()) parts_.erase(part);
}

void Usage::node(const NodeName& name, const Tables& tables, UseChanges& changes) {
  const k8s::ObjectKey key{"", name.str()};
  const bool exists = tables.of<Node>().find(key) != nullptr;
  auto set = exists ? tables.of<NodeSet>().share(key) : nullptr;
  const auto found = counted_.find(name);
  const auto before = reportsOf(found == counted_.end() ? nullptr : found->second.get());
  const auto now = reportsOf(set.get());
  for (const auto& [network, report] : before) {
    const auto same = now.find(network);
    if (same != now.end() && same->second == report) continue;
    count(networks_[network], name, report, -1);
    changes.networks.insert(network);
  }
  for (const auto& [network, report] : now) {
    const auto same = before.find(network);
    if (same != before.end() && same->second == report) continue;
    count(networks_[network], name, report, 1);
    changes.networks.insert(network);
  }
  for (const auto& [network, report] : before) prune(network);
  if (set == nullptr) {
    counted_.erase(name);
  } else {
    counted_[name] = std::move(set);
  }
}

const NetworkUse& Usage::of(const NetworkName& network) const {
  static const NetworkUse kNone;
  const auto found = networks_.find(network);
  return found == networks_.end() ? kNone : found->second;
}

int Usage::attachedPods(const AttachmentUse& use) const {
  const auto& counts = of(use.network).attachedBy;
  const auto found = counts.find(use.attachment);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace multinet::controller
