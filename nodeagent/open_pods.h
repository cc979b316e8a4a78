// Leaving pods that run: what holds them goes, their links stay.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "lib/base/ids.h"
#include "nodeagent/wiring.h"

namespace multinet::agent {

/// Takes away the rules of policies and port security, which nobody maintains any more: in the
/// node's namespace, in the switch, and in those namespaces where `isOurs` says so of the intent of
/// a link. Returns how many of the latter had such a link. No agent runs meanwhile; the next one
/// puts them back.
[[nodiscard]] Result<std::size_t> openPods(const Settings& settings,
                                           const std::function<bool(const IntentId&)>& isOurs,
                                           const std::string& proc = "/proc");

}  // namespace multinet::agent
