// Elements of sets as the kernel's messages, without libnftables, which lists a table's chains and
// counters before each transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "lib/nft/model.h"

namespace multinet::nft {

/// The key of an element as the kernel compares it: parts of a concatenation are padded to four
/// bytes. nullopt: of a type or in words that this doesn't know. Pure.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> keyOf(const std::string& type,
                                                             const std::string& element);

/// Bound to the network namespace of the thread that opened it. Not thread-safe.
class ElementWriter {
 public:
  [[nodiscard]] static Result<ElementWriter> open();
  /// Whether write() knows these sets' types and elements, and they are few enough for one message.
  [[nodiscard]] static bool canWrite(const Table& table, const Elements& gone,
                                     const Elements& added);
  /// These elements of `table`'s sets less and more, as one transaction; none of them where one is
  /// refused (one to be removed isn't there). Internal/NftablesRefused with the kernel's word,
  /// Unavailable where it doesn't answer.
  [[nodiscard]] Status write(const Table& table, const Elements& gone, const Elements& added);

 private:
  explicit ElementWriter(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Status verdict(std::uint32_t first, std::uint32_t last) const;
  Fd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace multinet::nft
