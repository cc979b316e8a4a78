// What the verbs that list objects have in common: names, labels, formats, watching.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "cli/call.h"

namespace multinet::cli {

struct Listing {
  kube::Kind kind;
  std::string noun;  // `podnetwork`, for messages
  std::function<Table(const nlohmann::json& items, WallTime now)> table;
  /// What operands name of an object.
  std::function<std::string(const nlohmann::json& item)> name;
  kube::Selection selection;
  /// Objects to be left out; empty: none is.
  std::function<bool(const nlohmann::json& item)> keep;
};

/// Lists, filters by the operands, prints by -o, goes on with -w. NotFound names an operand that
/// names nothing, with the nearest that does.
[[nodiscard]] Result<int> runListing(Call& call, const Listing& listing);

/// By -o; one object alone as itself, several as a List. `table` for people.
[[nodiscard]] Status printItems(Call& call, const kube::Kind& kind, const nlohmann::json& items,
                                const Table& table);

/// The cluster's networks, or that of --network alone. NotFound where there is none of that name.
[[nodiscard]] Result<nlohmann::json> listNetworks(Call& call);

/// UIDs (`uid`) or names of what a selector selects; see kSelector.
[[nodiscard]] Result<std::set<std::string>> selected(Call& call, const kube::Kind& kind,
                                                     const std::string& nameSpace,
                                                     const std::string& pointer);

}  // namespace multinet::cli
