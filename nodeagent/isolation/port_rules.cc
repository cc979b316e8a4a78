#include "nodeagent/isolation/port_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

/// Before whatever else a bridge's frames pass: br_netfilter's hook is at 0.
constexpr int kPriority = -300;

/// Of an ICMPv6 message: the target of a neighbour's question or answer (RFC 4861, 4.3 and 4.4).
/// libnftables 1.0.6 has no word for it.
constexpr const char* kTarget = "@th,64,128";

/// A frame whose MAC is a group's.
constexpr std::string_view kToEverybody = "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00";

// More than any address plan needs at once, less than a bridge of a hundred ports feels.
constexpr const char* kFloodLimit = "limit rate over 1000/second burst 2000 packets";

std::string to(std::string_view reason) {
  return std::string("goto ") + kCounterPrefix + std::string(reason);
}

/// How rules tell whose a frame is.
struct Words {
  std::string_view family;
  std::string_view keyType;  ///< of what ports are known by, in sets
  std::string from;          ///< the port that a frame comes from, in rules
  std::string to;            ///< the port that a frame goes to
  unsigned mostFilled;       ///< elements of a set that rules fill
};
constexpr unsigned kMostOfNode = 8192;  ///< its ports, those of an hour ago too
constexpr unsigned kMostOfPod = 256;    ///< its links
/// By the node's end of a veth: what is written in a frame says nothing about who sent it.
const Words kByEnd{"bridge", "ifname", "iifname", "oifname", kMostOfNode};
/// By MAC: whose link a frame of a device came from is to be seen nowhere else.
const Words kByMac{"netdev", "ether_addr", "ether saddr", "ether daddr", kMostOfNode};
/// By the link itself, in its pod.
const Words kByLink{"netdev", "ifname", "oifname", "iifname", kMostOfPod};

/// All but the number that a link has on its device.
constexpr const char* kSharedMask4 = "ffff:ffff:ffff:ffff:ffff:ff00:ff:ffff";
constexpr const char* kSharedMask = "0xffffffffffffffffffffff0000ffffff";

/// Link-local addresses of links that share their device's MAC, by the link's name.
using SharedLinkLocals = std::map<std::string, IpAddress>;

std::string hexOf(const IpAddress& address);

/// Rules of one table.
class Rules {
 public:
  explicit Rules(const Words& words, SharedLinkLocals shared = {})
      : words_(words), shared_(std::move(shared)) {}

  /// The rest of what a port sends, once it is known whose it is. Three comparisons cost less than
  /// a look into a map.
  [[nodiscard]] std::vector<std::string> checked(const std::string& toEverybody) const {
    return {
        toEverybody + " jump flood",
        "ether type ip goto from_ipv4",
        "ether type ip6 goto from_ipv6",
        "ether type arp goto from_arp",
        to("ethertype"),
    };
  }

  /// In every mode.
  [[nodiscard]] std::vector<std::string> always() const {
    return {
        "ether type ip6 " + from("@no_ipv6 ") + to("ipv6"),
        "udp dport @tunnels " + to("tunnel"),
        from("@open accept"),
    };
  }

  /// What a frame to everybody costs, each of them pays. Multicast of applications is their affair.
  [[nodiscard]] std::vector<std::string> flood() const {
    return {
        "ip daddr 224.0.0.0/4 return",
        "ip6 daddr ff00::/8 meta l4proto != 58 return",
        "update @floods { " + words_.from + " " + kFloodLimit + " } " + to("flood"),
    };
  }

  [[nodiscard]] std::vector<std::string> ipv4() const {
    return {
        "meta l4proto { 1, 2, 17 } jump services4",
        from(". ip saddr @addresses4 accept"),
        from("!= @strict accept"),
        to("source_ipv4"),
    };
  }

  [[nodiscard]] static std::vector<std::string> services4() {
    return {
        "udp dport 68 " + to("dhcp"),
        "udp sport 67 " + to("dhcp"),
        "icmp type { redirect, router-advertisement } " + to("router"),
        "igmp type membership-query " + to("router"),
    };
  }

