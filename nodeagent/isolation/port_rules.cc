#include "nodeagent/isolation/port_rules.h"

#include <algorithm>
#include <charconv>

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

/// Before whatever else a bridge's frames pass: br_netfilter's hook is at 0.
constexpr int kPriority = -300;

/// Of an ICMPv6 message: the target of a neighbour's question or answer (RFC 4861, 4.3 and 4.4).
/// libnftables 1.0.6 has no word for it.
constexpr const char* kTarget = "@th,64,128";

// More than any address plan needs at once, less than a bridge of a hundred ports feels.
constexpr const char* kFloodLimit = "limit rate over 1000/second burst 2000 packets";

std::string to(std::string_view reason) {
  return std::string("goto ") + kCounterPrefix + std::string(reason);
}

/// All frames from a pod.
std::vector<std::string> portRules() {
  return {
      "ether type ip6 iifname @no_ipv6 " + to("ipv6"),
      "udp dport @tunnels " + to("tunnel"),
      "iifname @open accept",
      "iifname . ether saddr != @macs " + to("source_mac"),
      "meta pkttype { broadcast, multicast } jump flood",
      "ether type vmap { ip : goto from_ipv4, arp : goto from_arp, ip6 : goto from_ipv6 }",
      to("ethertype"),
  };
}

/// What a frame to everybody costs, each of them pays. Multicast of applications is their affair.
std::vector<std::string> floodRules() {
  return {
      "ip daddr 224.0.0.0/4 return",
      "ip6 daddr ff00::/8 meta l4proto != 58 return",
      std::string("update @floods { iifname ") + kFloodLimit + " } " + to("flood"),
  };
}

std::vector<std::string> ipv4Rules() {
  return {
      "meta l4proto { 1, 2, 17 } jump services4",
      "iifname . ip saddr @addresses4 accept",
      "iifname != @strict accept",
      to("source_ipv4"),
  };
}

std::vector<std::string> services4Rules() {
  return {
      "udp dport 68 " + to("dhcp"),
      "udp sport 67 " + to("dhcp"),
      "icmp type { redirect, router-advertisement } " + to("router"),
      "igmp type membership-query " + to("router"),
  };
}

/// Where the chain of headers can't be followed to its end there is no l4proto: what hides there
/// may be anything (RFC 7112).
std::vector<std::string> ipv6Rules() {
  return {
      "meta l4proto { 58, 17 } jump services6",
      "meta l4proto != 255 iifname . ip6 saddr @addresses6 accept",
      "meta l4proto != 255 iifname != @strict accept",
      "meta l4proto != 255 " + to("source_ipv6"),
      to("malformed"),
  };
}

std::vector<std::string> services6Rules() {
  return {
      "udp dport 546 " + to("dhcp"),
      "udp sport 547 " + to("dhcp"),
      "icmpv6 type { nd-router-advert, nd-redirect, mld-listener-query } " + to("router"),
      "iifname @strict icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } goto neighbour",
      std::string("iifname @strict ip6 saddr :: icmpv6 type ") +
          "{ mld-listener-report, mld-listener-done, mld2-listener-report } accept",
      // Whoever is here shows its upper layer, or is a later fragment of one that did.
      "icmpv6 type != 255 return",
      "udp dport != 0 return",
      "frag frag-off != 0 return",
      to("malformed"),
  };
}

/// A fragment shows no target: it gets no further (RFC 6980).
std::vector<std::string> neighbourRules() {
  const std::string own = std::string("iifname . ") + kTarget + " @targets ";
  return {
      "ip6 hoplimit != 255 " + to("neighbour"),
      "icmpv6 type nd-neighbor-advert " + own + "return",
      "ip6 saddr :: icmpv6 type nd-neighbor-solicit " + own + "accept",
      "ip6 saddr != :: icmpv6 type nd-neighbor-solicit return",
      to("neighbour"),
  };
}

std::vector<std::string> arpRules() {
  return {
      "iifname != @strict accept",
      "arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } "
      "iifname . arp saddr ether @macs jump arp_sender",
      to("arp"),
  };
}

std::vector<std::string> arpSenderRules() {
  return {
      "arp saddr ip 0.0.0.0 accept",  // a probe: RFC 5227, 2.1.1
      "iifname . arp saddr ip @addresses4 accept",
  };
}

/// Frames to a pod: nobody else is who the pod is, and no router or DHCP server speaks to it by a
/// tunnel. What comes by an uplink is the wire's.
std::vector<std::string> claimedRules() {
  return {
      "oifname . ether saddr @macs " + to("claimed"),
      "oifname . ip saddr @addresses4 " + to("claimed"),
      "oifname . ip6 saddr @addresses6 " + to("claimed"),
      "oifname . arp saddr ip @addresses4 " + to("claimed"),
      std::string("icmpv6 type nd-neighbor-advert oifname . ") + kTarget + " @targets " +
          to("claimed"),
      "iifname \"mnx*\" icmpv6 type { nd-router-advert, nd-redirect } " + to("router"),
      "iifname \"mnx*\" udp dport { 68, 546 } " + to("dhcp"),
  };
}

/// Elements of one port of the set of IPv6 addresses, as the kernel compares a message's bytes:
/// an integer, which nft lists without leading zeros.
std::string hexOf(const IpAddress& address) {
  std::string text;
  for (const std::uint8_t byte : address.bytes()) {
    text.push_back("0123456789abcdef"[byte / 16]);
    text.push_back("0123456789abcdef"[byte % 16]);
  }
  return "0x" + text.substr(std::min(text.find_first_not_of('0'), text.size() - 1));
}

