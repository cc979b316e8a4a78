// Which nodes are named by something and don't exist, and since when this process has seen that.
#pragma once

#include <optional>
#include <unordered_map>

#include "lib/base/clock.h"
#include "lib/base/ids.h"

namespace multinet::controller {

/// A node that something names and that doesn't exist.
struct GoneNode {
  BootTime since;             ///< when this process first saw it missing; a new leader counts anew
  bool outOfService = false;  ///< it carried the taint when last seen
};

/// One thread.
class Absences {
 public:
  /// It is missing, and something names it. What is known already stays.
  void missing(const NodeName& node, GoneNode gone) { gone_.emplace(node, gone); }
  /// It is there, or nothing names it any more.
  void forget(const NodeName& node) { gone_.erase(node); }
  [[nodiscard]] std::optional<GoneNode> find(const NodeName& node) const {
    const auto found = gone_.find(node);
    return found == gone_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::unordered_map<NodeName, GoneNode> gone_;
};

}  // namespace multinet::controller
