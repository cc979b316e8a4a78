#include "lib/base/error.h"

#include <array>

namespace multinet {
namespace {

constexpr std::array<std::string_view, 17> kNames = {
    "Ok",       "Cancelled",      "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

}  // namespace

std::string_view name(Code code) {
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames.at(index) : "Unknown";
}

Error Error::within(std::string_view context) const {
  return Error{code, reason, std::string(context) + ": " + message};
}

bool Error::transient() const {
  switch (code) {
    case Code::Unavailable:
    case Code::DeadlineExceeded:
    case Code::Aborted:
    case Code::ResourceExhausted:
    case Code::Cancelled:
      return true;
    default:
      return false;
  }
}

}  // namespace multinet
