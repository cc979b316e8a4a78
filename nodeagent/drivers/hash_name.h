// Kernel names made of what they stand for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/encoding.h"

namespace multinet::agent::drivers {

/// `prefix` and twelve letters or digits (60 bits of FNV-1a, mixed). Same seed, same name.
[[nodiscard]] inline std::string hashName(std::string_view prefix, std::string_view seed) {
  std::uint64_t hash = fnv1a(seed);
  // FNV mixes its last bytes badly into the high bits: the finalizer of SplitMix64 does.
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebULL;
  hash ^= hash >> 31U;
  std::string name(prefix);
  for (int i = 0; i < 12; ++i, hash >>= 5U) {
    name.push_back("abcdefghijklmnopqrstuvwxyz234567"[hash & 31U]);
  }
  return name;
}

}  // namespace multinet::agent::drivers
