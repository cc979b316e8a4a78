// The one keeper of our tables in a network namespace: nobody else commits them.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "lib/nft/committer.h"
#include "lib/nft/generation.h"

namespace multinet::nft {

/// Remembers what the kernel has, so that a change commits what differs; of a table whose rules
/// fill sets nothing else is replaced where that can be, so that these stay; adopts what a
/// predecessor left; looks now and then whether somebody else changed it: at the number of the last
/// transaction first, and lists only where that isn't the known one. Bound to the network namespace
/// of the thread that opened it. Not thread-safe.
class TableKeeper {
 public:
  /// `compareEvery`: how long a table is believed to be as committed without a look.
  [[nodiscard]] static Result<TableKeeper> open(Duration compareEvery);

  /// Whether the kernel's table is `table`. Lists it where that isn't known or was long ago, and
  /// takes over one that is as wished.
  [[nodiscard]] Result<bool> isCommitted(const Table& table, BootTime now);
  /// After isCommitted() said no: the elements that differ, or the whole table in one transaction.
  [[nodiscard]] Status commit(const Table& table);
  /// Takes the table away where this keeper or a predecessor of it made it: `like` has its shape.
  [[nodiscard]] Status remove(const Table& like, BootTime now);
  [[nodiscard]] std::uint64_t commits() const { return committer_.commits(); }
  /// How often a table was listed to compare it.
  [[nodiscard]] std::uint64_t listings() const { return listings_; }

 private:
  struct Kept {
    std::optional<Table> committed;  ///< nullopt: what the kernel has isn't known
    BootTime compareAt{};
    /// With which nothing but `committed` was there; nullopt: others wrote meanwhile.
    std::optional<std::uint32_t> generation;
  };
  TableKeeper(Committer committer, Generation generation, Duration compareEvery)
      : committer_(std::move(committer)),
        generation_(std::move(generation)),
        compareEvery_(compareEvery) {}
  /// Nothing where the kernel doesn't say.
  [[nodiscard]] std::optional<std::uint32_t> generation();
  /// Of a table that remembers; nothing where what is there has other parts.
  [[nodiscard]] std::optional<std::string> refill(const Table& table);

  Committer committer_;
  Generation generation_;
  std::uint64_t listings_ = 0;
  Duration compareEvery_;
  std::map<std::string, Kept> tables_;  ///< by name
};

}  // namespace multinet::nft
