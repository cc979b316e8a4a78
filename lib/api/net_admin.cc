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

/// Networks by whether they refuse: `"wire" (Macvlan), "lan" (IPVlan)`, or nothing.
struct HeldInPod {
  std::string warning;
  std::string refusing;
};

HeldInPod heldInPod(const std::vector<ResolvedInterface>& interfaces, const Catalog& catalog) {
  HeldInPod held;
  for (const ResolvedInterface& one : interfaces) {
    const auto network = catalog.network(one.network.str());
    if (!network || !isHeldInPod(network->spec)) continue;
    std::string& names = network->spec.allow.allowsNetAdmin() ? held.warning : held.refusing;
    names += (names.empty() ? "\"" : ", \"") + one.network.str() + "\" (" +
             std::string(name(network->spec.type)) + ")";
  }
  return held;
}

/// Of a container that mayChangeNetwork(), without what follows from that.
Violation startOf(const k8s::Container& container, const std::string& path) {
  const k8s::SecurityContext& context = *container.securityContext;
  const std::string field = path + ".securityContext.";
  const auto& add = context.capabilities.add;
  const auto found = std::ranges::find_if(add, isNetAdmin);
  return {.path = field + (context.privileged ? "privileged" : "capabilities.add"),
          .value = context.privileged ? "true" : *found,
          .detail = {},
          .remedy = "leave it out, or use a network of type VXLAN, Bridge or VLAN",
          .reason = "PodMayChangeRules"};
}

Violation warningOf(const k8s::Container& container, const std::string& path,
                    const std::string& networks) {
  Violation warning = startOf(container, path);
  warning.detail = "lets container \"" + *container.name +
                   "\" undo what policies and port security hold this pod to on " + networks +
                   ": there their rules stand inside the pod";
  warning.code = Code::Ok;
  return warning;
}

Violation refusalOf(const k8s::Container& container, const std::string& path,
                    const std::string& networks) {
  Violation refusal = startOf(container, path);
  refusal.detail = "of container \"" + *container.name + "\" isn't allowed on " + networks +
                   ", by spec.allow.netAdmin: there it could undo what policies and port security "
                   "hold this pod to";
  return refusal;
}

}  // namespace

bool mayChangeNetwork(const k8s::Container& container) {
  const k8s::SecurityContext& context = *container.securityContext;
  return context.privileged || std::ranges::any_of(context.capabilities.add, isNetAdmin);
}

std::optional<std::string> whoMayChangeNetwork(const k8s::PodSpec& spec) {
  for (const auto* list : {&*spec.initContainers, &spec.containers, &*spec.ephemeralContainers}) {
    const auto found = std::ranges::find_if(*list, mayChangeNetwork);
    if (found != list->end()) return *found->name;
  }
  return std::nullopt;
}

Report checkNetAdmin(const k8s::PodSpec& spec, NewContainers which,
                     const std::vector<ResolvedInterface>& interfaces, const Catalog& catalog) {
  Report report;
  std::optional<HeldInPod> held;
  const auto look = [&](const char* list, const std::vector<k8s::Container>& containers,
                        std::size_t from) {
    for (std::size_t i = from; i < containers.size(); ++i) {
      if (!mayChangeNetwork(containers[i])) continue;
      if (!held) held = heldInPod(interfaces, catalog);
      const std::string path = std::string("spec.") + list + "[" + std::to_string(i) + "]";
      if (!held->refusing.empty()) {
        report.violations.push_back(refusalOf(containers[i], path, held->refusing));
      }
      if (!held->warning.empty()) {
        report.warnings.push_back(warningOf(containers[i], path, held->warning));
      }
    }
  };
  if (which.all) {
    look("initContainers", *spec.initContainers, 0);
    look("containers", spec.containers, 0);
  }
  look("ephemeralContainers", *spec.ephemeralContainers, which.ephemeralFrom);
  return report;
}

}  // namespace multinet::api
