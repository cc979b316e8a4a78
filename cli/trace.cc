#include "cli/trace.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "cli/holders.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "lib/api/names.h"
#include "lib/api/resolve.h"
#include "lib/base/clock.h"

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
    }
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
    kNamespace, Flag{"output", 'o', "FORMAT", "table or json", Names::Words, "table json"}};
constexpr std::array kExamples = {
    Example{"kubectl multinet trace web-0 -n shop", "why a pod waits for its networks"}};

Result<int> run(Call& call) {
  MULTINET_TRY(const auto nameSpace, call.nameSpace());
  const std::string name = call.arguments().operands.front();
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
  all.nodeSets = json::array();
  if (const auto node = text(all.pod, "/spec/nodeName"); !node.empty()) {
    // Not everybody may read those of nodes: then it is left out.
    if (const auto set = call.get(kinds::kNodeSets, {"", node})) all.nodeSets.push_back(*set);
  }
  if (call.arguments().value("output") == "json") {
    call.out() << json{{"pod", all.pod},
                       {"events", all.events},
                       {"podInterfaceSets", all.sets},
                       {"nodeNetworkSets", all.nodeSets}}
                      .dump(2, ' ', false, json::error_handler_t::replace)
               << "\n";
    return kDone;
  }
  call.out() << render(traceTable(all), Format::Table, call.colour());
  return kDone;
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
          .operands = "POD",
          .least = 1,
          .most = 1,
          .names = Names::Pods,
          .summary = "The way of one pod to its networks, step by step, with the reasons",
          .text =
              "In order of time: creation, admission, Events of scheduler, kubelet and agent, "
              "interfaces as the agent made them and the kernel has them, conditions of the pod; "
              "at the end how its networks do on its node now. Events are kept for an hour.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
