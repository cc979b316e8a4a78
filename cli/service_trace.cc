#include "cli/service_trace.h"

#include <algorithm>
#include <array>
#include <set>

#include "cli/objects.h"
#include "cli/policy_step.h"
#include "lib/api/names.h"
#include "lib/api/service.h"
#include "lib/api/spelling.h"
#include "lib/k8s/core.h"
#include "lib/kube/client.h"

namespace multinet::cli {
namespace {

using endpoints::Use;
using nlohmann::json;

std::string keyOf(const json& object) {
  return text(object, "/metadata/namespace") + "/" + nameOf(object);
}

std::string because(const json& condition) {
  const auto reason = text(condition, "/reason");
  const auto message = text(condition, "/message");
  return reason.empty() || message.empty() ? reason + message : reason + ": " + message;
}

std::string withPort(const endpoints::Target& target) {
  const auto address = target.address.str();
  const std::string port = target.port == 0 ? "" : ":" + std::to_string(target.port);
  return target.address.isV4() || port.empty() ? address + port : "[" + address + "]" + port;
}

/// `http 80/TCP`
std::string portName(const k8s::ServicePort& port) {
  return (port.name.empty() ? "" : port.name + " ") + std::to_string(port.port) + "/" +
         (port.protocol.empty() ? "TCP" : port.protocol);
}

/// `-l app=web,tier=front`
std::string selectorWords(const json& service) {
  std::string pairs;
  const json selector = service.value(json::json_pointer("/spec/selector"), json::object());
  for (const auto& [key, value] : selector.items()) {
    if (value.is_string()) pairs += (pairs.empty() ? "" : ",") + key + "=" + std::string(value);
  }
  return "-l " + pairs;
}

std::string whyUnused(Use use, const endpoints::EndpointView& view, bool isHeadless) {
  switch (use) {
    case Use::Used:
      return isHeadless && !view.ready ? "is terminating: names lead to ready ones alone" : "";
    case Use::NoPort:
      return "has no port of the name that targetPort says";
    case Use::NotReady:
      if (view.terminating) return "is terminating and not ready";
      return view.serving ? "is not ready"
                          : "is not ready: the pod, its interface, or what spec.healthCheck found";
    case Use::Terminating:
      return "is terminating, others are ready";
    case Use::Elsewhere:
      return "is on another node, and internalTrafficPolicy is Local";
    case Use::NotHinted:
      if (isHeadless) return "";
      return "is ready, and others are hinted for the client's node or zone: trafficDistribution";
  }
  return "";
}

class Follower {
 public:
  explicit Follower(const ServiceTrace& found)
      : found_(found),
        nameSpace_(text(found.service, "/metadata/namespace")),
        name_(nameOf(found.service)),
        network_(text(found.service, "/spec/podNetworkName")) {}

  Result<ServiceWay> run() {
    way_.from = keyOf(found_.pod);
    way_.to = keyOf(found_.service);
    service();
    if (found_.core.is_object()) {
      MULTINET_TRY(core_, kube::decodeJson<k8s::Service>(found_.core.dump()));
    }
    MULTINET_TRY(ports_, ports());
    isHeadless_ = text(found_.service, "/spec/clusterIP") == "None";
    const bool isOurs = name();
    if (text(found_.service, "/spec/type") == "ExternalName") {
      if (way_.refusal() == nullptr) {
        way_.client = "The name leads to " + text(found_.service, "/spec/externalName") +
                      ", by way of the pod's own network eth0.";
      }
      return std::move(way_);
    }
    pod();
    interface();
    node();
    if (isOurs) endpoints();
    policy();
    if (way_.refusal() == nullptr) way_.client = arrives();
    return std::move(way_);
  }

 private:
  void add(std::string step, Verdict verdict, std::string says, std::string remedy = {}) {
    way_.steps.push_back({std::move(step), verdict, std::move(says), std::move(remedy)});
  }
  /// `client`: what it sees, where no earlier step refuses.
  void refuse(std::string step, std::string says, std::string remedy, std::string client) {
    if (way_.refusal() == nullptr) way_.client = std::move(client);
    add(std::move(step), Verdict::Refuses, std::move(says), std::move(remedy));
  }

