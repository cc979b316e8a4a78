#include "lib/api/violation.h"

#include <algorithm>
#include <iterator>

namespace multinet::api {
namespace {

bool mayHeal(const Violation& violation) {
  return violation.code == Code::FailedPrecondition || violation.code == Code::Unavailable;
}

}  // namespace

std::string Violation::str() const {
  std::string out = path + ": ";
  if (!value.empty()) out += "\"" + value + "\" ";
  out += detail;
  if (!remedy.empty()) out += "; " + remedy;
  return out;
}

void Report::append(Report other) {
  std::move(other.violations.begin(), other.violations.end(), std::back_inserter(violations));
  std::move(other.warnings.begin(), other.warnings.end(), std::back_inserter(warnings));
}

Error toError(const Violations& violations) {
  if (violations.empty()) return {Code::Ok, "", ""};
  const auto lasting = std::find_if_not(violations.begin(), violations.end(), mayHeal);
  const Violation& first = lasting == violations.end() ? violations.front() : *lasting;
  Error error{first.code, first.reason, ""};
  for (const auto& violation : violations) {
    error.message += (error.message.empty() ? "" : "; ") + violation.str();
  }
  return error;
}

}  // namespace multinet::api
