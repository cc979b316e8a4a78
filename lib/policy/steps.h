// What an interface may do in one direction, in the order in which it is asked, and how that
// becomes permits, which have none. Of this room only.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/policy/layout.h"
#include "lib/policy/program.h"
#include "lib/policy/tiers.h"

namespace multinet::policy {

/// Somebody, and how he is met.
struct Entry {
  std::string peers;  // key; empty: everybody
  std::optional<api::Protocol> protocol;
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const Entry&) const = default;
};
using Entries = std::set<Entry>;

/// The first one with an entry that fits decides; Pass goes on with the next tier. What none
/// decides is denied.
struct Step {
  Tier tier = Tier::Namespaced;
  api::ClusterPolicyAction action = api::ClusterPolicyAction::Accept;
  Entries entries{};
  bool operator==(const Step&) const = default;
};
using Steps = std::vector<Step>;

/// The key of the peer that is each address there is. Where an order matters it has to be laid out
/// too, so that whoever is in no other class has one: else nothing could be kept from some that
/// everybody may.
inline constexpr const char* kAnyAddress = "a";

/// Whether all of them accept, so that their order says nothing. They are one step then.
[[nodiscard]] bool isUnion(const Steps& steps);

/// The permits of a subject whose steps aren't a union. What all classes may everybody may, so that
/// each class holds what it may besides.
[[nodiscard]] std::set<Permit> orderedPermits(Number subject, const Steps& steps,
                                              const Layout& layout);

}  // namespace multinet::policy