  /// Where the chain of headers can't be followed to its end there is no l4proto: what hides there
  /// may be anything (RFC 7112).
  [[nodiscard]] std::vector<std::string> ipv6() const {
    std::vector<std::string> rules = {
        "meta l4proto { 58, 17 } jump services6",
        "meta l4proto != 255 " + from(". ip6 saddr @addresses6 accept"),
    };
    for (const auto& [link, address] : shared_) {
      rules.push_back(fmt::format("meta l4proto != 255 {} \"{}\" ip6 saddr & {} == {} accept",
                                  words_.from, link, kSharedMask4, address.str()));
    }
    rules.push_back("meta l4proto != 255 " + from("!= @strict accept"));
    rules.push_back("meta l4proto != 255 " + to("source_ipv6"));
    rules.push_back(to("malformed"));
    return rules;
  }

  [[nodiscard]] std::vector<std::string> services6() const {
    return {
        "udp dport 546 " + to("dhcp"),
        "udp sport 547 " + to("dhcp"),
        "icmpv6 type { nd-router-advert, nd-redirect, mld-listener-query } " + to("router"),
        from("@strict icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } goto neighbour"),
        from("@strict ip6 saddr :: icmpv6 type ") +
            "{ mld-listener-report, mld-listener-done, mld2-listener-report } accept",
        // Whoever is here shows its upper layer, or is a later fragment of one that did.
        "icmpv6 type != 255 return",
        "udp dport != 0 return",
        "frag frag-off != 0 return",
        to("malformed"),
    };
  }

  /// A fragment shows no target: it gets no further (RFC 6980).
  [[nodiscard]] std::vector<std::string> neighbour() const {
    std::vector<std::string> rules = {"ip6 hoplimit != 255 " + to("neighbour")};
    const auto let = [&](const std::string& own) {
      rules.push_back("icmpv6 type nd-neighbor-advert " + own + " return");
      rules.push_back("ip6 saddr :: icmpv6 type nd-neighbor-solicit " + own + " accept");
    };
    let(from(". ") + kTarget + " @targets");
    for (const auto& [link, address] : shared_) {
      let(fmt::format("{} \"{}\" {} & {} == {}", words_.from, link, kTarget, kSharedMask,
                      hexOf(address)));
    }
    rules.emplace_back("ip6 saddr != :: icmpv6 type nd-neighbor-solicit return");
    rules.push_back(to("neighbour"));
    return rules;
  }

  [[nodiscard]] std::vector<std::string> arp() const {
    return {
        from("!= @strict accept"),
        "arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation { request, reply } " +
            from(". arp saddr ether @macs jump arp_sender"),
        to("arp"),
    };
  }

  [[nodiscard]] std::vector<std::string> arpSender() const {
    return {
        "arp saddr ip 0.0.0.0 accept",  // a probe: RFC 5227, 2.1.1
        from(". arp saddr ip @addresses4 accept"),
    };
  }

  /// Frames to a pod: nobody else is who the pod is.
  [[nodiscard]] std::vector<std::string> claimed() const {
    return {
        towards("ether saddr @macs ") + to("claimed"),
        towards("ip saddr @addresses4 ") + to("claimed"),
        towards("ip6 saddr @addresses6 ") + to("claimed"),
        towards("arp saddr ip @addresses4 ") + to("claimed"),
        "icmpv6 type nd-neighbor-advert " + towards(kTarget) + " @targets " + to("claimed"),
    };
  }

