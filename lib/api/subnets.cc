// The rules for spec.ipam.
#include "lib/api/parts.h"

namespace multinet::api::parts {
namespace {

struct Special {
  std::string_view range;
  std::string_view what;
};
// Ranges that no pod network can use: RFC 1122 3.2.1.3, RFC 4291, RFC 3927, RFC 5771.
constexpr std::array kSpecial{
    Special{"127.0.0.0/8", "loopback"},      Special{"224.0.0.0/4", "multicast"},
    Special{"169.254.0.0/16", "link-local"}, Special{"0.0.0.0/8", "unspecified"},
    Special{"240.0.0.0/4", "reserved"},      Special{"::1/128", "loopback"},
    Special{"::/128", "unspecified"},        Special{"ff00::/8", "multicast"},
    Special{"fe80::/10", "link-local"},
};

std::optional<std::string_view> special(const IpPrefix& prefix) {
  for (const auto& [range, what] : kSpecial) {
    const auto parsed = IpPrefix::parse(range);
    if (parsed && parsed->overlaps(prefix)) return what;
  }
  return std::nullopt;
}

/// IPv4 keeps its first and last address for the network and for broadcasts, but in /31 and /32
/// (RFC 3021). IPv6 keeps its first (RFC 4291 2.6.1), but in /127 and /128 (RFC 6164).
std::optional<std::string> reserved(const IpPrefix& cidr, const IpAddress& address) {
  if (cidr.lastOffset() <= 1) return std::nullopt;
  if (address == cidr.first()) {
    return cidr.isV4() ? "is the network address of " + cidr.str()
                       : "is the subnet-router anycast address of " + cidr.str();
  }
  if (cidr.isV4() && address == cidr.last()) return "is the broadcast address of " + cidr.str();
  return std::nullopt;
}

std::string rightPrefix(const std::string& text) {
  const auto parsed = InterfaceAddress::parse(text);
  if (!parsed) return "write ADDRESS/LENGTH, such as 10.20.0.0/16 or fd00:20::/64";
  return "write " + IpPrefix(parsed->address, parsed->length).str();
}

/// A prefix as text: readable, without host bits.
tl::expected<IpPrefix, Violation> readPrefix(const std::string& text, const std::string& path) {
  auto parsed = IpPrefix::parse(text);
  if (parsed) return *parsed;
  const bool readable = InterfaceAddress::parse(text).has_value();
  return tl::unexpected(Violation{
      path, text, readable ? "has host bits set" : "is no prefix of addresses", rightPrefix(text),
      readable ? "HostBitsSet" : "InvalidCIDR", Code::InvalidArgument});
}

std::optional<Violation> checkGateway(const Subnet& subnet, const IpPrefix& cidr,
                                      const std::string& path) {
  const auto gateway = IpAddress::parse(subnet.gateway);
  const std::string example =
      cidr.lastOffset() == 0 ? "leave it out"
                             : "write one of it, such as " + cidr.at(1).str() + ", or leave it out";
  if (!gateway) {
    return Violation{path,    subnet.gateway,   "is no address",
                     example, "InvalidGateway", Code::InvalidArgument};
  }
  if (!cidr.contains(*gateway)) {
    return Violation{path,    subnet.gateway,         "lies outside its subnet " + cidr.str(),
                     example, "GatewayOutsideSubnet", Code::InvalidArgument};
  }
  if (const auto why = reserved(cidr, *gateway)) {
    return Violation{path, subnet.gateway, *why, example, "GatewayReserved", Code::InvalidArgument};
  }
  return std::nullopt;
}

/// `written`: the subnet's cidr as it stands there, which alone excludes all of it.
std::optional<Violation> checkExclude(const std::string& text, const IpPrefix& cidr,
                                      const std::string& written, const std::string& path) {
  const auto exclude = readPrefix(text, path);
  if (!exclude) return exclude.error();
  if (!cidr.contains(*exclude)) {
    return Violation{path,
                     text,
                     "lies outside its subnet " + cidr.str(),
                     "write a part of " + cidr.str(),
                     "ExcludeOutsideSubnet",
                     Code::InvalidArgument};
  }
  if (exclude->contains(cidr) && text != written) {
    return Violation{path,
                     text,
                     "is all of the subnet in other words",
                     "write " + written,
                     "NoUsableAddress",
                     Code::InvalidArgument};
  }
  return std::nullopt;
}

std::optional<Violation> checkBlockSize(std::int32_t size, const IpPrefix& cidr,
                                        const std::string& path) {
  const auto shortest = static_cast<std::int32_t>(cidr.length());
  const auto longest = static_cast<std::int32_t>(bits(cidr.family()));
  if (size >= shortest && size <= longest) return std::nullopt;
  const bool beyond = size > longest;
  return Violation{
      path,
      std::to_string(size),
      beyond ? "is longer than an " + std::string(name(cidr.family())) + " address"
             : "is shorter than the prefix of " + cidr.str(),
      "write a length from " + std::to_string(shortest) + " to " + std::to_string(longest),
      "InvalidBlockSize",
      Code::InvalidArgument};
}

Report checkSubnet(const Subnet& subnet, const std::string& path) {
  Report report;
  const auto note = [&](std::optional<Violation> violation) {
    if (violation) report.violations.push_back(std::move(*violation));
  };
  const auto cidr = readPrefix(subnet.cidr, path + ".cidr");
  if (!cidr) {
    note(cidr.error());
    return report;  // the rest is said of the CIDR
  }
  if (const auto what = special(*cidr)) {
    note(Violation{path + ".cidr", subnet.cidr, "holds " + std::string(*what) + " addresses",
                   "write a range of your own, such as 10.20.0.0/16 or fd00:20::/64", "SpecialCIDR",
                   Code::InvalidArgument});
  } else if (!cidr->first().isPrivate() || !cidr->last().isPrivate()) {
    report.warnings.push_back({path + ".cidr", subnet.cidr,
                               "lies outside RFC 1918 and RFC 4193: pods can't reach the real "
                               "owners of these addresses",
                               "", "PublicAddresses", Code::Ok});
  }
  if (!subnet.gateway.empty()) note(checkGateway(subnet, *cidr, path + ".gateway"));
  for (std::size_t i = 0; i < subnet.exclude.size(); ++i) {
    note(checkExclude(subnet.exclude[i], *cidr, subnet.cidr, at(path + ".exclude", i)));
  }
  if (subnet.isExcluded()) {
    report.warnings.push_back({path + ".exclude", subnet.cidr,
                               "leaves no address: new pods get none of this subnet, and once "
                               "status.removableSubnets lists it, it can be removed",
                               "", "NoUsableAddress", Code::Ok});
  }
  if (subnet.blockSize) note(checkBlockSize(*subnet.blockSize, *cidr, path + ".blockSize"));
  return report;
}

}  // namespace

std::string at(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

std::vector<TypedSubnet> typedSubnets(const PodNetworkSpec& spec) {
  std::vector<TypedSubnet> out;
  for (std::size_t i = 0; i < spec.ipam.subnets.size(); ++i) {
    const auto cidr = IpPrefix::parse(spec.ipam.subnets[i].cidr);
    if (!cidr) continue;
    TypedSubnet subnet{i, *cidr, std::nullopt};
    const auto gateway = IpAddress::parse(spec.ipam.subnets[i].gateway);
    if (gateway && cidr->contains(*gateway)) subnet.gateway = *gateway;
    out.push_back(subnet);
  }
  return out;
}

Report checkSubnets(const PodNetworkSpec& spec) {
  Report report;
  for (std::size_t i = 0; i < spec.ipam.subnets.size(); ++i) {
    report.append(checkSubnet(spec.ipam.subnets[i], at("spec.ipam.subnets", i)));
  }
  const auto subnets = typedSubnets(spec);
  for (std::size_t i = 0; i < subnets.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!subnets[i].cidr.overlaps(subnets[j].cidr)) continue;
      report.violations.push_back(
          {at("spec.ipam.subnets", subnets[i].index) + ".cidr", subnets[i].cidr.str(),
           "overlaps " + subnets[j].cidr.str() + " of " + at("spec.ipam.subnets", subnets[j].index),
           "write subnets that share no address", "OverlappingSubnets", Code::InvalidArgument});
    }
  }
  return report;
}

}  // namespace multinet::api::parts
