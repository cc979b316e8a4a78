// Takes Multinet out of a cluster. Each step asks what is there, does what is missing and can be
// repeated: after an interruption the next call goes on where this one ended. Networks end first,
// while controller and agents can still take them down; where those are gone already, what would
// wait for them for ever is released here, once no pod holds it.
#include <algorithm>
#include <array>
#include <set>

#include "cli/command_line.h"
#include "cli/holders.h"
#include "cli/objects.h"
#include "cli/rights.h"
#include "cli/verb.h"
#include "lib/api/names.h"

namespace multinet::cli {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr Duration kLook = std::chrono::milliseconds(500);
/// The controller releases an unused network within a second or two.
constexpr Duration kControllersTurn = seconds(15);
/// An agent has taken a network's links away and told so within a few seconds.
constexpr Duration kAgentsTurn = seconds(20);
constexpr auto kOurs = "app.kubernetes.io/part-of=multinet";
constexpr auto kMade = "service.kubernetes.io/service-proxy-name=multinet.dev";
constexpr std::string_view kGroup = ".multinet.dev";

constexpr kube::Kind kDefinitions{"apiextensions.k8s.io", "v1", "customresourcedefinitions",
                                  "CustomResourceDefinition", kube::Scope::Cluster};
// What admits comes first: nobody is left to answer.
constexpr std::array kAdmission = {
    kube::Kind{"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
               "ValidatingWebhookConfiguration", kube::Scope::Cluster},
    kube::Kind{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
               "MutatingWebhookConfiguration", kube::Scope::Cluster},
    kube::Kind{"admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings",
               "ValidatingAdmissionPolicyBinding", kube::Scope::Cluster},
    kube::Kind{"admissionregistration.k8s.io", "v1", "validatingadmissionpolicies",
               "ValidatingAdmissionPolicy", kube::Scope::Cluster}};
constexpr std::array kRights = {kube::Kind{"rbac.authorization.k8s.io", "v1", "clusterrolebindings",
                                           "ClusterRoleBinding", kube::Scope::Cluster},
                                kube::Kind{"rbac.authorization.k8s.io", "v1", "clusterroles",
                                           "ClusterRole", kube::Scope::Cluster}};

constexpr std::array kFlags = {
    Flag{"wait", 0, "", "While pods hold networks wait until they end, instead of refusing"},
    Flag{"timeout", 0, "TIME", "Longest wait for each step [5m]"},
    Flag{"networks-only", 0, "",
         "End the networks and leave the rest to what installed it: helm uninstall"}};
constexpr std::array kExamples = {
    Example{"kubectl multinet uninstall", "all of it, or who holds what"},
    Example{"kubectl multinet uninstall --networks-only && helm uninstall multinet",
            "of a cluster where Helm installed it"}};

class Uninstall {
 public:
  explicit Uninstall(Call& call) : call_(call) {}

  Result<int> run() {
    if (call_.arguments().has("timeout")) {
      MULTINET_TRY(timeout_, parseTimeout(call_.arguments().value("timeout")));
    }
    MULTINET_CHECK(checkRights(call_, "uninstall", rights()));
    MULTINET_TRY(const bool free, endHolders());
    if (!free) return kRefused;
    MULTINET_CHECK(endServices());
    MULTINET_CHECK(removeAll(kinds::kAttachments, "attachments"));
    MULTINET_TRY(const bool ended, endNetworks());
    if (!ended) return kRefused;
    MULTINET_CHECK(awaitAgents());
    if (call_.arguments().has("networks-only")) return tellNodes();
    for (const auto& kind : kAdmission) MULTINET_CHECK(removeOurs(kind));
    // With the Deployments in it.
    MULTINET_CHECK(removeOurs(kinds::kNamespaces));
    // Before their owners' kind, whose end keeps the garbage collector from them for ever.
    MULTINET_CHECK(removeMade());
    MULTINET_CHECK(removeDefinitions());
    for (const auto& kind : kRights) MULTINET_CHECK(removeOurs(kind));
    say("nothing of Multinet is left in the cluster");
    return tellNodes();
  }

 private:
  /// Whoever lacks one would stop halfway: the networks gone, the rest not.
  std::vector<Right> rights() const {
    std::vector<Right> all = {
        {"list", kinds::kPods},        {"list", kinds::kSets},          {"list", kinds::kNodeSets},
        {"list", kinds::kAttachments}, {"delete", kinds::kAttachments}, {"list", kinds::kNetworks},
        {"delete", kinds::kNetworks},  {"patch", kinds::kNetworks},     {"list", kinds::kServices},
        {"delete", kinds::kServices},  {"list", kinds::kCoreServices}};
    if (call_.arguments().has("networks-only")) return all;
    all.push_back({"delete", kinds::kCoreServices});
    const auto removed = [&all](const kube::Kind& kind) {
      all.push_back({"list", kind});
      all.push_back({"delete", kind});
    };
    for (const auto& kind : kAdmission) removed(kind);
    removed(kinds::kNamespaces);
    removed(kDefinitions);
    for (const auto& kind : kRights) removed(kind);
    return all;
  }