  /// All that isn't a base chain or its next, and sets and counters.
  [[nodiscard]] nft::Table table() const {
    const std::string key(words_.keyType);
    nft::Table table;
    table.family = words_.family;
    table.name = "multinet";
    table.sets = {
        {"ports", key, {}},
        {"open", key, {}},
        {"strict", key, {}},
        {"no_ipv6", key, {}},
        {"macs", key + " . ether_addr", {}},
        {"addresses4", key + " . ipv4_addr", {}},
        {"addresses6", key + " . ipv6_addr", {}},
        {"targets", "typeof " + from(". ") + kTarget, {}},
        {kTunnelSet, "inet_service", {}},
        filledByRules("floods", key, "timeout 60s;"),
        filledByRules(kDroppedSet, key + " . mark", "timeout 1h; counter"),
    };
    table.chains = {
        {"flood", "", 0, flood()},         {"from_ipv4", "", 0, ipv4()},
        {"services4", "", 0, services4()}, {"from_ipv6", "", 0, ipv6()},
        {"services6", "", 0, services6()}, {"neighbour", "", 0, neighbour()},
        {"from_arp", "", 0, arp()},        {"arp_sender", "", 0, arpSender()},
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
         {std::string("update @") + kDroppedSet + " { " + from(". meta mark }"), "drop"}});
    return table;
  }

 private:
  [[nodiscard]] std::string from(std::string_view rest) const {
    return words_.from + " " + std::string(rest);
  }
  [[nodiscard]] std::string towards(std::string_view rest) const {
    return words_.to + " . " + std::string(rest);
  }
  [[nodiscard]] nft::Set filledByRules(const std::string& name, const std::string& type,
                                       const char* how) const {
    nft::Set set{name, type, {}};
    set.filledBy = fmt::format("size {}; flags dynamic,timeout; {}", words_.mostFilled, how);
    return set;
  }

  const Words& words_;
  const SharedLinkLocals shared_;
};

std::vector<std::string> operator+(std::vector<std::string> left,
                                   const std::vector<std::string>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// Of a device's name: a chain's may have no other characters. As hex where it has.
std::string chainOf(std::string_view prefix, const std::string& device) {
  const auto isPlain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  };
  std::string text(prefix);
  if (std::ranges::all_of(device, isPlain)) return text + "_" + device;
  text += "x_";
  for (const char c : device) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back("0123456789abcdef"[byte / 16]);
    text.push_back("0123456789abcdef"[byte % 16]);
  }
  return text;
}

std::optional<std::string> deviceOf(std::string_view prefix, std::string_view chain) {
  if (!chain.starts_with(prefix)) return std::nullopt;
  chain.remove_prefix(prefix.size());
  if (chain.starts_with('_')) return std::string(chain.substr(1));
  if (!chain.starts_with("x_")) return std::nullopt;
  std::string device;
  for (std::size_t i = 2; i + 1 < chain.size(); i += 2) {
    unsigned byte = 0;
    std::from_chars(chain.data() + i, chain.data() + i + 2, byte, 16);
    device.push_back(static_cast<char>(byte));
  }
  return device;
}

std::set<std::string> devicesIn(const nft::Listing& listing, std::string_view prefix) {
  std::set<std::string> devices;
  for (const auto& [chain, comments] : listing.comments) {
    if (auto device = deviceOf(prefix, chain)) devices.insert(std::move(*device));
  }
  return devices;
}

/// Of links with their device's MAC: that and an address, as a frame to it has them.
constexpr const char* kShared4 = "shared4";
constexpr const char* kShared6 = "shared6";
/// Before the name of such a device.
constexpr std::string_view kSentBy = "via";
constexpr std::string_view kTurnedAt = "turned";
/// The destination in an IPv6 header.
constexpr const char* kDestination6 = "@nh,192,128";

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

bool hasIpv6(const Port& port) {
  return std::ranges::any_of(port.addresses, [](const IpAddress& a) { return !a.isV4(); });
}

/// Frames that claim to be from this port.
std::vector<std::string> claimsOf(const Port& port) {
  std::vector<std::string> rules;
  // Its device and all links on that have the same.
  const bool sharesMac = port.site == Site::Pod;
  if (!sharesMac) rules.push_back("ether saddr " + port.mac.str() + " " + to("claimed"));
  const auto own = [&](const IpAddress& address) {
    if (address.isV4()) {
      rules.push_back("ip saddr " + address.str() + " " + to("claimed"));
      rules.push_back("arp saddr ip " + address.str() + " " + to("claimed"));
    } else {
      rules.push_back("ip6 saddr " + address.str() + " " + to("claimed"));
      rules.push_back(std::string("icmpv6 type nd-neighbor-advert ") + kTarget + " " +
                      hexOf(address) + " " + to("claimed"));
    }
  };
  std::ranges::for_each(port.addresses, own);
  if (!sharesMac && hasIpv6(port)) own(linkLocalOf(port.mac));
  return rules;
}

