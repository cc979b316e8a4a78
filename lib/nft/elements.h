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

/// An element as the kernel compares it: parts of a concatenation are padded to four bytes.
struct ElementBytes {
  using Bytes = std::vector<std::uint8_t>;
  Bytes key;
  Bytes keyEnd{};  ///< of a set with intervals: the last key; else empty
  Bytes value{};   ///< of a map: what it gives; else empty
  bool operator==(const ElementBytes&) const = default;
};
/// nullopt: of a type or in words that this doesn't know. Neither of a set with intervals that has
/// numbers of the machine's order (marks), nor of one whose intervals aren't within a
/// concatenation, which the kernel has as two elements each. Pure.
[[nodiscard]] std::optional<ElementBytes> bytesOf(const Set& set, const std::string& element);

/// Bound to the network namespace of the thread that opened it. Not thread-safe.
class ElementWriter {
 public:
  [[nodiscard]] static Result<ElementWriter> open();
  /// Whether write() knows these sets' types and elements, and they are few enough for one message.
  [[nodiscard]] static bool canWrite(const Tables& tables, const Elements& gone,
                                     const Elements& added);
  /// These elements of the tables' sets less and more, as one transaction; none of them where one
  /// is refused (one to be removed isn't there). Internal/NftablesRefused with the kernel's word,
  /// Unavailable where it doesn't answer.
  [[nodiscard]] Status write(const Tables& tables, const Elements& gone, const Elements& added);

 private:
  explicit ElementWriter(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Status verdict(std::uint32_t first, std::uint32_t last) const;
  Fd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace multinet::nft
