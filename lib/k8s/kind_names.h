// The parts of a Kind by name, for a specialisation of KindTraits to inherit.
#pragma once

#include "lib/k8s/kind.h"

namespace multinet::k8s {

/// `template <> struct KindTraits<Pod> : KindNames<kPodKind> { decode, encode };`
template <const Kind& K>
struct KindNames {
  static constexpr const Kind& kKind = K;
  static constexpr std::string_view group = K.group;
  static constexpr std::string_view version = K.version;
  static constexpr std::string_view plural = K.plural;
  static constexpr std::string_view kind = K.kind;
  static constexpr bool namespaced = K.scope == Scope::Namespaced;
};

}  // namespace multinet::k8s