  void service() {
    const std::string what = "PodNetworkService " + way_.to + " on network " + network_;
    const std::string look = "kubectl describe pns " + name_ + " -n " + nameSpace_;
    if (!text(found_.service, "/metadata/deletionTimestamp").empty()) {
      return refuse("service", what + " is being deleted", "create it again",
                    "No name, no address.");
    }
    const auto ready = conditionOf(found_.service, "/status/conditions", "Ready");
    if (ready.empty()) {
      return add("service", Verdict::Warns, what + ": nobody has judged it yet",
                 "see that the controller runs: kubectl get pods -n multinet-system");
    }
    const auto seen = text(ready, "/observedGeneration");
    if (!seen.empty() && seen != text(found_.service, "/metadata/generation")) {
      return add("service", Verdict::Warns,
                 what + ": its last change hasn't been judged yet; before that " + because(ready),
                 "see that the controller runs: kubectl get pods -n multinet-system");
    }
    if (text(ready, "/status") == "True") {
      return add("service", Verdict::Passes, what + ": " + text(ready, "/reason"));
    }
    // A verdict on the network stops no pod that runs (decision 0086).
    const auto reason = text(ready, "/reason");
    if (reason == "NetworkNotReady" || reason == "NotGranted" || reason == "NetworkNotFound") {
      return add("service", Verdict::Warns, what + ": " + because(ready) + " Pods that run go on.",
                 look);
    }
    if (reason == "Refused" && found_.core.is_object()) {
      return add("service", Verdict::Warns,
                 what + ": " + because(ready) + " The Service as it was before goes on.", look);
    }
    refuse("service", what + ": " + because(ready), look, "The name isn't known.");
  }

  /// The ports that are asked for.
  Result<std::vector<k8s::ServicePort>> ports() const {
    const auto& all = core_.spec.ports;
    if (found_.port.empty() || !found_.core.is_object()) return all;
    std::vector<k8s::ServicePort> asked;
    std::string there;
    for (const auto& port : all) {
      there += (there.empty() ? "" : ", ") + portName(port);
      if (port.name == found_.port || std::to_string(port.port) == found_.port) {
        asked.push_back(port);
      }
    }
    if (!asked.empty()) return asked;
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "flag --port \"" + found_.port + "\": service " + way_.to + " has no such port; " +
                    (there.empty() ? "it has none" : "it has " + there));
  }

  /// Whether the Service of its name is ours.
  bool name() {
    const std::string full = name_ + "." + nameSpace_ + ".svc";
    const std::string unknown = "The name " + full + " isn't known.";
    if (!found_.core.is_object()) {
      refuse("name", "there is no Service " + way_.to,
             "the controller makes it; where that lasts, the Events of the PodNetworkService say "
             "why: kubectl describe pns " +
                 name_ + " -n " + nameSpace_,
             unknown);
      return false;
    }
    const auto uid = text(found_.service, "/metadata/uid");
    const auto owners = list(found_.core, "/metadata/ownerReferences");
    const bool isOurs =
        std::ranges::any_of(owners, [&](const json& owner) { return text(owner, "/uid") == uid; });
    if (!isOurs) {
      refuse("name", "Service " + way_.to + " was made by somebody else",
             "delete it, or give the PodNetworkService another name",
             "The name leads to that Service.");
      return false;
    }
    if (!core_.spec.externalName.empty()) {
      add("name", Verdict::Passes, full + " leads to " + core_.spec.externalName);
      return true;
    }
    if (isHeadless_) {
      add("name", Verdict::Passes, full + " leads to the endpoints that are ready");
      foreigners(full);
      return true;
    }
    std::string addresses;
    for (const auto& address : core_.spec.clusterIPs) {
      addresses += (addresses.empty() ? "" : ", ") + address;
    }
    const auto* label = core_.metadata.labels->contains(api::kNetworkLabel)
                            ? &core_.metadata.labels->at(api::kNetworkLabel)
                            : nullptr;
    if (label == nullptr || *label != network_) {
      add("name", Verdict::Warns,
          full + " leads to " + addresses + ", but label " + api::kNetworkLabel + " is " +
              (label == nullptr ? "absent" : "\"" + *label + "\"") + ", not \"" + network_ +
              "\": nodes follow it by that label",
          "see that the controller runs, which puts it right: kubectl get pods -n multinet-system");
      return true;
    }
    add("name", Verdict::Passes, full + " leads to ClusterIP " + addresses);
    return true;
  }

  /// Others' slices mix into a headless service's names, as into any Service's.
  void foreigners(const std::string& full) {
    std::string names;
    for (const auto& slice : found_.slices) {
      if (endpoints::isControllers(*slice)) continue;
      names += (names.empty() ? "" : ", ") + slice->metadata.name;
    }
    if (names.empty()) return;
    add("name", Verdict::Warns, "EndpointSlices of somebody else's mix into " + full + ": " + names,
        "delete them, or their label " + std::string(api::kServiceNameLabel));
  }

