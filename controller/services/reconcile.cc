#include "controller/services/reconcile.h"

#include <algorithm>
#include <set>
#include <utility>

#include "controller/plan/status_patch.h"
#include "controller/services/core_service.h"
#include "controller/services/endpoints.h"
#include "controller/services/slices.h"
#include "lib/api/describe.h"
#include "lib/api/service.h"
#include "lib/api/spelling.h"
#include "lib/api/validate.h"
#include "lib/k8s/describe_core.h"
#include "lib/k8s/zone.h"

namespace multinet::controller {
namespace {

using k8s::Condition;
using State = k8s::ConditionStatus;

/// All that one decision looks at.
struct Seen {
  const NetworkService* service = nullptr;
  Sentences violations;
  const Network* network = nullptr;  ///< null: there is none
  const Namespace* home = nullptr;   ///< null: not known yet
  const Service* made = nullptr;     ///< null: none of its name
  bool taken = false;                ///< `made` is somebody else's
  bool earlier = false;  ///< `made` is of an earlier service of its name, and about to go
  bool tries = false;    ///< a write of the Service goes out now
  const std::string* refusal = nullptr;   ///< the server's words on the Service; null: none
  std::vector<const Slice*> slices;       ///< its own
  std::vector<WantedEndpoint> endpoints;  ///< of what is looked at
};

Sentences violationsOf(const NetworkService& service) {
  if (!service.undecodable.empty()) return {service.undecodable};
  Sentences sentences;
  for (const auto& one : api::validate(service).violations) sentences.push_back(one.str());
  return sentences;
}

/// The interface of a set on that network, not on one that had its name before.
const api::PodInterface* interfaceOn(const InterfaceSet& set, const Network& network) {
  for (const auto& one : set.interfaces) {
    if (one.podNetworkName != network.metadata.name) continue;
    if (one.podNetworkUID.empty() || one.podNetworkUID == network.metadata.uid) return &one;
  }
  return nullptr;
}

/// Adds the pod where it is on the network.
void addPod(const World& world, const Pod& pod, const Network& network,
            std::vector<PodOnNetwork>& pods) {
  for (const auto* set : world.of<InterfaceSet>().by<ByPod>(keyOf(pod))) {
    if (misfit(*set, &pod)) continue;
    const auto* interface = interfaceOn(*set, network);
    if (interface == nullptr) continue;
    pods.push_back({&pod, interface, world.find<Node>(pod.spec.nodeName)});
    return;
  }
}

/// All that it selects, in the order of their names.
std::vector<PodOnNetwork> podsOf(const World& world, const NetworkService& service,
                                 const Network& network) {
  std::vector<PodOnNetwork> pods;
  for (const Pod* pod : world.podsOf(service)) addPod(world, *pod, network, pods);
  std::ranges::sort(pods, {},
                    [](const PodOnNetwork& on) -> const auto& { return on.pod->metadata.name; });
  return pods;
}

/// Those of the parts.
std::vector<PodOnNetwork> podsOf(const World& world, const NetworkService& service,
                                 const Network& network, const Parts& parts) {
  std::vector<PodOnNetwork> pods;
  for (const auto& key : parts) {
    const auto* pod = world.find<Pod>(key);
    if (pod != nullptr && selects(service, pod->metadata.labels))
      addPod(world, *pod, network, pods);
  }
  return pods;
}

/// `parts` null: all of it.
Seen look(const World& world, const NetworkService& service, const Parts* parts) {
  Seen seen;
  seen.service = &service;
  seen.violations = violationsOf(service);
  const auto key = keyOf(service);
  seen.network = world.find<Network>(service.spec.podNetworkName);
  seen.home = world.find<Namespace>(service.metadata.nameSpace);
  seen.made = world.find<Service>(key);
  seen.earlier = seen.made != nullptr && isOfAnEarlier(seen.made->metadata, service);
  seen.taken = seen.made != nullptr && !seen.earlier && !isMadeOf(seen.made->metadata, service);
  for (const auto* slice : world.of<Slice>().by<ByServiceName>(key)) {
    if (isMadeOf(slice->metadata, service)) seen.slices.push_back(slice);
  }
  if (!seen.taken && seen.violations.empty() && seen.network != nullptr &&
      !service.spec.isExternalName()) {
    const auto pods = parts == nullptr ? podsOf(world, service, *seen.network)
                                       : podsOf(world, service, *seen.network, *parts);
    // As the Service has it: a server that refuses a word there wouldn't keep its hints either.
    static const Service kNone;
    seen.endpoints = endpointsOf(service.spec, api::familiesOf(service.spec, *seen.network), pods,
                                 seen.made == nullptr ? kNone : *seen.made);
  }
  return seen;
}

Condition ready(State state, std::string reason, std::string message) {
  return {"Ready", state, 0, std::nullopt, std::move(reason), std::move(message)};
}

std::string pendingWhy(const Seen& seen) {
  const std::string what = "Service \"" + seen.service->metadata.name + "\"";
  if (seen.made == nullptr) {
    return what + " isn't there yet: where that lasts, this object's Events say why.";
  }
  std::string finalizers;
  for (const auto& one : *seen.made->metadata.finalizers) {
    finalizers += (finalizers.empty() ? "" : ", ") + one;
  }
  return what + (seen.earlier ? " of an earlier PodNetworkService of this name" : "") +
         " is being deleted, and made anew once it is gone" +
         (finalizers.empty() ? "." : ": it waits for who put finalizer " + finalizers + " on it.");
}

Condition made(const Seen& seen, std::string leads) {
  if (seen.made == nullptr || seen.earlier || seen.made->metadata.deleting()) {
    return ready(State::False, "ServicePending", pendingWhy(seen));
  }
  return ready(State::True, "Accepted", std::move(leads));
}

Condition readyCondition(const Seen& seen) {
  const auto& spec = seen.service->spec;
  const auto& metadata = seen.service->metadata;
  if (!seen.violations.empty()) {
    return ready(State::False, "Invalid", shortly(seen.violations));
  }
  if (seen.taken) {
    return ready(State::False, "NameTaken",
                 "Service \"" + metadata.name +
                     "\" of this namespace was made by somebody else and is left as it is: delete "
                     "it, or give this service another name.");
  }
  // Refusals are this leader's own: what an earlier one was told stands until the server answers.
  if (const auto* told = seen.service->status.conditions.find("Ready");
      seen.tries && seen.refusal == nullptr && told != nullptr && told->reason == "Refused" &&
      told->observedGeneration == metadata.generation) {
    return *told;
  }
  if (seen.refusal != nullptr) {
    return ready(State::False, "Refused",
                 "The API server refuses the Service: " + *seen.refusal + ".");
  }
  // Of an ExternalName nothing depends on the network.
  if (spec.isExternalName()) return made(seen, "Its name leads to " + spec.externalName + ".");
  const auto network = "PodNetwork \"" + spec.podNetworkName + "\"";
  if (seen.network == nullptr) {
    return ready(State::False, "NetworkNotFound",
                 network + " doesn't exist: create it, or make a service that names another.");
  }
  const k8s::StringMap* labels = seen.home == nullptr ? nullptr : &*seen.home->metadata.labels;
  if (!api::isOpenTo(*seen.network, metadata.nameSpace, labels)) {
    return ready(State::False, "NotGranted",
                 network + " doesn't let namespace \"" + metadata.nameSpace +
                     "\" in: see its spec.access.namespaces.");
  }
  const auto* standing = seen.network->status.conditions.find("Ready");
  if (standing == nullptr || standing->status != State::True) {
    return ready(State::False, "NetworkNotReady",
                 network + " isn't Ready: " +
                     (standing == nullptr ? "it hasn't been judged yet."
                                          : standing->reason + ": " + standing->message));
  }
  return made(seen, "Its names lead to its endpoints.");
}

/// Whether an endpoint in the slices has it.
bool isServed(const Seen& seen, const api::PodNetworkServicePort& port) {
  const auto protocol = k8s::spell(port.protocol);
  return std::ranges::any_of(seen.slices, [&](const Slice* slice) {
    return !slice->endpoints.empty() &&
           std::ranges::any_of(slice->ports, [&](const k8s::EndpointPort& one) {
             return one.name == port.name && one.protocol == protocol;
           });
  });
}

/// `spec.ports[0].targetPort "web"`, of the first that no pod has by that name; empty: there is
/// none.
std::string unservedPort(const Seen& seen) {
  const auto& ports = seen.service->spec.ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].targetPort.name.empty() || isServed(seen, ports[i])) continue;
    return "spec.ports[" + std::to_string(i) + "].targetPort \"" + ports[i].targetPort.name + "\"";
  }
  return {};
}

