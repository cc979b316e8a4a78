// The number that the kernel gives each state of a namespace's rules: one more with each
// transaction, whoever's it is (net/netfilter/nf_tables_api.c, nf_tables_commit).
#pragma once

#include <cstdint>

#include "lib/base/fd.h"
#include "lib/base/result.h"

namespace multinet::nft {

/// Bound to the network namespace of the thread that opened it. Not thread-safe.
class Generation {
 public:
  [[nodiscard]] static Result<Generation> open();
  /// One request, no listing. Unavailable where the kernel doesn't answer in time or has no
  /// nftables.
  [[nodiscard]] Result<std::uint32_t> read();

 private:
  explicit Generation(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace multinet::nft
