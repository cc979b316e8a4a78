// Identities as types: a pod's UID is no sandbox's ID, whatever both are made of.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/result.h"

namespace multinet {

/// A string that means one thing. Compares, hashes and prints as its text.
template <class Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] const std::string& str() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string text_;
};

using PodUid = Id<struct PodUidTag>;
using SandboxId = Id<struct SandboxIdTag>;
/// One request under way: made by the agent, never reused.
using IntentId = Id<struct IntentIdTag>;
using NodeName = Id<struct NodeNameTag>;
using NetworkName = Id<struct NetworkNameTag>;
/// UID of a PodNetwork: tells a network from another that later had its name.
using NetworkUid = Id<struct NetworkUidTag>;

/// A name that the kernel, nftables and people read alike:
/// `[A-Za-z0-9][A-Za-z0-9._-]{0,14}`, not `lo` and not `eth0` (the cluster's own).
class InterfaceName {
 public:
  InterfaceName() = default;
  /// InvalidArgument names the value and the rule that it breaks.
  [[nodiscard]] static Result<InterfaceName> parse(std::string_view text);
  [[nodiscard]] const std::string& str() const { return text_; }
  auto operator<=>(const InterfaceName&) const = default;

 private:
  explicit InterfaceName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace multinet

template <class Tag>
struct std::hash<multinet::Id<Tag>> {
  std::size_t operator()(const multinet::Id<Tag>& id) const {
    return std::hash<std::string>()(id.str());
  }
};
template <>
struct std::hash<multinet::InterfaceName> {
  std::size_t operator()(const multinet::InterfaceName& name) const {
    return std::hash<std::string>()(name.str());
  }
};
