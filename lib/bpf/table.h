// What a BPF map is to those who fill it: a door, so that the order of writes can be tested without
// a kernel.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/result.h"

namespace multinet::bpf {

using Bytes = std::span<const std::byte>;

/// The bytes of a plain struct, as keys and values of maps are.
template <class T>
[[nodiscard]] Bytes bytesOf(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

class Table {
 public:
  virtual ~Table() = default;
  /// Adds or replaces: readers find the old value or the new one, never a mixture.
  /// ResourceExhausted/MapFull where there is no room.
  [[nodiscard]] virtual Status put(Bytes key, Bytes value) = 0;
  /// Nothing there is success.
  [[nodiscard]] virtual Status erase(Bytes key) = 0;
  /// The value; nothing where the key isn't there.
  [[nodiscard]] virtual Result<std::optional<std::vector<std::byte>>> find(Bytes key) const = 0;
  /// All that is there, while nobody else writes.
  [[nodiscard]] virtual Status each(
      const std::function<void(Bytes key, Bytes value)>& entry) const = 0;
};

}  // namespace multinet::bpf
