// Who has which addresses. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.h"
#include "lib/base/clock.h"
#include "lib/base/ip.h"

namespace multinet::cli {

struct Addresses {
  nlohmann::json networks;
  nlohmann::json blocks;
  nlohmann::json sets;
};

/// A row a subnet: its size, what nodes lease of it, what pods hold.
[[nodiscard]] Table subnetsTable(const Addresses& all);
/// A row a block.
[[nodiscard]] Table blocksTable(const Addresses& all, WallTime now);
/// A row an address that a pod holds.
[[nodiscard]] Table holdersTable(const Addresses& all, WallTime now);
/// In sentences: which networks an address is in, who leases its block, who holds it.
[[nodiscard]] std::string describeAddress(const Addresses& all, const IpAddress& address);

}  // namespace multinet::cli
