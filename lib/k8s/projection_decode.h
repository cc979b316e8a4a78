// How projections are read; for the one unit that has the kinds' descriptions.
#pragma once

#include "lib/k8s/describe.h"
#include "lib/k8s/projection.h"

namespace multinet::k8s {

/// For a kind that reads its own way, and begins with this one.
template <class T, const Fields& F>
Result<Projection<T, F>> decodeProjection(const simdjson::dom::element& object) {
  Projection<T, F> made;
  auto whole = decodeObject<T>(object, &F);
  if (whole.has_value()) {
    static_cast<T&>(made) = std::move(*whole);
  } else if (whole.error().reason == "WrongKind") {
    return fail(whole.error());
  } else {
    made.undecodable = whole.error().message;
    simdjson::dom::element metadata;
    if (object["metadata"].get(metadata) == simdjson::SUCCESS) {
      auto read = k8s::decode<ObjectMeta>(metadata, F.find("metadata"));
      if (read.has_value()) made.metadata = std::move(*read);
    }
  }
  if (made.metadata.name.empty() || made.metadata.uid.empty()) {
    return fail(Code::InvalidArgument, "Incomplete",
                "read " + std::string(KindTraits<T>::kKind.kind) + " \"" + made.metadata.name +
                    "\": metadata.name and metadata.uid are required");
  }
  return made;
}

template <class T, const Fields& F>
Result<Projection<T, F>> KindTraits<Projection<T, F>>::decode(
    const simdjson::dom::element& object) {
  return decodeProjection<T, F>(object);
}

}  // namespace multinet::k8s
