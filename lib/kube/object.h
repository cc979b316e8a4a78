// Which kind and which object, as values: what calls that know no types are told.
#pragma once

#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "lib/k8s/kind.h"

namespace multinet::kube {

using Json = nlohmann::json;
using k8s::HasKind;
using k8s::Kind;
using k8s::KindTraits;
using k8s::ObjectKey;
using k8s::Scope;

template <HasKind T>
[[nodiscard]] constexpr Kind kindOf() {
  return KindTraits<T>::kKind;
}

}  // namespace multinet::kube
