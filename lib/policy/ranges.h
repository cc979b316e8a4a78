// Addresses as ranges. Pure.
#pragma once

#include <string>
#include <vector>

#include "lib/api/pod_network_policy.h"
#include "lib/base/ip.h"

namespace multinet::policy {

/// Both ends too; of one family.
struct AddressRange {
  IpAddress first;
  IpAddress last;
  auto operator<=>(const AddressRange&) const = default;
};
using Ranges = std::vector<AddressRange>;

/// `address` is neither the last nor, for previous(), the first of its family.
[[nodiscard]] IpAddress next(const IpAddress& address);
[[nodiscard]] IpAddress previous(const IpAddress& address);
[[nodiscard]] IpAddress lastOf(IpFamily family);

/// As nft lists it: one address, a prefix where it is one, or both ends.
[[nodiscard]] std::string textOf(const AddressRange& range);
/// In order, disjoint, none touching the next.
[[nodiscard]] Ranges joined(Ranges ranges);
/// What is in both, which are in order and disjoint.
[[nodiscard]] Ranges common(const Ranges& one, const Ranges& other);
/// The block without what it excepts. None where any of it can't be read.
[[nodiscard]] Ranges rangesOf(const api::PolicyIpBlock& block);
/// Of ranges in order, disjoint.
[[nodiscard]] bool contains(const Ranges& ranges, const IpAddress& address);

}  // namespace multinet::policy
