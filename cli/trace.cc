#include "cli/trace.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "cli/nearest.h"
#include "cli/objects.h"
#include "cli/policy_world.h"
#include "cli/service_trace.h"
#include "cli/verb.h"
#include "lib/api/cluster_pod_network_policy.h"
#include "lib/api/names.h"
#include "lib/api/resolve.h"
#include "lib/api/service.h"
#include "lib/base/clock.h"
#include "lib/policy/tiers.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

struct Step {
  std::string time;  // RFC 3339; empty: now
  std::string who;
  std::string what;
  Mood mood = Mood::Plain;
  std::string why;
};

std::string why(const json& thing) {
  const auto reason = text(thing, "/reason");
  const auto message = text(thing, "/message");
  return reason.empty() || message.empty() ? reason + message : reason + ": " + message;
}

std::string equation(const std::string& subject, const std::string& type,
                     const std::string& status) {
  return subject + " " + type + "=" + status;
}

class Collector {
 public:
  explicit Collector(const Traces& all) : all_(all) {}

  std::vector<Step> run() {
    pod();
    events();
    for (const json& set : all_.sets) interfaces(set);
    node();
    std::ranges::stable_sort(steps_, [](const Step& a, const Step& b) {
      if (a.time.empty() != b.time.empty()) return b.time.empty();
      return a.time < b.time;
    });
    return std::move(steps_);
  }

 private:
  void add(std::string time, std::string who, std::string what, Mood mood = Mood::Plain,
           std::string because = {}) {
    // Events of newer clients count microseconds; the order of a second is theirs alone.
    steps_.push_back({std::move(time), std::move(who), std::move(what), mood, std::move(because)});
  }

  void pod() {
    const json& pod = all_.pod;
    if (!pod.is_object()) return;
    const json annotations = pod.value(json::json_pointer("/metadata/annotations"), json::object());
    const auto request = annotations.value(api::kNetworksAnnotation, std::string());
    add(text(pod, "/metadata/creationTimestamp"), "pod", "created", Mood::Plain,
        request.empty() ? "asks for no networks" : "asks for " + request);
    const auto resolved = annotations.value(api::kResolvedAnnotation, std::string());
    if (const auto read = api::parseResolved(resolved); !resolved.empty() && read) {
      for (const auto& one : *read) {
        add(text(pod, "/metadata/creationTimestamp"), "admission", one.name.str() + " resolved",
            Mood::Good, "network " + one.network.str());
      }
    } else if (!request.empty()) {
      add(text(pod, "/metadata/creationTimestamp"), "admission", "not resolved", Mood::Bad,
          "the webhook didn't see it; create the pod again");
    }
    for (const json& condition : list(pod, "/status/conditions")) {
      const auto status = text(condition, "/status");
      add(text(condition, "/lastTransitionTime"), "pod", text(condition, "/type") + "=" + status,
          moodOf(status), why(condition));
    }
    if (const auto deleted = text(pod, "/metadata/deletionTimestamp"); !deleted.empty()) {
      add(deleted, "pod", "must have ended");
    }
  }

  void events() {
    for (const json& event : all_.events) {
      auto time = text(event, "/lastTimestamp");
      if (time.empty()) time = text(event, "/eventTime");
      if (time.empty()) time = text(event, "/metadata/creationTimestamp");
      auto who = text(event, "/source/component");
      if (who.empty()) who = text(event, "/reportingComponent");
      const auto count = text(event, "/count");
      const std::string times = count.empty() || count == "1" ? "" : " (" + count + " times)";
      const bool warns = text(event, "/type") == "Warning";
      add(time, who, text(event, "/reason") + times, warns ? Mood::Bad : Mood::Plain,
          text(event, "/message"));
    }
  }

  void interfaces(const json& set) {
    for (const json& interface : list(set, "/interfaces")) {
      const auto name = text(interface, "/name");
      networks_.insert(text(interface, "/podNetworkName"));
      if (const auto at = text(interface, "/attachedAt"); !at.empty()) {
        add(at, "agent", name + " attached", Mood::Good,
            text(interface, "/podNetworkName") + ", " +
                joined(list(interface, "/ips"), "/address") + ", MAC " + text(interface, "/mac") +
                ", MTU " + text(interface, "/mtu"));
      }
      for (const json& condition : list(interface, "/conditions")) {
        const auto status = text(condition, "/status");
        add(text(condition, "/lastTransitionTime"), "kernel",
            equation(name, text(condition, "/type"), status), moodOf(status), why(condition));
      }
      policies(interface);
    }
  }

