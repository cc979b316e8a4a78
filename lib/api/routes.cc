// The rules for routes, MTUs and device names: of networks and of attachments alike.
#include <algorithm>

#include "lib/api/parts.h"

namespace multinet::api::parts {
namespace {

std::optional<Violation> checkDestination(const Route& route, const std::string& path) {
  const auto to = IpPrefix::parse(route.to);
  if (!to) {
    const auto masked = InterfaceAddress::parse(route.to);
    const std::string right = masked ? IpPrefix(masked->address, masked->length).str()
                                     : "a prefix, such as 192.168.0.0/16";
    return Violation{path,
                     route.to,
                     masked ? "has host bits set" : "is no prefix of addresses",
                     "write " + right,
                     "InvalidRoute",
                     Code::InvalidArgument};
  }
  if (to->length() == 0) {
    return Violation{path,
                     route.to,
                     "is a default route",
                     "ask for it by defaultGateway on a PodNetworkAttachment",
                     "DefaultRoute",
                     Code::InvalidArgument};
  }
  if (to->first().isLoopback() || to->first().isMulticast() || to->first().isLinkLocal()) {
    return Violation{path,
                     route.to,
                     "is a loopback, multicast or link-local range",
                     "write a range that is routed, such as 192.168.0.0/16",
                     "InvalidRoute",
                     Code::InvalidArgument};
  }
  return std::nullopt;
}

std::optional<Violation> checkVia(const Route& route, const std::string& path,
                                  const std::vector<TypedSubnet>& subnets) {
  const auto via = IpAddress::parse(route.via);
  if (!via) {
    return Violation{path,
                     route.via,
                     "is no address",
                     "write a router's address on one of the network's subnets",
                     "InvalidRoute",
                     Code::InvalidArgument};
  }
  const auto to = IpPrefix::parse(route.to);
  if (to && to->family() != via->family()) {
    return Violation{path,
                     route.via,
                     "is an " + std::string(name(via->family())) + " address for the " +
                         std::string(name(to->family())) + " destination " + route.to,
                     "write an " + std::string(name(to->family())) + " address",
                     "MixedFamilies",
                     Code::InvalidArgument};
  }
  const bool onLink = std::any_of(subnets.begin(), subnets.end(), [&](const TypedSubnet& subnet) {
    return subnet.cidr.contains(*via);
  });
  if (onLink) return std::nullopt;
  std::string all;
  for (const auto& subnet : subnets) all += (all.empty() ? "" : ", ") + subnet.cidr.str();
  return Violation{path,
                   route.via,
                   "lies on none of the network's subnets",
                   all.empty() ? "give the network a subnet" : "write an address of " + all,
                   "RouteOffLink",
                   Code::InvalidArgument};
}

/// However they are spelled.
bool sameDestination(const Route& left, const Route& right) {
  const auto first = IpPrefix::parse(left.to);
  const auto second = IpPrefix::parse(right.to);
  return first && second && *first == *second;
}

}  // namespace

Report checkRoutes(const std::vector<Route>& routes, const std::string& path,
                   const std::vector<TypedSubnet>& subnets) {
  Report report;
  const auto note = [&](std::optional<Violation> violation) {
    if (violation) report.violations.push_back(std::move(*violation));
  };
  for (std::size_t i = 0; i < routes.size(); ++i) {
    note(checkDestination(routes[i], at(path, i) + ".to"));
    if (!routes[i].via.empty()) note(checkVia(routes[i], at(path, i) + ".via", subnets));
    for (std::size_t j = 0; j < i; ++j) {
      if (!sameDestination(routes[j], routes[i])) continue;
      note(Violation{at(path, i) + ".to", routes[i].to, "repeats " + at(path, j),
                     "name each destination once", "DuplicateRoute", Code::InvalidArgument});
      break;
    }
  }
  return report;
}

std::optional<Violation> checkMtu(std::int32_t mtu, const std::string& path,
                                  const std::vector<TypedSubnet>& subnets, std::int32_t most,
                                  const std::string& mostIs) {
  const bool v6 = std::any_of(subnets.begin(), subnets.end(),
                              [](const TypedSubnet& subnet) { return !subnet.cidr.isV4(); });
  const std::int32_t least = v6 ? kMinMtuV6 : kMinMtuV4;
  if (mtu >= least && mtu <= most) return std::nullopt;
  const std::string range =
      "write a number from " + std::to_string(least) + " to " + std::to_string(most);
  if (mtu < least) {
    return Violation{path,
                     std::to_string(mtu),
                     "is below the least that " + std::string(v6 ? "IPv6" : "IPv4") + " needs",
                     range,
                     "MTUTooSmall",
                     Code::InvalidArgument};
  }
  return Violation{path,  std::to_string(mtu), "is above " + mostIs,
                   range, "MTUTooLarge",       Code::InvalidArgument};
}

std::optional<Violation> checkDeviceName(const std::string& device, const std::string& path) {
  constexpr std::size_t kMost = 15;  // IFNAMSIZ less its zero
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  const bool starts = !device.empty() && device.front() != '-' && device.front() != '.';
  if (starts && device.size() <= kMost && std::all_of(device.begin(), device.end(), legal) &&
      device != "lo" && device != "all" && device != "default") {
    return std::nullopt;
  }
  return Violation{path,
                   device,
                   "is no device's name",
                   "write 1 to 15 of A-Z, a-z, 0-9, '.', '_' and '-', and not lo, all or default",
                   "InvalidDeviceName",
                   Code::InvalidArgument};
}

}  // namespace multinet::api::parts