Condition endpointsCondition(const Seen& seen, const api::EndpointCounts& counts) {
  const auto make = [](State state, std::string reason, std::string message) {
    return Condition{"Endpoints", state, 0, std::nullopt, std::move(reason), std::move(message)};
  };
  if (seen.taken) {
    return make(State::False, "NameTaken", "It has none while its name is somebody else's.");
  }
  if (std::ranges::all_of(seen.slices, [](const auto* one) { return one->endpoints.empty(); })) {
    return make(State::False, "NoPodMatches",
                "No pod of this namespace that has an interface on PodNetwork \"" +
                    seen.service->spec.podNetworkName +
                    "\" has the labels of spec.selector: label one, or have it ask for the "
                    "network.");
  }
  if (const auto port = unservedPort(seen); !port.empty()) {
    return make(State::False, "PortNotFound",
                port +
                    " is the name of no container's port in the pods that it selects: name one "
                    "of theirs, or give its number.");
  }
  if (counts.ready == 0) {
    return make(State::False, "NoneReady",
                std::string("None is ready: see the pods and their PodInterfaceSets") +
                    (seen.service->spec.healthCheck
                         ? ", where interfaces[].health says what spec.healthCheck found."
                         : "."));
  }
  return make(State::True, "Available", "Some are ready.");
}

