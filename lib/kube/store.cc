#include "lib/kube/store.h"

#include <charconv>

namespace multinet::kube {

std::uint64_t revisionOf(std::string_view text) {
  std::uint64_t revision = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  return error == std::errc() && end == text.data() + text.size() ? revision : 0;
}

Result<Stamp> stampOf(const simdjson::dom::element& object) {
  const auto text = [&](std::string_view pointer) -> std::string {
    std::string_view found;
    if (object.at_pointer(pointer).get(found)) return {};
    return std::string(found);
  };
  Stamp stamp{{text("/metadata/namespace"), text("/metadata/name")},
              text("/metadata/uid"),
              revisionOf(text("/metadata/resourceVersion"))};
  const auto missing = [](std::string_view field) {
    return fail(Code::InvalidArgument, "NoIdentity",
                "read object: metadata." + std::string(field) + " is missing or no number");
  };
  if (stamp.key.name.empty()) return missing("name");
  if (stamp.uid.empty()) return missing("uid");
  if (stamp.revision == 0) return missing("resourceVersion");
  return stamp;
}

}  // namespace multinet::kube
