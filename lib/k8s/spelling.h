// How an API spells the values of our enums.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace multinet::k8s {

/// Specialise for each enum: its values and how the API spells them.
template <class E>
inline constexpr std::array<std::pair<E, std::string_view>, 0> kSpellings{};

/// Specialise for an enum to which a newer server may add words: as what those are read. The value
/// has no spelling, and is never written.
template <class E>
inline constexpr std::optional<E> kUnknownWord{};

/// As the API spells it.
template <class E>
[[nodiscard]] constexpr std::string_view spell(E value) {
  for (const auto& [known, text] : kSpellings<E>) {
    if (known == value) return text;
  }
  return "";
}

/// Nothing where the API has no such word.
template <class E>
[[nodiscard]] constexpr std::optional<E> unspell(std::string_view text) {
  for (const auto& [known, spelling] : kSpellings<E>) {
    if (spelling == text) return known;
  }
  return std::nullopt;
}

}  // namespace multinet::k8s
