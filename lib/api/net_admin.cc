#include "lib/api/net_admin.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "lib/api/policy.h"

namespace multinet::api {
namespace {

/// Runtimes take any case, and some of them the prefix.
bool isNetAdmin(std::string_view capability) {
  std::string upper;
  for (const char letter : capability) {
    const bool isSmall = letter >= 'a' && letter <= 'z';
    upper += isSmall ? static_cast<char>(letter - 'a' + 'A') : letter;
  }
  std::string_view name = upper;
  constexpr std::string_view kPrefix = "CAP_";
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  return name == "NET_ADMIN" || name == "ALL";
}

/// `"wire" (Macvlan), "lan" (IPVlan)`; empty: all is held out of the pod's reach.
std::string heldInPod(const std::vector<ResolvedInterface>& interfaces, const Catalog& catalog) {
  std::string names;
  for (const ResolvedInterface& one : interfaces) {
    const auto network = catalog.network(one.network.str());
    if (!network || !isHeldInPod(network->spec)) continue;
    names += (names.empty() ? "\"" : ", \"") + one.network.str() + "\" (" +
             std::string(name(network->spec.type)) + ")";
  }
  return names;
}

/// Of a container that mayChangeNetwork().
Violation warningOf(const k8s::Container& container, const std::string& path,
                    const std::string& networks) {
  const k8s::SecurityContext& context = *container.securityContext;
  const std::string field = path + ".securityContext.";
  const auto& add = context.capabilities.add;
  const auto found = std::ranges::find_if(add, isNetAdmin);
  return {.path = field + (context.privileged ? "privileged" : "capabilities.add"),
          .value = context.privileged ? "true" : *found,
          .detail = "lets container \"" + *container.name +
                    "\" undo what policies and port security hold this pod to on " + networks +
                    ": there their rules stand inside the pod",
          .remedy = "leave it out, or use a network of type VXLAN, Bridge or VLAN",
          .reason = "PodMayChangeRules",
          .code = Code::Ok};
}

}  // namespace

bool mayChangeNetwork(const k8s::Container& container) {
  const k8s::SecurityContext& context = *container.securityContext;
  return context.privileged || std::ranges::any_of(context.capabilities.add, isNetAdmin);
}

Violations warnOfNetAdmin(const k8s::PodSpec& spec, NewContainers which,
                          const std::vector<ResolvedInterface>& interfaces,
                          const Catalog& catalog) {
  Violations warnings;
  std::string networks;
  const auto look = [&](const char* list, const std::vector<k8s::Container>& containers,
                        std::size_t from) {
    for (std::size_t i = from; i < containers.size(); ++i) {
      if (!mayChangeNetwork(containers[i])) continue;
      if (networks.empty()) networks = heldInPod(interfaces, catalog);
      if (networks.empty()) return;
      const std::string path = std::string("spec.") + list + "[" + std::to_string(i) + "]";
      warnings.push_back(warningOf(containers[i], path, networks));
    }
  };
  if (which.all) {
    look("initContainers", *spec.initContainers, 0);
    look("containers", spec.containers, 0);
  }
  look("ephemeralContainers", *spec.ephemeralContainers, which.ephemeralFrom);
  return warnings;
}

}  // namespace multinet::api
