// Keeps the rules around tunnels in the kernel.
#pragma once

#include <optional>

#include "lib/nft/table_keeper.h"
#include "nodeagent/networks/guard.h"

namespace multinet::agent::networks {

/// Lives on the room's thread, in the node's namespace.
class GuardKeeper {
 public:
  [[nodiscard]] static Result<GuardKeeper> open(Duration compareEvery);

  /// Puts the rules for what is served and for what the host has into the kernel.
  void keep(const std::vector<DesiredNetwork>& served, const Host& host,
            const std::string& defaultUnderlay, BootTime now);
  /// Why the last keep() failed: until one succeeds no tunnel is made.
  [[nodiscard]] const std::optional<Error>& refused() const { return refused_; }
  [[nodiscard]] std::uint64_t commits() const { return keeper_.commits(); }

 private:
  explicit GuardKeeper(nft::TableKeeper keeper) : keeper_(std::move(keeper)) {}
  [[nodiscard]] Status put(const nft::Table& table, BootTime now);
  nft::TableKeeper keeper_;
  std::optional<Error> refused_;
};

}  // namespace multinet::agent::networks