  void pod() {
    const auto phase = text(found_.pod, "/status/phase");
    const auto node = text(found_.pod, "/spec/nodeName");
    const std::string what = "pod " + way_.from;
    const std::string look = "kubectl multinet trace " + nameOf(found_.pod) + " -n " +
                             text(found_.pod, "/metadata/namespace");
    if (text(found_.pod, "/spec/hostNetwork") == "true" && !reachesAll()) {
      return refuse("pod",
                    what + " is in its node's own network (hostNetwork), which is on no other",
                    "connect from a pod with a network of its own", away());
    }
    if (phase != "Running") {
      return refuse("pod", what + " doesn't run: phase " + (phase.empty() ? "unknown" : phase),
                    look, "Nothing runs in it.");
    }
    add("pod", Verdict::Passes, what + " runs on node " + node);
  }

  /// What a pod that isn't on the network sees.
  [[nodiscard]] std::string away() const {
    return isHeadless_ ? "The name leads to addresses to which it has no way: a time-out."
                       : "A time-out: nobody serves the ClusterIP there.";
  }

  void interface() {
    const std::string what = "pod " + way_.from;
    const auto uid = text(found_.pod, "/metadata/uid");
    const bool isIts = found_.set.is_object() && text(found_.set, "/pod/uid") == uid;
    const json interfaces = isIts ? list(found_.set, "/interfaces") : json::array();
    const json* on = nullptr;
    std::set<std::string> others;
    for (const json& one : interfaces) {
      const auto network = text(one, "/podNetworkName");
      if (network == network_ && on == nullptr) on = &one;
      if (network != network_) others.insert(network);
    }
    if (on == nullptr && reachesAll()) {
      throughNode_ = true;
      return add("interface", Verdict::Passes,
                 what + " isn't on network " + network_ +
                     ": its node takes it there, since spec.reach is Cluster");
    }
    if (on == nullptr) return notOn(what, others);
    const auto name = text(*on, "/name");
    const auto made = text(*on, "/podNetworkUID");
    if (found_.network.is_object() && !made.empty() &&
        made != text(found_.network, "/metadata/uid")) {
      return refuse("interface",
                    what + " has " + name + " on a network " + network_ +
                        " that was deleted; this one was made again since",
                    "create the pod again", others.empty() ? away() : unreachable());
    }
    for (const json& address : list(*on, "/ips")) {
      families_.insert(text(address, "/family") == "IPv6" ? IpFamily::V6 : IpFamily::V4);
      const auto typed = InterfaceAddress::parse(text(address, "/address"));
      if (typed) sources_.push_back(typed->address);
    }
    const std::string says =
        what + " is on " + network_ + " as " + name + ", " + joined(list(*on, "/ips"), "/address");
    const auto ready = conditionOf(*on, "/conditions", "Ready");
    if (text(ready, "/status") != "True") {
      return add("interface", Verdict::Warns,
                 says + "; Ready=" + (ready.empty() ? "Unknown" : text(ready, "/status")) +
                     (ready.empty() ? "" : " " + because(ready)),
                 "kubectl multinet trace " + nameOf(found_.pod) + " -n " +
                     text(found_.pod, "/metadata/namespace"));
    }
    add("interface", Verdict::Passes, says);
  }

  /// The agent takes to the network who isn't on it.
  [[nodiscard]] bool reachesAll() const {
    return text(found_.service, "/spec/reach") == "Cluster" && !isHeadless_;
  }

  [[nodiscard]] std::string unreachable() const {
    return isHeadless_ ? away() : "ENETUNREACH (Network is unreachable), at once.";
  }

  void notOn(const std::string& what, const std::set<std::string>& others) {
    const json annotations =
        found_.pod.value(json::json_pointer("/metadata/annotations"), json::object());
    const auto request = annotations.value(api::kNetworksAnnotation, std::string());
    std::string names;
    for (const auto& one : others) names += (names.empty() ? "" : ", ") + one;
    const std::string instead = !names.empty() ? "it is on " + names
                                : !request.empty()
                                    ? "it asks for \"" + request + "\" and has no interface so far"
                                    : "it asks for no networks";
    refuse("interface", what + " isn't on network " + network_ + ": " + instead,
           names.empty() && !request.empty()
               ? "kubectl multinet trace " + nameOf(found_.pod) + " -n " +
                     text(found_.pod, "/metadata/namespace")
               : "name " + network_ + " in its annotation " +
                     std::string(api::kNetworksAnnotation) + " and create it again",
           others.empty() ? away() : unreachable());
  }

