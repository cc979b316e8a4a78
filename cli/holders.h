// Pods that hold networks, or are about to.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/call.h"

namespace multinet::cli {

struct Holder {
  std::string pod;  // `default/web-0`
  std::string uid;
  std::string node;   // empty: not placed yet
  std::string owner;  // what makes it again: `ReplicaSet web-5d4f`; empty: nobody
  std::string what;   // its request, or the networks that it has
  bool operator==(const Holder&) const = default;
};

/// By name: pods that ask for networks and haven't ended, and those that a PodInterfaceSet speaks
/// of. A cluster without the kinds has none of the latter. `node`, where not empty: of that node.
/// Pods with a UID of `untilGone` count as long as they are there: a kubelet says that a pod has
/// ended a moment before it deletes it.
[[nodiscard]] Result<std::vector<Holder>> findHolders(Call& call, const std::string& node = {},
                                                      const std::set<std::string>& untilGone = {});
/// At most `most` lines, then a count.
void printHolders(Call& call, const std::vector<Holder>& holders, std::size_t most = 20);

/// A list, or nothing where the server doesn't know the kind.
[[nodiscard]] Result<nlohmann::json> listIfServed(Call& call, const kube::Kind& kind,
                                                  const kube::Selection& selection = {});

}  // namespace multinet::cli
