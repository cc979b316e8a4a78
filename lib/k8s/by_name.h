// Sets of objects that are found by namespace and name, as a map would be, without a second copy of
// either beside each object.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <unordered_set>

#include "lib/k8s/kind.h"

namespace multinet::k8s {

/// Valid as long as what it was taken of.
struct NameView {
  std::string_view nameSpace;  ///< empty for objects of the cluster
  std::string_view name;
  auto operator<=>(const NameView&) const = default;
};

/// Of an object (by its metadata), of what points to one, of a record with a `key`, and of an
/// ObjectKey.
template <class T>
[[nodiscard]] NameView nameOf(const T& what) {
  if constexpr (requires { what.metadata; }) {
    return nameOf(what.metadata);
  } else if constexpr (requires { what.key; }) {
    return nameOf(what.key);
  } else if constexpr (requires { *what; }) {
    return nameOf(*what);
  } else {
    return {what.nameSpace, what.name};
  }
}

struct NameHash {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard's name
  template <class T>
  [[nodiscard]] std::size_t operator()(const T& what) const {
    const NameView view = nameOf(what);
    const std::hash<std::string_view> hash;
    return hash(view.nameSpace) * 31U + hash(view.name);
  }
};
struct SameName {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard's name
  template <class A, class B>
  [[nodiscard]] bool operator()(const A& a, const B& b) const {
    return nameOf(a) == nameOf(b);
  }
};

/// One of each name; `find` takes an ObjectKey, or anything else that nameOf() takes. The names of
/// what is in it must not change.
template <class T>
using SetByName = std::unordered_set<T, NameHash, SameName>;

}  // namespace multinet::k8s
