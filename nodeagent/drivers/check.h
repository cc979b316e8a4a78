// Verdicts on a network, in the words of its conditions. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace multinet::agent::drivers {

enum class CheckStatus : std::uint8_t { True, False, Unknown };
/// `True`, `False`, `Unknown`, as conditions spell them.
[[nodiscard]] std::string_view name(CheckStatus status);

/// One thing that was looked at: `Parent`, `Link`, `Guard`, `Peers`; and, where they fail,
/// `Lifelines`, `Kernel` and `PeerAddresses`.
struct Check {
  std::string name;
  CheckStatus status = CheckStatus::Unknown;
  std::string reason;   ///< CamelCase
  std::string message;  ///< one sentence with the wrong value and the right one
  bool operator==(const Check&) const = default;
};

[[nodiscard]] Check passed(std::string name, std::string reason, std::string message);
[[nodiscard]] Check failed(std::string name, std::string reason, std::string message);
[[nodiscard]] Check unknown(std::string name, std::string reason, std::string message);

/// Why the node doesn't do something: a CamelCase reason, and a sentence with what is wrong and
/// what would be right.
struct Refusal {
  std::string reason;
  std::string message;
  bool operator==(const Refusal&) const = default;
};

}  // namespace multinet::agent::drivers