std::vector<std::int32_t> nodePortsOf(const Seen& seen) {
  std::vector<std::int32_t> ports;
  bool any = false;
  for (const auto& asked : seen.service->spec.ports) {
    const auto found =
        std::ranges::find_if(seen.made->spec.ports, [&](const k8s::ServicePort& one) {
          return one.port == asked.port && one.protocol == k8s::spell(asked.protocol);
        });
    ports.push_back(found == seen.made->spec.ports.end() ? 0 : found->nodePort);
    any = any || ports.back() != 0;
  }
  return any ? ports : std::vector<std::int32_t>();
}

/// As the Service has it, but within the schema's bounds.
k8s::LoadBalancerStatus mirrored(k8s::LoadBalancerStatus status) {
  if (status.ingress.size() > api::kMaxIngress) status.ingress.resize(api::kMaxIngress);
  for (auto& one : status.ingress) {
    if (one.ports.size() > api::kMaxServicePorts) one.ports.resize(api::kMaxServicePorts);
  }
  return status;
}

Condition loadBalancerCondition(const Seen& seen, const k8s::LoadBalancerStatus& status) {
  const auto make = [](State state, std::string reason, std::string message) {
    return Condition{"LoadBalancer", state, 0, std::nullopt, std::move(reason), std::move(message)};
  };
  if (status.ingress.empty()) {
    const auto& name = seen.service->spec.loadBalancerClass;
    return make(
        State::False, "Pending",
        "No load balancer controller has given it an address yet: see that one for " +
            (name.empty() ? std::string("Services without a class") : "class \"" + name + "\"") +
            " runs, and what it says in the Service's Events.");
  }
  std::string places;
  for (const auto& one : status.ingress) {
    places += (places.empty() ? "" : ", ") + (one.ip.empty() ? one.hostname : one.ip);
    for (const auto& port : one.ports) {
      if (port.error.empty()) continue;
      return make(State::False, "PortFailed",
                  places + " doesn't serve port " + std::to_string(port.port) + "/" +
                      port.protocol + ": " + port.error + ".");
    }
  }
  return make(State::True, "Assigned", "Its load balancer is reached at " + places + ".");
}