  void node() {
    const auto node = text(found_.pod, "/spec/nodeName");
    if (node.empty()) return;
    if (!found_.mayReadNodes) {
      return add("node", Verdict::Warns, "you may not read NodeNetworkSet " + node,
                 "have ClusterRole multinet-network-reader bound to you");
    }
    if (!found_.nodeSet.is_object()) {
      return refuse("node", "node " + node + " has no NodeNetworkSet: no agent has reported there",
                    "install the agent on it, or see its log: journalctl -u multinet-nodeagent",
                    away());
    }
    const json networks = list(found_.nodeSet, "/status/networks");
    const auto one = std::ranges::find_if(
        networks, [&](const json& each) { return text(each, "/podNetworkName") == network_; });
    if (one != networks.end()) {
      const auto ready = conditionOf(*one, "/conditions", "Ready");
      if (text(ready, "/status") != "True" && !ready.empty()) {
        add("node", Verdict::Warns,
            "network " + network_ + " on node " + node + ": Ready=" + text(ready, "/status") + " " +
                because(ready),
            "kubectl multinet nodes " + node + " -o wide");
      }
    }
    if (isHeadless_) return;
    if (throughNode_) {
      // One of the node for all its networks; the message says to which there is none.
      const auto gateway = conditionOf(found_.nodeSet, "/status/conditions", "Gateway");
      if (text(gateway, "/status") != "False") {
        return add("node", Verdict::Passes,
                   "node " + node + " tells of no gateway that is lacking");
      }
      return add("node", Verdict::Warns, "node " + node + " lacks gateways: " + because(gateway),
                 "where " + network_ +
                     " is among these, put that right, or connect from a pod that is on it");
    }
    const auto translated = conditionOf(found_.nodeSet, "/status/conditions", "ServicesTranslated");
    const auto status = text(translated, "/status");
    if (status == "True") {
      return add("node", Verdict::Passes, "node " + node + " translates ClusterIPs for its pods");
    }
    if (status.empty()) {
      return add("node", Verdict::Warns,
                 "node " + node +
                     " doesn't say whether it translates ClusterIPs: it does so within seconds of "
                     "its first pod that could use one",
                 "see the agent's log there: journalctl -u multinet-nodeagent");
    }
    refuse("node", "node " + node + " doesn't translate ClusterIPs: " + because(translated),
           "put that right on the node, or make the service headless (clusterIP: None), which "
           "needs no translation",
           away());
  }

  void endpoints() {
    const bool looked = std::ranges::any_of(
        found_.slices, [](const auto& slice) { return endpoints::isControllers(*slice); });
    if (!looked) {
      return refuse("endpoints", "there is no EndpointSlice of " + way_.to,
                    "see that the controller runs: kubectl get pods -n multinet-system", nobody());
    }
    std::set<IpFamily> families = familiesOfService();
    std::erase_if(families, [&](IpFamily family) {
      return !families_.empty() && !families_.contains(family);
    });
    if (families.empty()) {
      return refuse("endpoints",
                    "pod " + way_.from + " has no address on " + network_ +
                        " of a family that the service has",
                    "give network and service a family in common: spec.ipFamilies",
                    "A network error, at once or by a time-out.");
    }
    for (const k8s::ServicePort& port : ports_) onePort(port, families);
  }

  /// Of its ClusterIPs; of a headless one those that the controller keeps slices of.
  [[nodiscard]] std::set<IpFamily> familiesOfService() const {
    std::set<IpFamily> families;
    for (const auto& text : core_.spec.clusterIPs) {
      if (const auto address = IpAddress::parse(text)) families.insert(address->family());
    }
    for (const auto& slice : found_.slices) {
      if (!isHeadless_ || !endpoints::isControllers(*slice)) continue;
      families.insert(slice->addressType == "IPv6" ? IpFamily::V6 : IpFamily::V4);
    }
    return families;
  }

