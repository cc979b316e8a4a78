// What went wrong, as a value: a canonical code for programs, a reason for conditions and events, a
// sentence for people.
#pragma once

#include <string>
#include <string_view>

namespace multinet {

/// gRPC's canonical codes with gRPC's numbers, so that a code crosses the CRI without a table.
enum class Code {
  Ok = 0,
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

/// The code's name as gRPC spells it in CamelCase, for example `NotFound`.
[[nodiscard]] std::string_view name(Code code);

/// One failure. `message` reads `verb object name: detail` and names the wrong value and the right
/// one; `reason` is a CamelCase word that conditions, Events and metrics can carry.
struct Error {
  Code code = Code::Unknown;
  std::string reason;
  std::string message;

  /// The same failure seen from one layer further out: `context: message`.
  [[nodiscard]] Error within(std::string_view context) const;
  /// True where trying again later may succeed without anybody changing anything.
  [[nodiscard]] bool transient() const;

  bool operator==(const Error&) const = default;
};

}  // namespace multinet
