// libnftables in this process: no `nft` is executed. One command text is one transaction.
#pragma once

#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/nft/model.h"

struct nft_ctx;

namespace multinet::nft {

/// Bound to the network namespace of the thread that opened it. Not thread-safe.
class Committer {
 public:
  [[nodiscard]] static Result<Committer> open();

  /// All of the commands, or none. The error holds what libnftables said.
  [[nodiscard]] Status commit(const std::string& commands);
  /// Whether the kernel's table is `table`, elements and all. Lists the whole table: for the start
  /// and for slow comparisons, never on a hot path (a list costs O(elements)).
  [[nodiscard]] Result<bool> matches(const Table& table);
  /// Whether there is a table of that name, whatever is in it.
  [[nodiscard]] Result<bool> exists(const std::string& table);
  /// Transactions committed so far.
  [[nodiscard]] std::uint64_t commits() const { return commits_; }

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  explicit Committer(std::unique_ptr<nft_ctx, Free> context) : context_(std::move(context)) {}
  /// Empty where there is no such table.
  [[nodiscard]] Result<std::string> list(const std::string& table);
  std::unique_ptr<nft_ctx, Free> context_;
  std::uint64_t commits_ = 0;
};

/// Reads what `list table` prints as JSON and compares. Pure. DataLoss where it can't be read.
[[nodiscard]] Result<bool> listingMatches(const std::string& json, const Table& table);

}  // namespace multinet::nft
