#include "nodeagent/drivers/op.h"

#include "nodeagent/drivers/hash_name.h"

namespace multinet::agent::drivers {
namespace {

constexpr std::string_view kPrefix = "multinet:";

}  // namespace

Stage stageOf(const Op& op) {
  if (std::holds_alternative<DeleteHostLink>(op.action) ||
      std::holds_alternative<SetHostBridge>(op.action) ||
      std::holds_alternative<CreateVeth>(op.action) ||
      std::holds_alternative<CreateMacvlan>(op.action)) {
    return Stage::Host;
  }
  return std::holds_alternative<WriteSysctl>(op.action) ? Stage::Sysctl : Stage::Configure;
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
