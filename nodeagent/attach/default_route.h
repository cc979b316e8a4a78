// Takes the default route over from the pod's first interface without cutting off what must stay
// there: docs/decisions/0020-default-route.md has the reasons.
#pragma once

#include <vector>

#include "nodeagent/attach/plan.h"

namespace multinet::agent::attach {

/// Routing table and rule priorities for packets of the pod's first address. Priorities lie before
/// the kernel's own (32766 main), after local (0).
inline constexpr std::uint32_t kClusterTable = 5398;
inline constexpr std::uint32_t kMainRulePriority = 5398;
inline constexpr std::uint32_t kClusterRulePriority = 5399;
/// The old default route stays as second choice with this much added to its metric.
inline constexpr std::uint32_t kBackupMetric = 20000;

/// Steps for the families that `interface` takes over. `linkIndex` is the interface's index where
/// it is there already, else 0.
[[nodiscard]] std::vector<drivers::Op> planDefaultRoutes(const Observed& observed,
                                                         const InterfacePlan& interface,
                                                         int linkIndex);

}  // namespace multinet::agent::attach
