// What is wrong with an object or a request, so that its author can put it right.
#pragma once

#include <string>
#include <vector>

#include "lib/base/error.h"

namespace multinet::api {

/// One broken rule.
struct Violation {
  std::string path;    ///< of the field: `spec.ipam.subnets[0].cidr`
  std::string value;   ///< as it was written; empty: the field is missing
  std::string detail;  ///< why it is wrong: `has host bits set`
  std::string remedy;  ///< what would be right: `write 10.20.0.0/16`
  std::string reason;  ///< CamelCase, for conditions, Events and metrics: `HostBitsSet`
  Code code = Code::InvalidArgument;  ///< FailedPrecondition, Unavailable: may heal by itself
  bool operator==(const Violation&) const = default;

  /// `spec.mtu: "9000" is above the underlay's 1450; use 1450 or less`
  [[nodiscard]] std::string str() const;
};

using Violations = std::vector<Violation>;

/// The outcome of all rules: what refuses the object, and what is legal but risky.
struct Report {
  Violations violations;
  Violations warnings;

  [[nodiscard]] bool ok() const { return violations.empty(); }
  void append(Report other);
};

/// All violations as one error: the sentences joined by "; ", the code and reason of the first that
/// can't heal by itself, else of the first.
[[nodiscard]] Error toError(const Violations& violations);

}  // namespace multinet::api
