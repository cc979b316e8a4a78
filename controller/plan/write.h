// One write that a reconciler wishes for, as a value: what, under which conditions, and why.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/k8s/kind.h"
#include "lib/k8s/metadata.h"

namespace multinet::controller {

enum class Verb { Create, Patch, PatchStatus, Delete };
[[nodiscard]] std::string_view name(Verb verb);

/// Which object a write is about, for Events; and which generation of it was decided on, since a
/// write that was refused is another one when its author changes that.
struct Subject {
  k8s::Kind kind;
  k8s::ObjectKey key;
  std::string uid;
  std::int64_t generation = 0;  ///< 0: whoever asked for it isn't told of a refusal but by an Event
};

/// What the API server itself must say right before the write, since caches lag: the object isn't
/// there, or doesn't speak against it. Without a key: none of the kind does; with a namespace
/// alone: none there does.
struct Premise {
  k8s::Kind kind;
  std::optional<k8s::ObjectKey> key;
  std::function<bool(const simdjson::dom::element&)> contradicts;
};

struct Write {
  k8s::Kind kind;
  k8s::ObjectKey key;
  Verb verb = Verb::Patch;
  /// Of a create the object, of a patch the merge patch; the writer adds the preconditions.
  nlohmann::json body = {};
  /// The object that was decided on: another one, or another version of it, isn't written. Empty
  /// for a create, whose precondition is that the name is free.
  std::string uid = {};
  std::string resourceVersion = {};
  std::vector<Premise> premises = {};
  std::string why = {};  ///< for the log; empty: it isn't told
  Subject about = {};    ///< who is told where the server refuses it

  /// `patch status PodNetwork blue`: one write of an object at a time.
  [[nodiscard]] std::string item() const;
};

/// On the object that `metadata` is of, at its version.
[[nodiscard]] Write writeTo(const k8s::Kind& kind, const k8s::ObjectMeta& metadata, Verb verb,
                            nlohmann::json body);
[[nodiscard]] Write deletionOf(const k8s::Kind& kind, const k8s::ObjectMeta& metadata,
                               std::string why, std::vector<Premise> premises);

/// The Node, the PodNetwork of that UID, isn't there.
[[nodiscard]] Premise nodeIsGone(const std::string& node);
[[nodiscard]] Premise networkIsGone(const std::string& network, const std::string& uid);

}  // namespace multinet::controller
