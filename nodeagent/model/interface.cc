#include "nodeagent/model/interface.h"

namespace multinet::agent {

std::string_view name(LinkType type) {
  switch (type) {
    case LinkType::Vxlan:
      return "VXLAN";
    case LinkType::Bridge:
      return "Bridge";
    case LinkType::Macvlan:
      return "Macvlan";
  }
  return "";
}

Result<LinkType> parseLinkType(std::string_view text) {
  for (const LinkType type : {LinkType::Vxlan, LinkType::Bridge, LinkType::Macvlan}) {
    if (text == name(type)) return type;
  }
  return fail(Code::InvalidArgument, "InvalidType",
              "type \"" + std::string(text) + "\": must be VXLAN, Bridge or Macvlan");
}

std::string_view name(MacvlanMode mode) {
  switch (mode) {
    case MacvlanMode::Bridge:
      return "Bridge";
    case MacvlanMode::Private:
      return "Private";
    case MacvlanMode::Vepa:
      return "VEPA";
    case MacvlanMode::Passthru:
      return "Passthru";
  }
  return "";
}

Result<MacvlanMode> parseMacvlanMode(std::string_view text) {
  for (const MacvlanMode mode :
       {MacvlanMode::Bridge, MacvlanMode::Private, MacvlanMode::Vepa, MacvlanMode::Passthru}) {
    if (text == name(mode)) return mode;
  }
  return fail(Code::InvalidArgument, "InvalidMode",
              "mode \"" + std::string(text) + "\": must be Bridge, Private, VEPA or Passthru");
}

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
