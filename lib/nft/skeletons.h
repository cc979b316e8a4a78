// Tables as the kernel's own messages, to put them into many namespaces: libnftables reads and
// checks the text of a table once, in a namespace that is made for that, and what the kernel has
// there is given to it again elsewhere, which costs a tenth.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

#include "lib/nft/model.h"

namespace multinet::nft {

/// Any thread; the first to ask for a table waits for libnftables (some 30 ms).
class Skeletons {
 public:
  /// Messages that put such a table, without elements, in place of whatever has its name. Null
  /// where something in it isn't known here, a namespace can't be made, or there are too many
  /// tables: then it is libnftables' matter. They live as long as this.
  [[nodiscard]] const std::vector<std::uint8_t>* of(const Table& table);
  /// How many tables were read.
  [[nodiscard]] std::size_t size() const;

 private:
  struct Known {
    Table table;                         ///< without elements
    std::vector<std::uint8_t> messages;  ///< none: not to be had
  };
  mutable std::mutex mutex_;
  std::list<Known> known_;
};

/// The messages, as the kernel has the table in the namespace of the calling thread, where there is
/// no other; nullopt where something in it isn't known. `table` says on which devices its chains
/// are.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> dumpSkeleton(const Table& table);

}  // namespace multinet::nft
