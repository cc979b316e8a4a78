// What the caller may do, asked before something is begun that shouldn't stop in its middle.
#pragma once

#include <string>
#include <vector>

#include "cli/call.h"

namespace multinet::cli {

/// In all namespaces.
struct Right {
  std::string verb;  // delete
  kube::Kind kind;
  std::string subresource{};
};

/// PermissionDenied, which names every one that the caller lacks, by SelfSubjectAccessReviews.
/// `what`: "uninstall".
[[nodiscard]] Status checkRights(Call& call, const std::string& what,
                                 const std::vector<Right>& rights);

}  // namespace multinet::cli
