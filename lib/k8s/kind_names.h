// Gives a specialisation of KindTraits its Kind by inheritance.
#pragma once

#include "lib/k8s/kind.h"

namespace multinet::k8s {

/// `template <> struct KindTraits<Pod> : KindNames<kPodKind> { decode, encode };`
template <const Kind& K>
struct KindNames {
  static constexpr const Kind& kKind = K;
};

}  // namespace multinet::k8s
