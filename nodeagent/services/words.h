// The words of this room as the maps have them (program/layout.h).
#pragma once

#include <cstring>
#include <string_view>

#include "lib/base/ids.h"
#include "lib/bpf/table.h"
#include "lib/endpoints/frontends.h"
#include "nodeagent/services/program/layout.h"

namespace multinet::agent::services {

using endpoints::Frontend;
using endpoints::Target;
using endpoints::Transport;

/// A network in the maps: a hash of its UID (64 bits of FNV-1a), so that each agent calls it the
/// same without asking anybody. Never 0.
using NetworkKey = std::uint64_t;
[[nodiscard]] NetworkKey keyOf(const NetworkUid& network);

[[nodiscard]] mn_frontend toMap(const Frontend& frontend);
[[nodiscard]] mn_backend toMap(const Target& target);
[[nodiscard]] Frontend fromMap(const mn_frontend& frontend);
[[nodiscard]] Target fromMap(const mn_backend& backend);

/// The struct that these bytes are.
template <class T>
[[nodiscard]] T as(bpf::Bytes bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

}  // namespace multinet::agent::services
