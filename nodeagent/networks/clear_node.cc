#include "nodeagent/networks/clear_node.h"

#include <utility>

#include "lib/netns/netns.h"
#include "nodeagent/networks/guard_keeper.h"
#include "nodeagent/networks/host.h"
#include "nodeagent/networks/host_plan.h"

namespace multinet::agent::networks {
namespace {

// One finds all links, one more that none is left; a refusal is asked again once.
constexpr int kPasses = 3;

Result<SwitchSide> openSide(Fd netns) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(auto socket, netlink::Socket::open());
  return SwitchSide{std::move(netns), std::move(socket)};
}

/// The first refusal; a link that went with another isn't one.
Status run(const HostPlan& plan, netlink::Socket& node, SwitchSide* inner) {
  Status first;
  for (const HostStep& step : plan.steps) {
    const bool inside = inner != nullptr && step.place == Place::Switch;
    for (const Status& verdict : (inside ? inner->socket : node).runAll(step.requests)) {
      if (first && !verdict && verdict.error().code != Code::NotFound) first = verdict;
    }
  }
  return first;
}

}  // namespace

Result<std::vector<Orphan>> clearNode(std::optional<Fd> switchNetns) {
  MULTINET_TRY(auto node, netlink::Socket::open());
  std::optional<SwitchSide> side;
  if (switchNetns) {
    MULTINET_TRY(side, openSide(std::move(*switchNetns)));
  }
  SwitchSide* inner = side ? &*side : nullptr;
  Status refused;
  for (int pass = 0; pass < kPasses; ++pass) {
    MULTINET_TRY(const Host host, observeHost(node, inner));
    HostPlan plan = planHost({}, host, Guard::Committed, {});
    if (plan.steps.empty()) {
      MULTINET_TRY(auto guard, GuardKeeper::open({}));
      guard.keep({}, host, "", SystemClock().now());
      if (guard.refused()) return fail(*guard.refused());
      return std::move(plan.orphans);
    }
    refused = run(plan, node, inner);
  }
  if (!refused) return fail(refused.error().within("clear the node of its networks"));
  return fail(Code::Unavailable, "NodeNotCleared",
              "clear the node of its networks: somebody makes them again; stop the agent first");
}

}  // namespace multinet::agent::networks
