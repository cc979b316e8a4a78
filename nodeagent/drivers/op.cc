#include "nodeagent/drivers/op.h"

#include "nodeagent/drivers/hash_name.h"

namespace multinet::agent::drivers {
namespace {

constexpr std::string_view kPrefix = "multinet:";

/// Of each step: one that is forgotten here doesn't compile.
struct StageOf {
  Stage operator()(const DeletePodLink&) const { return Stage::Clear; }
  Stage operator()(const DeleteStray&) const { return Stage::Host; }
  Stage operator()(const DeleteHostLink&) const { return Stage::Host; }
  Stage operator()(const SetHostBridge&) const { return Stage::Host; }
  Stage operator()(const SetHostUp&) const { return Stage::Host; }
  Stage operator()(const SetHostMtu&) const { return Stage::Host; }
  Stage operator()(const MarkHostLink&) const { return Stage::Host; }
  Stage operator()(const CreateLink&) const { return Stage::Host; }
  Stage operator()(const WriteSysctl& step) const {
    return step.family == "ipv4" ? Stage::Configure : Stage::Sysctl;
  }
  Stage operator()(const BringDown&) const { return Stage::Configure; }
  Stage operator()(const FinishLink&) const { return Stage::Configure; }
  Stage operator()(const SetMac&) const { return Stage::Configure; }
  Stage operator()(const SetMode&) const { return Stage::Configure; }
  Stage operator()(const LetSpeak&) const { return Stage::Configure; }
  Stage operator()(const AddAddress&) const { return Stage::Configure; }
  Stage operator()(const BringUp&) const { return Stage::Configure; }
  Stage operator()(const AddRoute&) const { return Stage::Configure; }
  Stage operator()(const RemoveRoute&) const { return Stage::Configure; }
  Stage operator()(const AddRule&) const { return Stage::Configure; }
};

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
  std::string operator()(const SetHostMtu& step) const {
    return "set MTU of " + step.name + " to " + std::to_string(step.mtu);
  }
  std::string operator()(const MarkHostLink& step) const { return "mark " + step.name; }
  std::string operator()(const CreateLink& step) const {
    return std::string("make link on ") + (step.hostEnd.empty() ? "" : "bridge ") + step.parent;
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
  std::string operator()(const SetMode& step) const {
    return "set mode " + std::to_string(step.mode) + " of its " + step.kind;
  }
  std::string operator()(const LetSpeak& /*step*/) const { return "let it speak ARP again"; }
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
  return std::visit(StageOf{}, op.action);
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