std::string join(const std::string& port, const std::string& rest) {
  return port + " . " + rest;
}

nft::Set filledByRules(const char* name, const char* type, const char* how) {
  nft::Set set{name, type, {}};
  set.filledBy = how;
  return set;
}

}  // namespace

nft::Table portTable() {
  nft::Table table;
  table.family = "bridge";
  table.name = "multinet";
  table.sets = {
      {"ports", "ifname", {}},
      {"open", "ifname", {}},
      {"strict", "ifname", {}},
      {"no_ipv6", "ifname", {}},
      {"macs", "ifname . ether_addr", {}},
      {"addresses4", "ifname . ipv4_addr", {}},
      {"addresses6", "ifname . ipv6_addr", {}},
      {"targets", std::string("typeof iifname . ") + kTarget, {}},
      {kTunnelSet, "inet_service", {}},
      filledByRules("floods", "ifname", "size 65535; flags dynamic,timeout; timeout 60s;"),
      filledByRules(kDroppedSet, "ifname . mark",
                    "size 65535; flags dynamic,timeout; timeout 1h; counter"),
  };
  table.chains = {
      {"from_pods", "prerouting", kPriority, {"iifname @ports goto port"}},
      // What a bridge keeps for itself doesn't pass prerouting (br_handle_frame). LLDP doesn't come
      // here either: that the bridge learns nothing of it is a setting of its own (createBridge).
      {"to_bridge",
       "input",
       kPriority,
       {"iifname @ports ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 " + to("ethertype")}},
      {"to_pods", "forward", kPriority, {"oifname @strict goto claimed"}},
      {"port", "", 0, portRules()},
      {"flood", "", 0, floodRules()},
      {"from_ipv4", "", 0, ipv4Rules()},
      {"services4", "", 0, services4Rules()},
      {"from_ipv6", "", 0, ipv6Rules()},
      {"services6", "", 0, services6Rules()},
      {"neighbour", "", 0, neighbourRules()},
      {"from_arp", "", 0, arpRules()},
      {"arp_sender", "", 0, arpSenderRules()},
      {"claimed", "", 0, claimedRules()},
  };
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    const std::string name = kCounterPrefix + std::string(kReasons[i]);
    table.counters.push_back(name);
    table.chains.push_back({name,
                            "",
                            0,
                            {"counter name \"" + name + "\" meta mark set " +
                             std::to_string(i + 1) + " goto dropped"}});
  }
  // Two rules: a set that is full ends the first, not the second.
  table.chains.push_back(
      {"dropped",
       "",
       0,
       {std::string("update @") + kDroppedSet + " { iifname . meta mark }", "drop"}});
  return table;
}

nft::Elements elementsOf(const Port& port, PortSecurity asked) {
  const PortSecurity security = effective(port, asked);
  nft::Elements elements;
  elements["ports"].insert(port.name);
  const bool hasIpv6 =
      std::ranges::any_of(port.addresses, [](const IpAddress& a) { return !a.isV4(); });
  if (!hasIpv6 && !port.addresses.empty()) elements["no_ipv6"].insert(port.name);
  if (security == PortSecurity::Disabled) {
    elements["open"].insert(port.name);
    return elements;
  }
  elements["macs"].insert(join(port.name, port.mac.str()));
  if (security == PortSecurity::MacOnly) return elements;
  elements["strict"].insert(port.name);
  const auto addV6 = [&](const IpAddress& address) {
    elements["addresses6"].insert(join(port.name, address.str()));
    elements["targets"].insert(join(port.name, hexOf(address)));
  };
  for (const IpAddress& address : port.addresses) {
    if (!address.isV4()) {
      addV6(address);
    } else {
      elements["addresses4"].insert(join(port.name, address.str()));
    }
  }
  if (hasIpv6) addV6(linkLocalOf(port.mac));
  return elements;
}

std::map<std::string, nft::Elements> portsIn(const nft::Elements& elements) {
  std::map<std::string, nft::Elements> ports;
  for (const nft::Set& set : portTable().sets) {
    const auto found = elements.find(set.name);
    if (found == elements.end() || !set.filledBy.empty() || set.name == kTunnelSet) continue;
    for (const std::string& element : found->second) {
      ports[element.substr(0, element.find(" . "))][set.name].insert(element);
    }
  }
  return ports;
}

PortSecurity securityOf(const nft::Elements& port) {
  if (port.contains("open")) return PortSecurity::Disabled;
  return port.contains("strict") || !port.contains("macs") ? PortSecurity::Enforced
                                                           : PortSecurity::MacOnly;
}

std::set<std::string> tunnelElements(const std::set<std::uint16_t>& ports) {
  std::set<std::string> elements;
  for (const std::uint16_t port : ports) elements.insert(std::to_string(port));
  return elements;
}

std::optional<Dropped> droppedOf(const std::string& element) {
  const std::size_t end = element.find(" . ");
  if (end == std::string::npos) return std::nullopt;
  std::string_view number = std::string_view(element).substr(end + 3);
  const int base = number.starts_with("0x") ? 16 : 10;
  if (base == 16) number.remove_prefix(2);
  std::size_t reason = 0;
  const auto read = std::from_chars(number.begin(), number.end(), reason, base);
  if (read.ec != std::errc() || read.ptr != number.end()) return std::nullopt;
  if (reason < 1 || reason > kReasons.size()) return std::nullopt;
  return Dropped{element.substr(0, end), kReasons[reason - 1]};
}

}  // namespace multinet::agent::isolation
