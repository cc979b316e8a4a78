#include "nodeagent/drivers/check.h"

#include <utility>

namespace multinet::agent::drivers {

std::string_view name(CheckStatus status) {
  switch (status) {
    case CheckStatus::True:
      return "True";
    case CheckStatus::False:
      return "False";
    case CheckStatus::Unknown:
      break;
  }
  return "Unknown";
}

Check passed(std::string name, std::string reason, std::string message) {
  return {std::move(name), CheckStatus::True, std::move(reason), std::move(message)};
}
Check failed(std::string name, std::string reason, std::string message) {
  return {std::move(name), CheckStatus::False, std::move(reason), std::move(message)};
}
Check unknown(std::string name, std::string reason, std::string message) {
  return {std::move(name), CheckStatus::Unknown, std::move(reason), std::move(message)};
}

}  // namespace multinet::agent::drivers