void tellOfExposure(const Seen& seen, const Moment& now, api::PodNetworkServiceStatus& status) {
  const bool stands = seen.made != nullptr && !seen.taken && !seen.earlier;
  status.nodePorts = stands ? nodePortsOf(seen) : std::vector<std::int32_t>();
  status.loadBalancer.clear();
  if (!seen.service->spec.isLoadBalancer() || !seen.violations.empty() || seen.taken) {
    status.conditions.remove("LoadBalancer");
    return;
  }
  if (stands) status.loadBalancer = mirrored(seen.made->status->loadBalancer);
  auto condition = loadBalancerCondition(seen, status.loadBalancer);
  condition.observedGeneration = seen.service->metadata.generation;
  status.conditions.set(std::move(condition), now.wall);
}

/// `settled`: the slices are as they should be, so that what is counted can be seen there.
api::PodNetworkServiceStatus statusOf(const Seen& seen, bool settled, const Moment& now) {
  auto status = seen.service->status;
  const auto generation = seen.service->metadata.generation;
  auto condition = readyCondition(seen);
  condition.observedGeneration = generation;
  status.conditions.set(std::move(condition), now.wall);
  status.clusterIPs.clear();
  if (seen.made != nullptr && !seen.taken && !seen.earlier) {
    status.clusterIPs = seen.made->spec.clusterIPs;
  }
  tellOfExposure(seen, now, status);
  if (!settled || seen.service->spec.isExternalName()) return status;
  status.endpoints = countsOf({seen.slices.begin(), seen.slices.end()});
  condition = endpointsCondition(seen, *status.endpoints);
  condition.observedGeneration = generation;
  status.conditions.set(std::move(condition), now.wall);
  return status;
}

/// On what is made of the service; it is the service that is told of a refusal.
Write about(const NetworkService& service, Write write) {
  const auto& metadata = service.metadata;
  write.about = {api::kPodNetworkServiceKind, keyOf(service), metadata.uid, metadata.generation};
  return write;
}

void writeService(const Seen& seen, Outcome& outcome) {
  const auto& service = *seen.service;
  if (seen.made == nullptr) {
    outcome.writes.push_back(about(service, {.kind = k8s::kServiceKind,
                                             .key = keyOf(service),
                                             .verb = Verb::Create,
                                             .body = newService(service),
                                             .why = "its PodNetworkService was made"}));
    return;
  }
  if (seen.earlier || seen.made->metadata.deleting()) return;
  auto patch = servicePatch(service, *seen.made);
  if (patch.empty()) return;
  outcome.writes.push_back(about(
      service, writeTo(k8s::kServiceKind, seen.made->metadata, Verb::Patch, std::move(patch))));
}

std::vector<api::AddressFamily> familiesOf(const Seen& seen) {
  if (seen.network != nullptr) return api::familiesOf(seen.service->spec, *seen.network);
  // Without a network: those that were asked for.
  return api::familiesOf(seen.service->spec, api::PodNetwork());
}

/// Endpoints, which are most of a slice, are encoded once: a list is replaced as a whole.
nlohmann::json patchOf(const k8s::EndpointSlice& standing, const k8s::EndpointSlice& wanted) {
  const auto without = [](k8s::EndpointSlice slice) {
    slice.endpoints.clear();
    return k8s::Encoder::value(slice);
  };
  auto patch = k8s::mergePatch(without(standing), without(wanted));
  if (standing.endpoints != wanted.endpoints) {
    patch["endpoints"] = k8s::Encoder::value(wanted.endpoints);
  }
  return patch;
}

Write writeOf(const NetworkService& service, const SliceChange& change) {
  const auto& kind = k8s::kEndpointSliceKind;
  if (!change.wanted) {
    return about(service, deletionOf(kind, change.standing->metadata, "", {}));
  }
  if (change.standing == nullptr) {
    return about(service, {.kind = kind,
                           .key = {change.wanted->metadata.nameSpace, change.wanted->metadata.name},
                           .verb = Verb::Create,
                           .body = k8s::KindTraits<k8s::EndpointSlice>::encode(*change.wanted)});
  }
  return about(service, writeTo(kind, change.standing->metadata, Verb::Patch,
                                patchOf(*change.standing, *change.wanted)));
}

