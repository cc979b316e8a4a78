// Tables as the kernel's own messages, to put them into many namespaces: libnftables reads and
// checks the text of a table once, in a namespace that is made for that, and what the kernel has
// there is given to it again elsewhere, which costs a tenth.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/nft/model.h"

namespace multinet::nft {

/// The messages of a table in a namespace of its own. Internal where the kernel refuses the table
/// or something in it isn't known: so it is each time. Else what is missing at the moment.
[[nodiscard]] Result<std::vector<std::uint8_t>> readSkeleton(const Table& table);

/// Any thread; the first to ask for a table waits for libnftables (some 30 ms).
class Skeletons {
 public:
  using Read = std::function<Result<std::vector<std::uint8_t>>(const Table&)>;
  /// `read`: as readSkeleton() does it; the table is without elements.
  explicit Skeletons(Read read = readSkeleton) : read_(std::move(read)) {}
  /// Messages that put such a table, without elements, in place of whatever has its name. Null
  /// where something in it isn't known here, a namespace can't be made, or there are too many
  /// tables: then it is libnftables' matter. They live as long as this.
  [[nodiscard]] const std::vector<std::uint8_t>* of(const Table& table);
  /// How many tables are kept, at most 64 of some KiB.
  [[nodiscard]] std::size_t size() const;

 private:
  struct Known {
    Table table;                         ///< without elements
    std::vector<std::uint8_t> messages;  ///< none: not to be had
  };
  const Read read_;
  mutable std::mutex mutex_;
  std::list<Known> known_;
};

}  // namespace multinet::nft
