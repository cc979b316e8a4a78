#include "nodeagent/drivers/op.h"

#include "nodeagent/drivers/hash_name.h"

namespace multinet::agent::drivers {
namespace {

constexpr std::string_view kPrefix = "multinet:";

template <class... Steps>
bool isAny(const Action& action) {
  return (std::holds_alternative<Steps>(action) || ...);
}

std::string textOf(const netlink::RouteInfo& route) {
  std::string text = route.to.str();
  if (route.via) text += " via " + route.via->str();
  if (route.table != netlink::kMainTable) text += " in table " + std::to_string(route.table);
  return text;
}

/// A sentence for each step.
struct Describe {
  std::string operator()(const DeletePodLink& step) const { return "remove link " + step.name; }
  std::string operator()(const DeleteStray& step) const {
    return "remove link " + step.name + " from the node";
  }
  std::string operator()(const DeleteHostLink& step) const { return "remove link " + step.name; }
  std::string operator()(const SetHostBridge& step) const {
    return "put " + step.name + " into bridge " + step.bridge;
  }
  std::string operator()(const SetHostUp& step) const { return "set " + step.name + " up"; }
  std::string operator()(const MarkHostLink& step) const { return "mark " + step.name; }
  std::string operator()(const CreateVeth& step) const {
    return "make link on bridge " + step.spec.bridge;
  }
  std::string operator()(const CreateMacvlan& step) const {
    return "make link on " + step.spec.parent;
  }
  std::string operator()(const WriteSysctl& step) const {
    return "set " + step.family + " " + step.key + " to " + step.value;
  }
  std::string operator()(const BringDown& /*step*/) const { return "set down to rename it"; }
  std::string operator()(const FinishLink& step) const {
    return (step.name.empty() ? "" : "name " + step.name + ", ") + "mark, MTU " +
           std::to_string(step.mtu);
  }
  std::string operator()(const SetMac& step) const { return "set MAC " + step.mac.str(); }
  std::string operator()(const AddAddress& step) const {
    return "add address " + step.address.str();
  }
  std::string operator()(const BringUp& /*step*/) const { return "set up"; }
  std::string operator()(const AddRoute& step) const { return "add route " + textOf(step.route); }
  std::string operator()(const RemoveRoute& step) const {
    return "remove route " + textOf(step.route);
  }
  std::string operator()(const AddRule& step) const {
    return "add rule from " + step.rule.from.str() + " to table " + std::to_string(step.rule.table);
  }
};

}  // namespace

Stage stageOf(const Op& op) {
  if (isAny<DeletePodLink>(op.action)) return Stage::Clear;
  if (isAny<DeleteStray, DeleteHostLink, SetHostBridge, SetHostUp, MarkHostLink, CreateVeth,
            CreateMacvlan>(op.action)) {
    return Stage::Host;
  }
  return isAny<WriteSysctl>(op.action) ? Stage::Sysctl : Stage::Configure;
}

std::string describe(const Op& op) {
  return std::visit(Describe{}, op.action);
}

std::string aliasOf(const IntentId& intent, std::string_view interface) {
  return std::string(kPrefix) + intent.str() + ":" + std::string(interface);
}

std::optional<AliasParts> parseAlias(std::string_view alias) {
  if (!alias.starts_with(kPrefix)) return std::nullopt;
  alias.remove_prefix(kPrefix.size());
  // The interface's name has no colon; what an intent is made of is its maker's affair.
  const std::size_t colon = alias.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == alias.size()) {
    return std::nullopt;
  }
  return AliasParts{IntentId(std::string(alias.substr(0, colon))),
                    std::string(alias.substr(colon + 1))};
}

std::string hostLinkName(const IntentId& intent, std::string_view interface, unsigned salt) {
  return hashName("mnv", aliasOf(intent, interface) + "#" + std::to_string(salt));
}

}  // namespace multinet::agent::drivers