/// Only beside a Service that is ours: by its name they would be another's endpoints.
void writeSlices(const Seen& seen, const Parts* parts, Outcome& outcome) {
  const auto& service = *seen.service;
  if (seen.taken) {
    for (const auto* slice : seen.slices) {
      outcome.writes.push_back(
          about(service, deletionOf(k8s::kEndpointSliceKind, slice->metadata,
                                    "its Service's name is somebody else's", {})));
    }
    return;
  }
  // Of an ExternalName there are none, as core has none.
  if (seen.made == nullptr || seen.earlier || service.spec.isExternalName()) return;
  const SliceOwner owner{service.metadata.nameSpace, service.metadata.name, service.metadata.uid,
                         service.spec.podNetworkName, service.metadata.labels};
  const std::vector<const k8s::EndpointSlice*> standing(seen.slices.begin(), seen.slices.end());
  std::vector<SliceChange> changes;
  if (parts == nullptr) {
    changes = planSlices(owner, familiesOf(seen), seen.endpoints, standing);
  } else {
    std::set<std::string> pods;
    for (const auto& key : *parts) pods.insert(key.name);
    const auto part = partOf(pods, seen.endpoints, standing);
    changes = planSlices(owner, familiesOf(seen), part.endpoints, part.standing, part.others);
  }
  for (const auto& change : changes) outcome.writes.push_back(writeOf(service, change));
}

/// `parts` null: all of it.
Outcome decide(const World& world, const k8s::ObjectKey& key, const Parts* parts,
               const Moment& now) {
  Outcome outcome;
  const auto* service = world.find<NetworkService>(key);
  // What is made of it goes with it: the garbage collector's work.
  if (service == nullptr || service->metadata.deleting()) return outcome;
  Seen seen = look(world, *service, parts);
  bool settled = false;
  if (seen.violations.empty()) {
    writeSlices(seen, parts, outcome);
    settled = outcome.writes.empty() && seen.made != nullptr && !seen.earlier;
    const std::size_t ofSlices = outcome.writes.size();
    if (!seen.taken) writeService(seen, outcome);
    // What isn't wished for any more may have been refused before.
    if (outcome.writes.size() > ofSlices) {
      seen.tries = true;
      seen.refusal = world.refusal(*service, outcome.writes.back().item());
    }
  }
  auto patch = statusPatch(service->status, statusOf(seen, settled, now));
  if (!patch.empty()) {
    outcome.writes.push_back(writeTo(api::kPodNetworkServiceKind, service->metadata,
                                     Verb::PatchStatus, std::move(patch)));
  }
  return outcome;
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  return decide(world, key, nullptr, now);
}

/// Parts are pods.
Outcome reconcileParts(const World& world, const k8s::ObjectKey& key, const Parts& parts,
                       const Moment& now) {
  return decide(world, key, &parts, now);
}

/// Services that select a pod with these labels, for that pod.
void selecting(const World& world, const k8s::ObjectKey& pod, const k8s::StringMap& labels,
               Keys& keys) {
  world.forSelecting(pod.nameSpace, labels, [&](const NetworkService& service) {
    keys.push_back(Mark::part(keyOf(service), pod));
  });
}

/// For the pod of a set.
void selectingPodOf(const World& world, const InterfaceSet& set, Keys& keys) {
  const auto* pod = world.find<Pod>({set.metadata.nameSpace, set.pod.name});
  if (pod != nullptr) selecting(world, keyOf(*pod), pod->metadata.labels, keys);
}

std::string zoneOf(const std::shared_ptr<const Node>& node) {
  return node == nullptr ? std::string() : k8s::zoneOf(*node);
}

bool readsOtherwise(const Changed<NetworkService>& changed) {
  if (changed.existence()) return true;
  const auto& before = *changed.before;
  const auto& now = *changed.now;
  return before.metadata.uid != now.metadata.uid || before.spec != now.spec ||
         before.metadata.labels != now.metadata.labels || before.undecodable != now.undecodable;
}

