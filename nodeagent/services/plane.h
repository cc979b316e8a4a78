// The kernel's side of services: programs that translate, and the maps that they read. A door, so
// that all above it can be tested without a kernel.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "nodeagent/services/members.h"
#include "nodeagent/services/service_table.h"

namespace multinet::agent::services {

/// One thread, but for what the maps do.
class Plane {
 public:
  virtual ~Plane() = default;
  /// Whether an earlier agent left something.
  [[nodiscard]] virtual bool isThere() const = 0;
  /// Has programs and maps, and the programs attached. May be called again and again: what is as it
  /// shall be stays untouched. The error says why services can't be translated on this node.
  [[nodiscard]] virtual Status ensure() = 0;

  // After ensure() has succeeded once; what is referred to stays so, whatever is called:
  [[nodiscard]] virtual ServiceTable::Maps maps() = 0;
  [[nodiscard]] virtual bpf::Table& members() = 0;

  /// Cookies of the network namespaces of this node that live.
  [[nodiscard]] virtual Result<std::set<std::uint64_t>> namespaces() = 0;
  /// Has the maps of maps() twice as large, with all that is in them. Nobody who connects meanwhile
  /// finds less. After a failure they are as they were: ResourceExhausted/MapFull where they are as
  /// large as they may be, else as ensure().
  [[nodiscard]] virtual Status grow() = 0;
  /// Ends the sockets that were connected to these endpoints by way of their service, in the
  /// namespaces that are on its network; how many.
  [[nodiscard]] virtual Result<unsigned> end(const std::vector<Ended>& ended,
                                             const Members& members) = 0;
};

}  // namespace multinet::agent::services