  /// Which policies an interface is held to, and whether it is.
  void policies(const json& interface) {
    const auto name = text(interface, "/name");
    const json held = interface.value("policy", json());
    const std::string by = selecting(text(interface, "/podNetworkName"));
    const std::string maybe = unseen();
    if (!held.is_object() && by.empty()) {
      if (maybe.empty()) return;
      return add("", "policy", name + " not isolated", Mood::Unsure,
                 "as far as its node has said; " + maybe);
    }
    if (!held.is_object()) {
      return add("", "policy", name + " not reported", Mood::Unsure,
                 "selected by " + by + "; its node hasn't said yet that it holds it to them");
    }
    const bool holds = text(held, "/enforced") == "true";
    std::string because = by.empty() ? "; selected by none: its network's default" : "";
    if (by.empty() && !maybe.empty()) because = "; " + maybe;
    if (!by.empty()) because = "; selected by " + by + (maybe.empty() ? "" : "; " + maybe);
    add("", "policy", name + (holds ? " held" : " not held"), holds ? Mood::Good : Mood::Bad,
        why(held) + because);
  }

  /// What the caller may not list may select the pod too.
  std::string unseen() const {
    std::string kinds;
    if (all_.policies.is_null()) kinds = "PodNetworkPolicies";
    if (all_.clusterPolicies.is_null()) {
      kinds += std::string(kinds.empty() ? "" : " and ") + "ClusterPodNetworkPolicies";
    }
    return kinds.empty() ? "" : "maybe selected by " + kinds + ": you may not list them";
  }

  /// The policies of the pod's namespace that select it on the network.
  std::string selecting(const std::string& network) const {
    std::string out;
    for (const json& one : all_.policies) {
      const auto policy = kube::decodeJson<api::PodNetworkPolicy>(one.dump());
      if (!policy || !all_.pod.is_object()) continue;
      const auto& names = policy->spec.podNetworkNames;
      if (std::ranges::find(names, network) == names.end()) continue;
      const auto pod = kube::decodeJson<k8s::Pod>(all_.pod.dump());
      if (!pod || !policy->spec.podSelector.matches(*pod->metadata.labels)) continue;
      out += (out.empty() ? "" : ", ") + policy->metadata.name;
      const bool receives = policy->spec.isolates(api::PolicyType::Ingress);
      const bool sends = policy->spec.isolates(api::PolicyType::Egress);
      out += receives && sends ? " (ingress, egress)" : receives ? " (ingress)" : " (egress)";
    }
    for (const auto& one : clusterSelecting(network)) out += (out.empty() ? "" : ", ") + one;
    return out;
  }

  /// Likewise of the cluster, in the order in which they are asked.
  std::vector<std::string> clusterSelecting(const std::string& network) const {
    std::vector<policy::ClusterRules> found;
    std::vector<std::string> out;
    const auto pod = kube::decodeJson<k8s::Pod>(all_.pod.dump());
    const auto space = kube::decodeJson<k8s::Namespace>(all_.nameSpace.dump());
    if (!pod) return out;
    bool isUnsure = false;
    for (const json& one : all_.clusterPolicies) {
      const auto policy = kube::decodeJson<api::ClusterPodNetworkPolicy>(one.dump());
      if (!policy) continue;
      auto rules = policy::rulesOf(*policy);
      const policy::Pod subject{{}, *pod->metadata.labels, {}, {{network, {}}}};
      if (!policy::selectsWithin(rules, subject, network)) continue;
      isUnsure = isUnsure || !space;
      if (!space || !policy::selectsNamespace(rules.subject, &*space->metadata.labels)) continue;
      found.push_back(std::move(rules));
    }
    std::ranges::sort(found, policy::precedes);
    for (const auto& one : found) {
      out.push_back("ClusterPodNetworkPolicy " + one.as.metadata.name + " (" +
                    (one.tier == policy::Tier::Admin ? "Admin " : "Baseline ") +
                    std::to_string(one.priority) + ")");
    }
    if (isUnsure)
      out.emplace_back("maybe ClusterPodNetworkPolicies: you may not read its Namespace");
    return out;
  }

