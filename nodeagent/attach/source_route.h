// Answers leave by the interface that was asked: docs/decisions/0028-interfaces-on-the-wire.md.
#pragma once

#include <cstddef>
#include <vector>

#include "nodeagent/attach/plan.h"

namespace multinet::agent::attach {

/// The first interface's table is 5400, the second's 5401 and so on: by its place in the plan,
/// which stands in the journal. Above kClusterTable (5398) and its rules (5398, 5399).
inline constexpr std::uint32_t kSourceTableBase = 5400;
inline constexpr std::uint32_t kSourceRulePriority = 5400;

/// For each family in which the interface has a gateway: a table with its subnets, its routes and
/// a default route by the gateway, and a rule for each of its addresses that names the table.
/// `linkIndex` is the interface's index where it is there already, else 0.
[[nodiscard]] std::vector<drivers::Op> planSourceRoutes(const Observed& observed,
                                                        const InterfacePlan& interface,
                                                        int linkIndex, std::size_t position);

}  // namespace multinet::agent::attach
