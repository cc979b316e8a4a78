#include "nodeagent/isolation/port.h"

namespace multinet::agent::isolation {

using api::PortSecurity;

namespace {

std::string whereHeld(const Port& port) {
  switch (port.site) {
    case Site::Switch:
      return "at the node's end of the link";
    case Site::NodeParent:
    case Site::SwitchParent:
      return "on " + port.parent +
             " and, towards pods on it, in the pod, where who has NET_ADMIN can undo it";
    case Site::Pod:
    case Site::SharedParent:
      break;
  }
  return "in the pod, where who has NET_ADMIN can undo it: the link has the MAC of " + port.parent +
         ", so nobody outside could tell whose a frame is" +
         (port.isWireUnseen ? "; what the wire sends in its name isn't looked at" : "");
}

}  // namespace

PortSecurity effective(const Port& port, PortSecurity asked) {
  const bool unchecked = asked == PortSecurity::Enforced && port.addresses.empty();
  return unchecked ? PortSecurity::MacOnly : asked;
}

PortSecured told(const Port& port, PortSecurity asked) {
  const PortSecurity security = effective(port, asked);
  if (security == PortSecurity::Disabled) {
    return {false, "Disabled", "the network's spec.portSecurity is Disabled"};
  }
  const std::string where = whereHeld(port);
  if (security == PortSecurity::Enforced) {
    return {true, "Enforced", "MAC and addresses are checked " + where};
  }
  return {true, "MACOnly",
          "the MAC is checked " + where + "; addresses aren't: the " +
              (asked == PortSecurity::MacOnly ? "network's spec.portSecurity is MACOnly"
                                              : "network has no subnets")};
}

PortSecured notCommitted(const Error& error) {
  return {false, error.reason, error.message};
}

IpAddress linkLocalOf(const MacAddress& mac) {
  const auto& m = mac.bytes();
  constexpr std::uint8_t kUniversal = 2;
  return IpAddress::fromV6({0xfe, 0x80, 0, 0, 0, 0, 0, 0,
                            static_cast<std::uint8_t>(m[0] ^ kUniversal), m[1], m[2], 0xff, 0xfe,
                            m[3], m[4], m[5]});
}

IpAddress sharedLinkLocalOf(const MacAddress& mac) {
  const auto& m = mac.bytes();
  return IpAddress::fromV6(
      {0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0], m[1], m[2], 0, 0, m[3], m[4], m[5]});
}

}  // namespace multinet::agent::isolation