  /// A family without endpoints is no refusal while the other has some.
  void onePort(const k8s::ServicePort& port, const std::set<IpFamily>& families) {
    std::vector<std::pair<IpFamily, WayStep>> steps;
    bool any = false;
    for (const IpFamily family : families) {
      const std::string what = portName(port) + ", " + std::string(multinet::name(family)) + ": ";
      std::size_t used = 0;
      std::size_t all = 0;
      std::array<std::size_t, 6> why{};
      const auto policy = isHeadless_ ? api::TrafficPolicy::Cluster : endpoints::policyOf(core_);
      const endpoints::Place here{NodeName(text(found_.pod, "/spec/nodeName")), found_.zone};
      const auto views = endpoints::endpointsOf(port, family, found_.slices, here);
      const auto uses = endpoints::useOf(views, policy);
      for (std::size_t i = 0; i < views.size(); ++i) {
        const auto unused = whyUnused(uses[i], views[i], isHeadless_);
        const auto& told = *views[i].told;
        way_.endpoints.push_back(
            {portName(port), withPort(views[i].target), told.targetRef ? told.targetRef->name : "",
             told.nodeName, views[i].ready, views[i].serving, views[i].terminating, unused, ""});
        ++all;
        ++why.at(static_cast<std::size_t>(uses[i]));
        if (unused.empty()) {
          ++used;
          arrivals_.push_back(
              {way_.endpoints.size() - 1, views[i].target.address,
               k8s::unspell<api::Protocol>(port.protocol.empty() ? "TCP" : port.protocol),
               views[i].target.port});
        }
      }
      any = any || used > 0;
      WayStep step{"endpoints", used > 0 ? Verdict::Passes : Verdict::Refuses,
                   what + std::to_string(used) + " of " + std::to_string(all) + " can be used", ""};
      if (used == 0) step.remedy = remedyFor(all, why, port);
      steps.emplace_back(family, std::move(step));
    }
    for (auto& [family, step] : steps) {
      if (step.verdict == Verdict::Refuses && any) step.verdict = Verdict::Warns;
      if (step.verdict == Verdict::Refuses && way_.refusal() == nullptr) way_.client = nobody();
      way_.steps.push_back(std::move(step));
    }
  }

  /// What policies say of the endpoints that it could connect to.
  void policy() {
    if (!found_.policies || arrivals_.empty()) return;
    auto judged =
        judge(*found_.policies, {way_.from, sources_, throughNode_}, arrivals_, way_.endpoints);
    if (judged.verdict == Verdict::Refuses && way_.refusal() == nullptr) {
      way_.client = "Nothing comes back: a time-out.";
    }
    way_.steps.push_back(std::move(judged));
  }

  [[nodiscard]] std::string nobody() const {
    return isHeadless_ ? "The name has no addresses."
                       : "ECONNREFUSED (Connection refused), at once.";
  }

  [[nodiscard]] std::string remedyFor(std::size_t all, const std::array<std::size_t, 6>& why,
                                      const k8s::ServicePort& port) const {
    const auto of = [&](Use use) { return why.at(static_cast<std::size_t>(use)); };
    const std::string in = " -n " + nameSpace_;
    if (all == 0) {
      return "label pods that are on " + network_ + ", or have them ask for it: kubectl get pods " +
             selectorWords(found_.service) + in;
    }
    if (of(Use::Elsewhere) > 0) {
      return "run one on node " + text(found_.pod, "/spec/nodeName") +
             ", or set spec.internalTrafficPolicy: Cluster";
    }
    if (of(Use::NoPort) == all) {
      return "name a container's port \"" + port.targetPort.str() +
             "\", or set spec.ports[].targetPort to one that the pods have";
    }
    return "see why: kubectl get pods " + selectorWords(found_.service) + in +
           "; kubectl multinet pods " + selectorWords(found_.service) + in;
  }

  [[nodiscard]] std::string arrives() const {
    std::set<std::string> targets;
    for (const auto& one : way_.endpoints) {
      if (one.unused.empty()) targets.insert(one.endpoint);
    }
    return "It connects to " + (targets.size() == 1 ? *targets.begin() : chosen(targets.size())) +
           ", over " + network_ + (throughNode_ ? ", by its node's gateway." : ".");
  }

  /// By whom, of several.
  [[nodiscard]] std::string chosen(std::size_t count) const {
    const std::string one = "one of " + std::to_string(count);
    const auto seconds = isHeadless_ || throughNode_ ? 0 : endpoints::affinityOf(core_);
    if (seconds == 0) return one + ", chosen at random";
    return one + ", the one that it had if its last connection to it isn't longer ago than " +
           std::to_string(seconds) + " s (sessionAffinity), else chosen at random";
  }

  const ServiceTrace& found_;
  const std::string nameSpace_;
  const std::string name_;
  const std::string network_;
  k8s::Service core_;
  std::vector<k8s::ServicePort> ports_;
  std::set<IpFamily> families_;     // that the pod has on the network
  std::vector<IpAddress> sources_;  // the same's addresses
  std::vector<Arrival> arrivals_;
  bool isHeadless_ = false;
  bool throughNode_ = false;  // by its node's gateway: the pod isn't on the network
  ServiceWay way_;
};

}  // namespace

const WayStep* ServiceWay::refusal() const {
  const auto found = std::ranges::find(steps, Verdict::Refuses, &WayStep::verdict);
  return found == steps.end() ? nullptr : &*found;
}

Result<ServiceWay> follow(const ServiceTrace& found) {
  return Follower(found).run();
}

}  // namespace multinet::cli