/// Before a frame is sent the kernel goes by the protocol that its sender names, and reads no
/// transport header where that isn't the frame's own: AF_XDP names none, AF_PACKET whichever it
/// likes (0x0003 or none, on kernels whose macvlans can't tell it themselves).
std::vector<std::string> truthful() {
  std::vector<std::string> rules;
  for (const std::string_view type : {"0x0800", "0x0806", "0x86dd"}) {
    rules.push_back(fmt::format("@ll,96,16 {0} meta protocol != {0} {1}", type, to("ethertype")));
  }
  return rules;
}

std::vector<std::string> sent() {
  return truthful() + std::vector<std::string>{"goto port"};
}

/// What a device sends, its node's own frames too: whoever sends by AF_PACKET has the kernel read
/// the protocol that he doesn't name, so only AF_XDP names none.
std::vector<std::string> named() {
  return std::vector<std::string>{"meta protocol 0x0000 " + to("ethertype")} + truthful();
}

/// With the device's own MAC from the device: the driver hands what names its protocol to a pod
/// without that (ipvlan_xmit_mode_l2), so only what names none comes this way.
std::vector<std::string> turned() {
  const std::string drop = to("ethertype");
  const auto found6 = [&](const char* address) {
    return std::string("ether saddr . ") + address + " @" + kShared6 + " " + drop;
  };
  return {std::string("ether saddr . ip daddr @") + kShared4 + " " + drop,
          std::string("ether saddr . arp daddr ip @") + kShared4 + " " + drop,
          "ether type ip6 " + found6(kDestination6),
          "icmpv6 type nd-neighbor-solicit " + found6(kTarget)};
}

}  // namespace

nft::Table portTable() {
  const Rules rules(kByEnd);
  nft::Table table = rules.table();
  std::vector<nft::Chain> base = {
      {"from_pods", "prerouting", kPriority, {"iifname @ports goto port"}},
      // What a bridge keeps for itself doesn't pass prerouting (br_handle_frame). LLDP doesn't come
      // here either: that the bridge learns nothing of it is a setting of its own (createBridge).
      {"to_bridge",
       "input",
       kPriority,
       {"iifname @ports ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 " + to("ethertype")}},
      // Who was let through as himself is nobody else. What came by a wire isn't looked for.
      {"to_pods",
       "forward",
       kPriority,
       {"iifname \"mnv*\" iifname @strict accept", "oifname @strict goto claimed"}},
      {"port", "", 0,
       rules.always() +
           std::vector<std::string>{"iifname . ether saddr != @macs " + to("source_mac")} +
           rules.checked("meta pkttype { broadcast, multicast }")},
      // No router or DHCP server speaks to a pod by a tunnel. What comes by an uplink is the
      // wire's.
      {"claimed", "", 0,
       rules.claimed() +
           std::vector<std::string>{
               "iifname \"mnx*\" icmpv6 type { nd-router-advert, nd-redirect } " + to("router"),
               "iifname \"mnx*\" udp dport { 68, 546 } " + to("dhcp")}},
  };
  table.chains.insert(table.chains.begin(), base.begin(), base.end());
  return table;
}