  /// How the pod's networks do on its node now.
  void node() {
    for (const json& set : all_.nodeSets) {
      for (const json& network : list(set, "/status/networks")) {
        const auto name = text(network, "/podNetworkName");
        if (!networks_.contains(name)) continue;
        const auto ready = conditionOf(network, "/conditions", "Ready");
        const auto status = text(ready, "/status");
        std::string checks;
        for (const json& check : list(network, "/checks")) {
          if (text(check, "/status") == "True") continue;
          checks += "; " + text(check, "/name") + "=" + text(check, "/status") + " " + why(check);
        }
        add("", "node " + nameOf(set), equation(name, "Ready", status), moodOf(status),
            why(ready) + checks);
      }
    }
  }

  const Traces& all_;
  std::vector<Step> steps_;
  std::set<std::string> networks_;
};

std::string since(const std::string& time, const std::string& start) {
  const auto at = parseTime(time);
  const auto from = parseTime(start);
  if (!at || !from) return {};
  return "+" + age(std::chrono::duration_cast<std::chrono::seconds>(*at - *from).count());
}

constexpr std::array kFlags = {
    kNamespace,
    Flag{"output", 'o', "FORMAT", "table, wide (of a service, every endpoint), json or yaml",
         Names::Words, "table wide json yaml"},
    Flag{"from", 0, "pod/NAME", "Of a service: the pod that connects", Names::Connecting},
    Flag{"from-namespace", 0, "NAMESPACE", "Of that pod; without it the service's",
         Names::Namespaces},
    Flag{"port", 0, "PORT", "Of a service: this port only, by name or number"}};
constexpr std::array kExamples = {
    Example{"kubectl multinet trace web-0 -n shop", "why a pod waits for its networks"},
    Example{"kubectl multinet trace service/web-blue --from pod/client",
            "why a pod can't connect to a service"}};

/// The format that -o asks for.
Result<Format> formatOf(const Call& call) {
  const auto word = call.arguments().value("output");
  if (word.empty() || word == "table") return Format::Table;
  if (word == "wide") return Format::Wide;
  if (word == "json") return Format::Json;
  if (word == "yaml") return Format::Yaml;
  return fail(Code::InvalidArgument, "InvalidCommandLine",
              "flag --output \"" + word + "\": must be table, wide, json or yaml" +
                  didYouMean(word, {"table", "wide", "json", "yaml"}));
}

/// None where the cluster has no such kind; null where the caller may not list them.
template <class P>
Result<json> policiesOf(Call& call, const std::string& nameSpace) {
  auto found = call.list(kube::kindOf<P>(), {nameSpace, "", ""});
  if (found) return found;
  const auto code = found.error().code;
  if (code == Code::NotFound) return json::array();
  if (code == Code::PermissionDenied) return json();
  return fail(found.error());
}

Result<int> runPod(Call& call, Format format, const std::string& name) {
  for (const char* flag : {"from", "from-namespace", "port"}) {
    if (!call.arguments().has(flag)) continue;
    return fail(
        Code::InvalidArgument, "InvalidCommandLine",
        "flag --" + std::string(flag) + " is for a service: trace service/NAME --from pod/" + name);
  }
  MULTINET_TRY(const auto nameSpace, call.nameSpace());
  Traces all;
  const auto pod = call.get(kinds::kPods, {nameSpace, name});
  if (!pod && pod.error().code != Code::NotFound) return fail(pod.error());
  if (pod) all.pod = *pod;
  MULTINET_TRY(all.events,
               call.list(kinds::kEvents,
                         {nameSpace, "", "involvedObject.kind=Pod,involvedObject.name=" + name}));
  MULTINET_TRY(const json sets, call.list(kinds::kSets, {nameSpace, "", ""}));
  all.sets = json::array();
  for (const json& set : sets) {
    if (text(set, "/pod/name") == name) all.sets.push_back(set);
  }
  if (!pod && all.events.empty() && all.sets.empty()) {
    return fail(Code::NotFound, "NotFound", "pod \"" + nameSpace + "/" + name + "\" not found");
  }
  MULTINET_TRY(all.policies, policiesOf<api::PodNetworkPolicy>(call, nameSpace));
  MULTINET_TRY(all.clusterPolicies, policiesOf<api::ClusterPodNetworkPolicy>(call, ""));
  // Not everybody may read it.
  if (const auto space = call.get(kube::kindOf<k8s::Namespace>(), {"", nameSpace})) {
    all.nameSpace = *space;
  }
  all.nodeSets = json::array();
  if (const auto node = text(all.pod, "/spec/nodeName"); !node.empty()) {
    // Not everybody may read those of nodes: then it is left out.
    if (const auto set = call.get(kinds::kNodeSets, {"", node})) all.nodeSets.push_back(*set);
  }
  if (format == Format::Json || format == Format::Yaml) {
    call.out() << toDocument({{"pod", all.pod},
                              {"events", all.events},
                              {"podInterfaceSets", all.sets},
                              {"nodeNetworkSets", all.nodeSets},
                              {"podNetworkPolicies", all.policies},
                              {"clusterPodNetworkPolicies", all.clusterPolicies}},
                             format);
    return kDone;
  }
  call.out() << render(traceTable(all), Format::Table, call.colour());
  return kDone;
}

