#include "controller/plan/write.h"

#include <simdjson.h>

#include <utility>

#include "lib/api/pod_network.h"
#include "lib/k8s/core.h"

namespace multinet::controller {

std::string_view name(Verb verb) {
  switch (verb) {
    case Verb::Create:
      return "create";
    case Verb::Patch:
      return "patch";
    case Verb::PatchStatus:
      return "patch status";
    case Verb::Delete:
      return "delete";
  }
  return "";
}

std::string Write::item() const {
  return std::string(name(verb)) + " " + std::string(kind.kind) + " " + key.str();
}

Write writeTo(const k8s::Kind& kind, const k8s::ObjectMeta& metadata, Verb verb,
              nlohmann::json body) {
  const k8s::ObjectKey key{metadata.nameSpace, metadata.name};
  return {.kind = kind,
          .key = key,
          .verb = verb,
          .body = std::move(body),
          .uid = metadata.uid,
          .resourceVersion = metadata.resourceVersion,
          .about = {kind, key, metadata.uid}};
}

Write deletionOf(const k8s::Kind& kind, const k8s::ObjectMeta& metadata, std::string why,
                 std::vector<Premise> premises) {
  Write write = writeTo(kind, metadata, Verb::Delete, {});
  write.why = std::move(why);
  write.premises = std::move(premises);
  return write;
}

Premise nodeIsGone(const std::string& node) {
  return {k8s::kNodeKind, k8s::ObjectKey{"", node}, [](const auto& /*there*/) { return true; }};
}

Premise networkIsGone(const std::string& network, const std::string& uid) {
  return {api::kPodNetworkKind, k8s::ObjectKey{"", network},
          [uid](const simdjson::dom::element& there) {
            std::string_view now;
            return there.at_pointer("/metadata/uid").get(now) != simdjson::SUCCESS || now == uid;
          }};
}

}  // namespace multinet::controller