nft::Table parentTable(const std::set<std::string>& parents, const std::set<std::string>& shared) {
  const Rules rules(kByMac);
  nft::Table table = rules.table();
  table.sets.push_back({kShared4, "ether_addr . ipv4_addr", {}});
  table.sets.push_back({kShared6, std::string("typeof ether saddr . ") + kTarget, {}});
  std::vector<nft::Chain> chains;
  for (const std::string& parent : parents) {
    nft::Chain out{chainOf("out", parent), "egress", kPriority, {}};
    // Others' frames are nobody's business here, whatever they say of themselves.
    out.rules = {"ether saddr @ports goto sent"};
    out.device = parent;
    // From a pod to another on the same device: the driver turns unicast round there
    // (macvlan_queue_xmit).
    nft::Chain in{chainOf("in", parent), "ingress", kPriority, {}};
    in.rules = {"ether daddr @strict jump claimed", "ether saddr @ports goto port"};
    in.device = parent;
    chains.push_back(std::move(out));
    chains.push_back(std::move(in));
  }
  for (const std::string& device : shared) {
    nft::Chain out{chainOf(kSentBy, device), "egress", kPriority, named()};
    out.device = device;
    nft::Chain in{chainOf(kTurnedAt, device), "ingress", kPriority, {"goto turned"}};
    in.device = device;
    chains.push_back(std::move(out));
    chains.push_back(std::move(in));
  }
  chains.push_back({"turned", "", 0, turned()});
  chains.push_back({"sent", "", 0, sent()});
  chains.push_back({"port", "", 0, rules.always() + rules.checked(std::string(kToEverybody))});
  chains.push_back({"claimed", "", 0, rules.claimed()});
  table.chains.insert(table.chains.begin(), chains.begin(), chains.end());
  return table;
}

std::set<std::string> parentsIn(const nft::Listing& listing) {
  return devicesIn(listing, "out");
}

std::set<std::string> sharedIn(const nft::Listing& listing) {
  return devicesIn(listing, kSentBy);
}

std::vector<Port> onDevice(const Port& port) {
  std::vector<Port> ports;
  for (const IpAddress& address : port.addresses) {
    Port one = port;
    one.site = Site::SharedParent;
    one.addresses = {address};
    one.name = join(port.mac.str(), address.isV4() ? address.str() : hexOf(address));
    ports.push_back(std::move(one));
  }
  return ports;
}

bool isOnDevice(const nft::Elements& port) {
  return port.contains(kShared4) || port.contains(kShared6);
}

nft::Table podTable(const std::vector<std::pair<Port, PortSecurity>>& ports,
                    const std::set<std::uint16_t>& tunnelPorts) {
  SharedLinkLocals shared;
  for (const auto& [port, asked] : ports) {
    const bool isShared = port.site == Site::Pod && hasIpv6(port);
    if (isShared) shared.emplace(port.interface, sharedLinkLocalOf(port.mac));
  }
  const Rules rules(kByLink, std::move(shared));
  nft::Table table = rules.table();
  table.chains.insert(table.chains.begin(),
                      {{"sent", "", 0, sent()},
                       {"port", "", 0, rules.always() + rules.checked(std::string(kToEverybody))}});
  nft::Elements elements;
  elements[kTunnelSet] = tunnelElements(tunnelPorts);
  for (const auto& [port, asked] : ports) {
    Port link = port;
    link.name = port.interface;
    nft::insert(elementsOf(link, asked), elements);
    const PortSecurity security = effective(port, asked);
    nft::Chain out{chainOf("out", port.interface), "egress", kPriority, {}};
    out.device = port.interface;
    if (security != PortSecurity::Disabled) {
      out.rules.push_back("ether saddr != " + port.mac.str() + " " + to("source_mac"));
    }
    out.rules.emplace_back("goto sent");
    nft::Chain in{chainOf("in", port.interface), "ingress", kPriority, {}};
    in.device = port.interface;
    if (security == PortSecurity::Enforced) in.rules = claimsOf(port);
    table.chains.insert(table.chains.begin(), {std::move(out), std::move(in)});
  }
  for (nft::Set& set : table.sets) set.elements = elements[set.name];
  return table;
}

nft::Elements elementsOf(const Port& port, PortSecurity asked) {
  const PortSecurity security = effective(port, asked);
  nft::Elements elements;
  if (port.site == Site::SharedParent) {
    if (security != PortSecurity::Disabled)
      elements[hasIpv6(port) ? kShared6 : kShared4] = {port.name};
    return elements;
  }
  elements["ports"].insert(port.name);
  if (!hasIpv6(port) && !port.addresses.empty()) elements["no_ipv6"].insert(port.name);
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
  if (hasIpv6(port) && port.site != Site::Pod) addV6(linkLocalOf(port.mac));
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
  for (const char* const set : {kShared4, kShared6}) {
    const auto found = elements.find(set);
    if (found == elements.end()) continue;
    for (const std::string& element : found->second) ports[element][set].insert(element);
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
