#include "nodeagent/model/interface.h"

namespace multinet::agent {

std::string_view name(InterfaceState state) {
  switch (state) {
    case InterfaceState::Pending:
      return "Pending";
    case InterfaceState::Attached:
      return "Attached";
    case InterfaceState::Failed:
      return "Failed";
  }
  return "";
}

std::string_view name(LinkState state) {
  switch (state) {
    case LinkState::Unknown:
      return "Unknown";
    case LinkState::Up:
      return "Up";
    case LinkState::Down:
      return "Down";
  }
  return "";
}

}  // namespace multinet::agent
