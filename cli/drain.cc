#include <array>
#include <set>

#include "cli/command_line.h"
#include "cli/holders.h"
#include "cli/objects.h"
#include "cli/rights.h"
#include "cli/verb.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

constexpr Duration kLook = std::chrono::seconds(1);
constexpr std::array kFlags = {Flag{"timeout", 0, "TIME", "Longest wait [5m]"},
                               Flag{"dry-run", 0, "", "Only say who would go"}};
constexpr std::array kExamples = {
    Example{"kubectl multinet drain node-a", "before the agent leaves a node"}};

/// Evicts, within the budgets of the pods' owners.
class Drain {
 public:
  Drain(Call& call, std::string node) : call_(call), node_(std::move(node)) {}

  Result<int> run() {
    const auto& arguments = call_.arguments();
    if (arguments.has("timeout")) {
      MULTINET_TRY(timeout_, parseTimeout(arguments.value("timeout")));
    }
    MULTINET_TRY(auto holders, findHolders(call_, node_));
    if (arguments.has("dry-run")) {
      call_.out() << holders.size() << " pods on " << node_ << " have networks\n";
      printHolders(call_, holders, kAny);
      return kDone;
    }
    MULTINET_CHECK(checkRights(call_, "drain " + node_,
                               {{"patch", kinds::kNodes}, {"create", kinds::kPods, "eviction"}}));
    MULTINET_CHECK(cordon());
    const BootTime end = call_.clock().now() + timeout_;
    while (true) {
      std::vector<Holder> stay;
      for (const Holder& one : holders) {
        if (isDaemon(one)) {
          stay.push_back(one);
        } else {
          MULTINET_CHECK(evict(one));
        }
      }
      if (stay.size() == holders.size()) return over(stay);
      if (call_.clock().now() >= end) break;
      call_.rest(kLook);
      MULTINET_TRY(holders, findHolders(call_, node_, told_));
    }
    call_.out() << "the wait is over; these still have networks on " << node_ << ":\n";
    printHolders(call_, holders);
    return kRefused;
  }

 private:
  /// Its owner would make it again on the same node.
  static bool isDaemon(const Holder& one) { return one.owner.starts_with("DaemonSet "); }

  Result<int> over(const std::vector<Holder>& stay) {
    if (stay.empty()) {
      call_.out() << "no pod on " << node_ << " has networks; kubectl uncordon " << node_
                  << " lets new ones in\n";
      return kDone;
    }
    call_.out() << "only pods of DaemonSets are left on " << node_
                << ", which would come again; keep them off by a nodeSelector:\n";
    printHolders(call_, stay);
    return kRefused;
  }

  Status cordon() {
    MULTINET_TRY(auto* raw, call_.client());
    MULTINET_TRY(const auto done, raw->patch(kinds::kNodes, {"", node_}, kube::PatchType::Merge,
                                             {{"spec", {{"unschedulable", true}}}},
                                             kube::Subresource::None, kube::Conflicts::Refuse));
    static_cast<void>(done);
    call_.out() << "node " << node_ << " takes no new pods\n";
    return {};
  }

  Status evict(const Holder& one) {
    const auto slash = one.pod.find('/');
    const kube::ObjectKey key{one.pod.substr(0, slash), one.pod.substr(slash + 1)};
    const json body = {{"apiVersion", "policy/v1"},
                       {"kind", "Eviction"},
                       {"metadata", {{"namespace", key.nameSpace}, {"name", key.name}}},
                       {"deleteOptions", {{"preconditions", {{"uid", one.uid}}}}}};
    MULTINET_TRY(auto* raw, call_.client());
    const std::string path = kube::pathOf(kinds::kPods, key, kube::Subresource::None) + "/eviction";
    MULTINET_TRY(const auto answer,
                 raw->transport().call({kube::Method::Post, path, "", body.dump()},
                                       raw->options().deadline));
    if (answer.status < 300) {
      if (told_.insert(one.uid).second)
        call_.out() << "evicting pod " << printable(one.pod) << "\n";
      return {};
    }
    // A disruption budget says not yet; one that is gone needs nothing.
    if (answer.status == 429) {
      if (held_.insert(one.uid).second) {
        call_.out() << "pod " << printable(one.pod) << " waits: "
                    << printable(text(json::parse(answer.body, nullptr, false), "/message"))
                    << "\n";
      }
      return {};
    }
    if (answer.status == 404 || answer.status == 409) return {};
    return fail(kube::errorOf(answer, "evict pod " + one.pod));
  }

  Call& call_;
  const std::string node_;
  Duration timeout_ = std::chrono::minutes(5);
  std::set<std::string> told_;
  std::set<std::string> held_;
};

Result<int> run(Call& call) {
  const std::string node = call.arguments().operands.front();
  MULTINET_TRY(const bool there, call.exists(kinds::kNodes, {"", node}));
  if (!there) return fail(Code::NotFound, "NotFound", "node \"" + node + "\" not found");
  return Drain(call, node).run();
}

}  // namespace

Verb drainVerb() {
  return {.name = "drain",
          .operands = "NODE",
          .least = 1,
          .most = 1,
          .names = Names::Nodes,
          .summary = "End the pods with networks on a node, and only those",
          .text =
              "Cordons the node, evicts its pods that have networks, within their disruption "
              "budgets, and waits until they and their interfaces are gone. Pods without networks "
              "stay. Exit code 1: some are left.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