/// The object, or null where there is none.
Result<json> getIfThere(Call& call, const kube::Kind& kind, const kube::ObjectKey& key) {
  auto found = call.get(kind, key);
  if (!found && found.error().code == Code::NotFound) return json();
  return found;
}

/// The same where the caller may not read it; `may` says whether.
Result<json> getIfAllowed(Call& call, const kube::Kind& kind, const kube::ObjectKey& key,
                          bool& may) {
  auto found = getIfThere(call, kind, key);
  may = found || found.error().code != Code::PermissionDenied;
  if (!may) return json();
  return found;
}

Result<json> getService(Call& call, const kube::ObjectKey& key) {
  MULTINET_TRY(json found, getIfThere(call, kinds::kServices, key));
  if (found.is_object()) return found;
  const std::string what = key.nameSpace + "/" + key.name;
  MULTINET_TRY(const json core, getIfThere(call, kinds::kCoreServices, key));
  if (core.is_object()) {
    return fail(Code::NotFound, "NotFound",
                "Service \"" + what +
                    "\" is on no network, but kube-proxy's: there is no PodNetworkService of that "
                    "name; kubectl multinet services -n " +
                    key.nameSpace + " lists those that there are");
  }
  MULTINET_TRY(const json all, call.list(kinds::kServices, {key.nameSpace, "", ""}));
  std::vector<std::string> names;
  for (const json& one : all) names.push_back(nameOf(one));
  return fail(Code::NotFound, "NotFound",
              "podnetworkservice \"" + what + "\" not found" + didYouMean(key.name, names));
}

/// The name behind `pod/`; InvalidArgument says how it is written.
Result<std::string> clientOf(const Call& call, const std::string& service) {
  const auto from = call.arguments().value("from");
  if (from.empty()) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "trace service/" + service + " needs the pod that connects: --from pod/NAME");
  }
  for (const std::string_view prefix : {"pod/", "pods/", "po/"}) {
    if (from.starts_with(prefix) && from.find('/', prefix.size()) == std::string::npos &&
        from.size() > prefix.size()) {
      return from.substr(prefix.size());
    }
  }
  return fail(Code::InvalidArgument, "InvalidCommandLine",
              "flag --from \"" + from +
                  "\": must be pod/NAME; of another namespace with "
                  "--from-namespace");
}

Result<json> setOf(Call& call, const std::string& nameSpace, const std::string& pod) {
  MULTINET_TRY(const json sets, call.list(kinds::kSets, {nameSpace, "", ""}));
  for (const json& set : sets) {
    if (text(set, "/pod/name") == pod) return set;
  }
  return json();
}

Result<endpoints::Slices> slicesOf(Call& call, const std::string& nameSpace,
                                   const std::string& service) {
  MULTINET_TRY(const json items,
               call.list(kinds::kSlices,
                         {nameSpace, std::string(api::kServiceNameLabel) + "=" + service, ""}));
  endpoints::Slices slices;
  for (const json& item : items) {
    MULTINET_TRY(auto slice, kube::decodeJson<k8s::EndpointSlice>(item.dump()));
    slices.push_back(std::make_shared<const k8s::EndpointSlice>(std::move(slice)));
  }
  return slices;
}

