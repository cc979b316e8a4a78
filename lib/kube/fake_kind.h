// A kind for tests, small and namespaced: `/apis/test.dev/v1/notes`.
#pragma once

#include <simdjson.h>

#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/result.h"
#include "lib/k8s/kind.h"

namespace multinet::kube {

struct FakeNote {
  std::string nameSpace = "default";
  std::string name;
  std::string uid;
  std::string resourceVersion;
  std::string text;
  auto operator<=>(const FakeNote&) const = default;
};

}  // namespace multinet::kube

template <>
struct multinet::k8s::KindTraits<multinet::kube::FakeNote> {
  static constexpr Kind kKind{"test.dev", "v1", "notes", "Note", Scope::Namespaced};

  static Result<kube::FakeNote> decode(simdjson::dom::element object) {
    const auto text = [&](std::string_view pointer) {
      std::string_view found;
      return object.at_pointer(pointer).get(found) ? std::string() : std::string(found);
    };
    kube::FakeNote note{text("/metadata/namespace"), text("/metadata/name"), text("/metadata/uid"),
                        text("/metadata/resourceVersion"), text("/spec/text")};
    if (const auto other = text("/spec/name"); !other.empty()) note.name = other;
    if (note.text == "undecodable") {
      return fail(Code::InvalidArgument, "Undecodable", "decode note: spec.text is undecodable");
    }
    return note;
  }
  static nlohmann::json encode(const kube::FakeNote& note) {
    nlohmann::json object{{"metadata", {{"namespace", note.nameSpace}, {"name", note.name}}},
                          {"spec", {{"text", note.text}}}};
    if (!note.resourceVersion.empty()) object["metadata"]["resourceVersion"] = note.resourceVersion;
    return object;
  }
};