  void say(const std::string& line) const {
    call_.out() << line << "\n";
    call_.out().flush();
  }

  /// Asks until `done` says true; false when the time is over.
  template <class Done>
  Result<bool> until(Duration limit, Done done) {
    const BootTime end = call_.clock().now() + limit;
    while (true) {
      MULTINET_TRY(const bool over, done());
      if (over) return true;
      if (call_.clock().now() >= end) return false;
      call_.rest(kLook);
    }
  }

  /// False where somebody holds on and nobody shall wait.
  Result<bool> endHolders() {
    MULTINET_TRY(auto holders, findHolders(call_));
    if (!holders.empty() && !call_.arguments().has("wait")) {
      say(std::to_string(holders.size()) + (holders.size() == 1
                                                ? " pod has networks, or asks for them:"
                                                : " pods have networks, or ask for them:"));
      printHolders(call_, holders);
      say("end them first, with what makes them again, or give --wait; nothing was changed");
      return false;
    }
    MULTINET_TRY(const bool free, until(timeout_, [&]() -> Result<bool> {
                   if (holders.empty()) return true;
                   tellHolders(holders);
                   MULTINET_TRY(holders, findHolders(call_));
                   return holders.empty();
                 }));
    if (free) say("no pod has networks or asks for them");
    if (!free) say("the wait is over; nothing was changed");
    return free;
  }

  void tellHolders(const std::vector<Holder>& holders) {
    if (holders == told_) return;
    say("waiting for " + std::to_string(holders.size()) + (holders.size() == 1 ? " pod" : " pods") +
        " with networks:");
    printHolders(call_, holders, 5);
    told_ = holders;
  }

  Status removeAll(const kube::Kind& kind, const std::string& noun) {
    MULTINET_TRY(const json items, listIfServed(call_, kind));
    for (const json& item : items) MULTINET_CHECK(remove(kind, item));
    if (!items.empty()) say(std::to_string(items.size()) + " " + noun + " removed");
    return {};
  }

  Status removeOurs(const kube::Kind& kind) {
    MULTINET_TRY(const json items, listIfServed(call_, kind, {"", kOurs, ""}));
    for (const json& item : items) {
      say("removing " + std::string(kind.kind) + " " + nameOf(item));
      MULTINET_CHECK(remove(kind, item));
    }
    return awaitEnd(kind, {"", kOurs, ""}, [](const json&) { return true; });
  }

  Status remove(const kube::Kind& kind, const json& item) {
    if (!text(item, "/metadata/deletionTimestamp").empty()) return {};
    MULTINET_TRY(auto* raw, call_.client());
    auto removed = raw->remove(kind, {text(item, "/metadata/namespace"), nameOf(item)},
                               {text(item, "/metadata/uid"), ""});
    // Gone, or made again by somebody else, is the next look's matter.
    if (removed || removed.error().code == Code::NotFound ||
        removed.error().code == Code::Aborted) {
      return {};
    }
    return removed;
  }

  template <class Ours>
  Status awaitEnd(const kube::Kind& kind, const kube::Selection& selection, Ours ours) {
    json left = json::array();
    MULTINET_TRY(const bool gone, until(timeout_, [&]() -> Result<bool> {
                   MULTINET_TRY(const json items, listIfServed(call_, kind, selection));
                   left = json::array();
                   for (const json& item : items) {
                     if (ours(item)) left.push_back(item);
                   }
                   return left.empty();
                 }));
    if (gone) return {};
    const json& first = left.front();
    const auto holds = joined(list(first, "/metadata/finalizers"), "");
    return fail(Code::DeadlineExceeded, "StillThere",
                std::string(kind.kind) + " " + nameOf(first) + " is still there" +
                    (holds.empty() ? "" : ", held by its finalizers " + holds) + stuckWhy(first) +
                    "; call this again when that is mended");
  }

  /// What the server says of a namespace or definition that doesn't end.
  static std::string stuckWhy(const json& item) {
    for (const json& condition : list(item, "/status/conditions")) {
      const auto type = text(condition, "/type");
      const bool speaks = type == "Terminating" || type.starts_with("Namespace");
      if (speaks && text(condition, "/status") == "True") return ": " + text(condition, "/message");
    }
    return {};
  }

  /// The Services that are made of them go with them, by the garbage collector. Agents, which
  /// refuse their addresses to others, hear of that while they still may.
  Status endServices() {
    MULTINET_CHECK(removeAll(kinds::kServices, "podnetworkservices"));
    MULTINET_TRY(const bool gone, until(kControllersTurn, [&]() -> Result<bool> {
                   MULTINET_TRY(const json made, madeServices());
                   return made.empty();
                 }));
    if (!gone) say("Services of podnetworkservices are still there; they are removed later");
    return {};
  }

  /// Services that a controller of ours made.
  Result<json> madeServices() {
    MULTINET_TRY(const json found, listIfServed(call_, kinds::kCoreServices, {"", kMade, ""}));
    json made = json::array();
    for (const json& service : found) {
      for (const json& owner : list(service, "/metadata/ownerReferences")) {
        if (text(owner, "/apiVersion").starts_with("multinet.dev/")) made.push_back(service);
      }
    }
    return made;
  }