/// Endpoints that stand otherwise, each for its pod; anything else for the whole.
void changedEndpoints(const k8s::ObjectKey& service, const Changed<Slice>& changed, Keys& keys) {
  using Endpoints = std::vector<k8s::Endpoint>;
  static const Endpoints kNone;
  const Endpoints& before = changed.before == nullptr ? kNone : changed.before->endpoints;
  const Endpoints& now = changed.now == nullptr ? kNone : changed.now->endpoints;
  const bool isEmpty = before.empty() || now.empty();
  if (!changed.existence()) {
    const auto& was = *changed.before;
    const auto& is = *changed.now;
    if (was.metadata.uid != is.metadata.uid || was.metadata.labels != is.metadata.labels ||
        was.metadata.ownerReferences != is.metadata.ownerReferences || was.ports != is.ports ||
        was.addressType != is.addressType || isEmpty) {
      return keys.push_back(service);
    }
  } else if (before.empty() && now.empty()) {
    return keys.push_back(service);
  }
  const auto named = [&](const k8s::Endpoint& one) {
    if (!one.targetRef) return keys.push_back(service);
    keys.push_back(Mark::part(service, {service.nameSpace, one.targetRef->name}));
  };
  for (std::size_t i = 0; i < std::max(before.size(), now.size()); ++i) {
    if (i < before.size() && i < now.size() && before[i] == now[i]) continue;
    if (i < before.size()) named(before[i]);
    if (i < now.size()) named(now[i]);
  }
}

/// What its Ready says is passed on.
bool saysOtherwise(const Changed<Network>& changed) {
  const auto* was = changed.before->status.conditions.find("Ready");
  const auto* is = changed.now->status.conditions.find("Ready");
  if (was == nullptr || is == nullptr) return was != is;
  return was->status != is->status || was->reason != is->reason || was->message != is->message;
}

bool isThere(const World& world, const k8s::ObjectKey& key) {
  return world.find<NetworkService>(key) != nullptr;
}

void concerned(const World& world, const Change& change, Keys& keys) {
  on(
      change,
      [&](const Changed<NetworkService>& changed) {
        keys.push_back(readsOtherwise(changed) ? Mark(changed.key()) : Mark::itself(changed.key()));
      },
      [&](const Changed<Service>& changed) {
        if (!isThere(world, changed.key())) return;
        const bool isAnother =
            changed.existence() || changed.before->metadata.uid != changed.now->metadata.uid ||
            changed.before->metadata.ownerReferences != changed.now->metadata.ownerReferences ||
            changed.before->spec.trafficDistribution != changed.now->spec.trafficDistribution;
        keys.push_back(isAnother ? Mark(changed.key()) : Mark::itself(changed.key()));
      },
      [&](const Changed<Slice>& changed) {
        std::set<k8s::ObjectKey> services;
        for (const auto& slice : {changed.before, changed.now}) {
          if (slice == nullptr) continue;
          for (auto& key : ByServiceName::of(*slice)) services.insert(std::move(key));
        }
        for (const auto& key : services) {
          if (isThere(world, key)) changedEndpoints(key, changed, keys);
        }
      },
      [&](const Changed<Network>& changed) {
        const bool isAnother = changed.existence() ||
                               changed.before->metadata.uid != changed.now->metadata.uid ||
                               !(changed.before->spec == changed.now->spec);
        if (!isAnother && !saysOtherwise(changed)) return;
        const NetworkName name(changed.key().name);
        for (const auto* one : world.of<NetworkService>().by<ByNetworkName>(name)) {
          keys.push_back(isAnother ? Mark(keyOf(*one)) : Mark::itself(keyOf(*one)));
        }
      },
      [&](const Changed<Namespace>& changed) {
        for (const auto* one : world.of<NetworkService>().by<ByNamespace>(changed.key().name)) {
          keys.push_back(Mark::itself(keyOf(*one)));
        }
      },
      [&](const Changed<Node>& changed) {
        if (zoneOf(changed.before) == zoneOf(changed.now)) return;
        const NodeName name(changed.key().name);
        for (const auto* set : world.of<InterfaceSet>().by<ByNode>(name)) {
          selectingPodOf(world, *set, keys);
        }
      },
      [&](const Changed<Pod>& changed) {
        for (const auto& pod : {changed.before, changed.now}) {
          if (pod == nullptr) continue;
          selecting(world, keyOf(*pod), pod->metadata.labels, keys);
        }
      },
      [&](const Changed<InterfaceSet>& changed) {
        for (const auto& set : {changed.before, changed.now}) {
          if (set != nullptr) selectingPodOf(world, *set, keys);
        }
      });
}

}  // namespace

Reconciler serviceReconciler() {
  return {"service", concerned, reconcile, reconcileParts};
}

}  // namespace multinet::controller
