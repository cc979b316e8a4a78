// The devices that links of pods stand on, as an attach needs to know them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "lib/netlink/link.h"
#include "nodeagent/drivers/network.h"

namespace multinet::agent::attach {

/// Looks at a parent as a whole once, and then only at what may change of it: whether it is there,
/// up, and its MTU. A whole look is a tenth of an attach, and waits for the RTNL lock. Lives on one
/// thread.
class Parents {
 public:
  /// `socket` is of that place. nullopt where it has no device of that name.
  [[nodiscard]] Result<std::optional<netlink::LinkInfo>> find(netlink::Socket& socket,
                                                              drivers::Place place,
                                                              const std::string& name);
  /// After an attach that failed: somebody may have put the device into a bridge, which only a
  /// whole look can tell. True where there was none since the last time.
  [[nodiscard]] bool forget();

 private:
  using Key = std::pair<drivers::Place, std::string>;
  std::map<Key, netlink::LinkInfo> known_;
  bool relied_ = false;  ///< on what was known
};

}  // namespace multinet::agent::attach