  /// Those that the garbage collector left. A load balancer's finalizer may hold them longer.
  Status removeMade() {
    MULTINET_TRY(const json made, madeServices());
    for (const json& service : made) {
      say("removing Service " + text(service, "/metadata/namespace") + "/" + nameOf(service));
      MULTINET_CHECK(remove(kinds::kCoreServices, service));
    }
    return {};
  }

  /// False where pods came to hold one and nobody shall wait.
  Result<bool> endNetworks() {
    MULTINET_TRY(json networks, listIfServed(call_, kinds::kNetworks));
    for (const json& network : networks) {
      say("ending podnetwork " + nameOf(network));
      MULTINET_CHECK(remove(kinds::kNetworks, network));
    }
    const auto look = [&]() -> Result<bool> {
      MULTINET_TRY(networks, listIfServed(call_, kinds::kNetworks));
      return networks.empty();
    };
    MULTINET_TRY(const bool gone, until(kControllersTurn, look));
    if (gone) return true;
    // Nobody answers, or a pod came in between.
    MULTINET_TRY(const auto holders, findHolders(call_));
    if (!holders.empty()) {
      say("pods came to hold networks meanwhile:");
      printHolders(call_, holders);
      say("end them and call this again; the networks take no new ones");
      return false;
    }
    MULTINET_TRY(const bool released, until(timeout_, [&]() -> Result<bool> {
                   MULTINET_CHECK(release(networks));
                   return look();
                 }));
    if (released) return true;
    return fail(Code::DeadlineExceeded, "StillThere",
                "podnetwork " + nameOf(networks.front()) + " is held by its finalizers " +
                    joined(list(networks.front(), "/metadata/finalizers"), "") +
                    ", which are somebody else's; call this again when they are gone");
  }

  /// In the place of a controller that doesn't: no pod holds them.
  Status release(const json& networks) {
    MULTINET_TRY(auto* raw, call_.client());
    for (const json& network : networks) {
      json finalizers = list(network, "/metadata/finalizers");
      const auto ours = std::ranges::find(finalizers, json(api::kInUseFinalizer));
      if (ours == finalizers.end()) continue;
      finalizers.erase(ours);
      const json patch = {{"metadata",
                           {{"resourceVersion", text(network, "/metadata/resourceVersion")},
                            {"uid", text(network, "/metadata/uid")},
                            {"finalizers", finalizers}}}};
      say("no controller releases podnetwork " + nameOf(network) +
          ": released, since no pod holds it");
      const auto done = raw->patch(kinds::kNetworks, {"", nameOf(network)}, kube::PatchType::Merge,
                                   patch, kube::Subresource::None, kube::Conflicts::Refuse);
      if (!done && done.error().code != Code::NotFound && done.error().code != Code::Aborted) {
        return fail(done.error());
      }
    }
    return {};
  }

  /// Agents that don't answer are named, not waited for: their nodes are cleaned there.
  Status awaitAgents() {
    std::set<std::string> behind;
    MULTINET_TRY(const bool clear, until(kAgentsTurn, [&]() -> Result<bool> {
                   MULTINET_TRY(const json sets, listIfServed(call_, kinds::kNodeSets));
                   behind.clear();
                   for (const json& set : sets) {
                     nodes_.insert(nameOf(set));
                     if (!list(set, "/status/networks").empty()) behind.insert(nameOf(set));
                   }
                   return behind.empty();
                 }));
    if (clear && !nodes_.empty()) {
      say("the agents of " + std::to_string(nodes_.size()) +
          " nodes have taken their links and rules away");
    }
    for (const std::string& node : behind) {
      say("node " + node + " hasn't told that its links are gone: its agent is stopped or away");
    }
    return {};
  }

  Status removeDefinitions() {
    const auto ours = [](const json& item) { return nameOf(item).ends_with(kGroup); };
    MULTINET_TRY(const json items, listIfServed(call_, kDefinitions));
    for (const json& item : items) {
      if (!ours(item)) continue;
      say("removing CustomResourceDefinition " + nameOf(item));
      MULTINET_CHECK(remove(kDefinitions, item));
    }
    return awaitEnd(kDefinitions, {}, ours);
  }

  int tellNodes() const {
    say("then on each node that has the agent: point the kubelet at the runtime again, end "
        "multinet-nodeagent, and call multinet-nodeagent --cleanup");
    return kDone;
  }

  Call& call_;
  Duration timeout_ = std::chrono::minutes(5);
  std::vector<Holder> told_;
  std::set<std::string> nodes_;
};

Result<int> run(Call& call) {
  return Uninstall(call).run();
}

}  // namespace

Verb uninstallVerb() {
  return {.name = "uninstall",
          .summary = "Take Multinet out of the cluster",
          .text =
              "Ends services and networks first, then removes admission, the namespace, the kinds "
              "and the "
              "rights. While pods have networks it names them and changes nothing (exit code "
              "1), unless it shall --wait; where you lack a right it names that and changes "
              "nothing. Safe to call again after an interruption, and where "
              "the controller is dead or gone. What is left on nodes is removed there, by "
              "multinet-nodeagent --cleanup.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
