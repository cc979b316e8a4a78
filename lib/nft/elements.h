// Elements of sets as the kernel's messages, without libnftables, which lists a table's chains and
// counters before each transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/nft/batch.h"
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
/// What the elements of a set are made of, found out once for all of them.
class ElementFormat {
 public:
  enum class Part : std::uint8_t;

  explicit ElementFormat(const Set& set);

  /// nullopt: of a type or in words that this doesn't know, and of a set whose intervals aren't
  /// within a concatenation, which the kernel has as two elements each. Pure.
  [[nodiscard]] std::optional<ElementBytes> bytesOf(std::string_view element) const;

 private:
  bool hasIntervals_;
  std::optional<Part> value_;  ///< of a map
  std::vector<Part> parts_;
};

/// What putElements() is about.
struct ElementsOf {
  unsigned type;  ///< NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM
  const Table& table;
  const Set& set;
};
/// False where ElementFormat doesn't know one of them: the batch is of no use then.
[[nodiscard]] bool putElements(ElementsOf what, const std::set<std::string>& elements,
                               Batch& batch);
/// Whether changeOf() knows these sets' types and elements, and they are few enough for one
/// message, and at least one. Pure.
[[nodiscard]] bool canWrite(const Tables& tables, const Elements& gone, const Elements& added);
/// These elements of the tables' sets less and more, of which canWrite() is true. Pure.
[[nodiscard]] Batch changeOf(const Tables& tables, const Elements& gone, const Elements& added);

}  // namespace multinet::nft