Result<int> runService(Call& call, Format format, const std::string& name) {
  MULTINET_TRY(const auto client, clientOf(call, name));
  MULTINET_TRY(const auto nameSpace, call.nameSpace());
  const auto elsewhere = call.arguments().value("from-namespace");
  const auto& clientNamespace = elsewhere.empty() ? nameSpace : elsewhere;
  ServiceTrace found;
  found.port = call.arguments().value("port");
  MULTINET_TRY(found.service, getService(call, {nameSpace, name}));
  MULTINET_TRY(found.pod, getIfThere(call, kinds::kPods, {clientNamespace, client}));
  if (!found.pod.is_object()) {
    return fail(Code::NotFound, "NotFound",
                "flag --from: pod \"" + clientNamespace + "/" + client +
                    "\" not found; one of another namespace is named with --from-namespace");
  }
  MULTINET_TRY(found.core, getIfThere(call, kinds::kCoreServices, {nameSpace, name}));
  bool may = true;
  bool mayPlace = true;
  const auto network = text(found.service, "/spec/podNetworkName");
  MULTINET_TRY(found.network, getIfAllowed(call, kinds::kNetworks, {"", network}, may));
  MULTINET_TRY(found.set, setOf(call, clientNamespace, client));
  if (const auto node = text(found.pod, "/spec/nodeName"); !node.empty()) {
    MULTINET_TRY(found.nodeSet,
                 getIfAllowed(call, kinds::kNodeSets, {"", node}, found.mayReadNodes));
    MULTINET_TRY(const json place, getIfAllowed(call, kinds::kNodes, {"", node}, mayPlace));
    found.zone = text(place, "/metadata/labels/topology.kubernetes.io~1zone");
  }
  MULTINET_TRY(found.slices, slicesOf(call, nameSpace, name));
  MULTINET_TRY(auto* server, call.client());
  if (found.network.is_object() || !may) {
    found.policies = viewOf(*server, network, found.network);
  }
  MULTINET_TRY(const ServiceWay way, follow(found));
  if (format == Format::Json || format == Format::Yaml) {
    call.out() << toDocument(toJson(way), format);
  } else {
    call.out() << drawWay(way, format == Format::Wide ? kAny * kAny : 20, call.colour());
  }
  return way.refusal() == nullptr ? kDone : kRefused;
}

Result<int> run(Call& call) {
  MULTINET_TRY(const Format format, formatOf(call));
  const std::string word = call.arguments().operands.front();
  const auto slash = word.find('/');
  if (slash == std::string::npos) return runPod(call, format, word);
  const auto kind = word.substr(0, slash);
  const auto name = word.substr(slash + 1);
  if (!name.empty() && name.find('/') == std::string::npos) {
    for (const std::string_view one : {"pod", "pods", "po"}) {
      if (kind == one) return runPod(call, format, name);
    }
    for (const std::string_view one :
         {"service", "services", "svc", "podnetworkservice", "podnetworkservices", "pns"}) {
      if (kind == one) return runService(call, format, name);
    }
  }
  return fail(Code::InvalidArgument, "InvalidCommandLine",
              "\"" + word + "\": must be POD, pod/NAME or service/NAME");
}

}  // namespace

Table traceTable(const Traces& all) {
  Table table{{{"TIME"}, {"SINCE"}, {"WHO"}, {"STEP"}, {"WHY"}}, {}};
  const auto start = text(all.pod, "/metadata/creationTimestamp");
  for (const Step& step : Collector(all).run()) {
    const auto clock = step.time.size() >= 19 ? step.time.substr(11, 8) : std::string("now");
    table.rows.push_back(
        {{clock}, {since(step.time, start)}, {step.who}, {step.what, step.mood}, {step.why}});
  }
  return table;
}

Verb traceVerb() {
  return {.name = "trace",
          .operands = "POD|service/NAME",
          .least = 1,
          .most = 1,
          .names = Names::Traced,
          .summary = "The way of a pod to its networks, or to a service, step by step",
          .text =
              "In order of time: creation, admission, Events of scheduler, kubelet and agent, "
              "interfaces as the agent made them and the kernel has them, conditions of the pod; "
              "at the end which policies hold it, and how its networks do on its node now. Events "
              "are kept for an hour. Of a "
              "service the way of a connection --from a pod: service, name, pod, interface, node, "
              "endpoints, policy; which step refuses it, what the client sees, what is to be done. "
              "It ends "
              "with 1 where one refuses.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
