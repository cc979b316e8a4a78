// Frames of an attacker, rule by rule, and in which modes of port security they get through.
#pragma once

#include "nodeagent/isolation/test_switch.h"

namespace multinet::agent::isolation {

/// In which modes a frame gets through.
enum class Passes : std::uint8_t { Always, UnlessEnforced, WhenDisabled, Never };
inline bool passes(Passes when, api::PortSecurity security) {
  switch (when) {
    case Passes::Always:
      return true;
    case Passes::UnlessEnforced:
      return security != api::PortSecurity::Enforced;
    case Passes::WhenDisabled:
      return security == api::PortSecurity::Disabled;
    case Passes::Never:
      break;
  }
  return false;
}

struct Case {
  const char* name;
  Bytes frame;
  Passes when;
  const char* reason;  ///< of the drop
};

inline constexpr unsigned kIpv4 = 0x0800;
inline constexpr unsigned kArp = 0x0806;
inline constexpr unsigned kIpv6 = 0x86DD;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kIgmp = 2;
inline constexpr std::uint8_t kIcmp6 = 58;
inline const std::string kAll4 = "255.255.255.255";
inline const std::string kAll6 = "ff02::1";

/// What a link has of its own, besides addresses.
struct Speaker {
  MacAddress mac;
  std::string linkLocal;
};

/// Frames of `sender`, which is `speaker`, to `receiver`, whose MAC is `you`.
inline std::vector<Case> spoofCases(const TestPod& sender, const TestPod& receiver,
                                    const MacAddress& you, const Speaker& speaker) {
  const MacAddress me = speaker.mac;
  const MacAddress stranger = macOf("02:66:66:66:66:66");
  const std::string my4 = sender.v4();
  const std::string your4 = receiver.v4();
  const std::string my6 = sender.v6();
  const std::string your6 = receiver.v6();
  const std::string myLink = speaker.linkLocal;
  const auto v4 = [&](const Bytes& packet) { return ethernet(you, me, kIpv4, packet); };
  const auto v6 = [&](const Bytes& packet) { return ethernet(you, me, kIpv6, packet); };
  const auto toAll = [&](unsigned type, const Bytes& packet) {
    return ethernet(kEverybody, me, type, packet);
  };
  const Bytes honest = v4(ipv4(my4, your4, kUdp, udp(5000, 5001)));
  // A header of options, then the upper layer; and one that promises more than there is.
  const Bytes options{kIcmp6, 0, 1, 4, 0, 0, 0, 0};
  const Bytes routerAdvert = icmp(134);
  const Bytes firstFragment = Bytes{kIcmp6, 0, 0, 1, 0, 0, 0, 9};  // more follow
  const Bytes hiddenFragment = Bytes{60, 0, 0, 1, 0, 0, 0, 9} + Bytes{kIcmp6, 1, 1, 4, 0, 0, 0, 0};
  return {
      {"own IPv4", honest, Passes::Always, ""},
      {"own IPv6", v6(ipv6(my6, your6, kUdp, udp(5000, 5001))), Passes::Always, ""},
      {"own ARP request", toAll(kArp, arp(1, me, my4, your4)), Passes::Always, ""},
      {"own ARP reply", ethernet(you, me, kArp, arp(2, me, my4, your4)), Passes::Always, ""},
      {"ARP probe", toAll(kArp, arp(1, me, "0.0.0.0", "10.20.0.9")), Passes::Always, ""},
      {"own neighbour question", v6(ipv6(my6, your6, kIcmp6, neighbour(135, your6))),
       Passes::Always, ""},
      {"from the link-local address", v6(ipv6(myLink, your6, kIcmp6, neighbour(135, your6))),
       Passes::Always, ""},
      {"own neighbour answer", v6(ipv6(my6, your6, kIcmp6, neighbour(136, my6))), Passes::Always,
       ""},
      {"answer for the link-local address", v6(ipv6(myLink, your6, kIcmp6, neighbour(136, myLink))),
       Passes::Always, ""},
      {"DAD", v6(ipv6("::", kAll6, kIcmp6, neighbour(135, my6))), Passes::Always, ""},
      {"MLD report", v6(ipv6("::", "ff02::16", kIcmp6, icmp(143), 1)), Passes::Always, ""},
      {"router solicitation", v6(ipv6(myLink, "ff02::2", kIcmp6, icmp(133))), Passes::Always, ""},
      {"later fragment of its own IPv6",
       v6(ipv6(my6, your6, 44, Bytes{kUdp, 0, 0, 8, 0, 0, 0, 9} + Bytes(16, 0))), Passes::Always,
       ""},
      {"later fragment of its own", v4(ipv4(my4, your4, kUdp, Bytes(32, 0), 4)), Passes::Always,
       ""},
      {"IGMP report", v4(ipv4(my4, "224.0.0.22", kIgmp, icmp(0x22))), Passes::Always, ""},

      {"1 foreign MAC", ethernet(you, stranger, kIpv4, ipv4(my4, your4, kUdp, udp(5000, 5001))),
       Passes::WhenDisabled, "source_mac"},
      {"2 LLDP to everybody", toAll(0x88CC, Bytes(60, 1)), Passes::WhenDisabled, "ethertype"},
      {"2 802.1X to a pod", ethernet(you, me, 0x888E, Bytes(60, 1)), Passes::WhenDisabled,
       "ethertype"},
      {"2 MPLS", ethernet(you, me, 0x8847, Bytes(60, 1)), Passes::WhenDisabled, "ethertype"},
      {"2 length field as of STP", ethernet(you, me, 38, Bytes(60, 0x42)), Passes::WhenDisabled,
       "ethertype"},
      {"2 RARP", toAll(0x8035, Bytes(60, 1)), Passes::WhenDisabled, "ethertype"},
      {"3 neighbour's IPv4", v4(ipv4(your4, your4, kUdp, udp(5000, 5001))), Passes::UnlessEnforced,
       "source_ipv4"},
      {"3 unspecified IPv4", toAll(kIpv4, ipv4("0.0.0.0", kAll4, kUdp, udp(68, 67))),
       Passes::UnlessEnforced, "source_ipv4"},
      {"3 fragment of the neighbour's", v4(ipv4(your4, your4, kUdp, Bytes(32, 0), 4)),
       Passes::UnlessEnforced, "source_ipv4"},
      {"4 neighbour's IPv6", v6(ipv6(your6, your6, kUdp, udp(5000, 5001))), Passes::UnlessEnforced,
       "source_ipv6"},
      {"4 another link-local", v6(ipv6("fe80::66", your6, kUdp, udp(5000, 5001))),
       Passes::UnlessEnforced, "source_ipv6"},
      {"4 unspecified IPv6 with UDP", v6(ipv6("::", your6, kUdp, udp(5000, 5001))),
       Passes::UnlessEnforced, "source_ipv6"},
      {"4 upper layer out of sight", v6(ipv6(my6, your6, 44, hiddenFragment)), Passes::WhenDisabled,
       "malformed"},
      {"5 ARP for the neighbour's address", toAll(kArp, arp(2, me, your4, my4)),
       Passes::UnlessEnforced, "arp"},
      {"5 ARP with another sender MAC", toAll(kArp, arp(1, stranger, my4, your4)),
       Passes::UnlessEnforced, "arp"},
      {"5 ARP of another kind", toAll(kArp, arp(8, me, my4, your4)), Passes::UnlessEnforced, "arp"},
      {"6 answer for the neighbour", v6(ipv6(my6, kAll6, kIcmp6, neighbour(136, your6))),
       Passes::UnlessEnforced, "neighbour"},
      {"6 DAD of the neighbour's address", v6(ipv6("::", kAll6, kIcmp6, neighbour(135, your6))),
       Passes::UnlessEnforced, "neighbour"},
      {"6 question from the neighbour's address",
       v6(ipv6(your6, kAll6, kIcmp6, neighbour(135, my6))), Passes::UnlessEnforced, "source_ipv6"},
      {"6 answer that was routed", v6(ipv6(my6, your6, kIcmp6, neighbour(136, my6), 64)),
       Passes::UnlessEnforced, "neighbour"},
      {"6 answer without a target",
       v6(ipv6(my6, your6, 44, firstFragment + Bytes{136, 0, 0, 0, 0, 0, 0, 0})),
       Passes::UnlessEnforced, "neighbour"},
      {"7 RA", v6(ipv6(myLink, kAll6, kIcmp6, routerAdvert)), Passes::WhenDisabled, "router"},
      {"7 RA behind options", v6(ipv6(myLink, kAll6, 60, options + routerAdvert)),
       Passes::WhenDisabled, "router"},
      {"7 RA in a fragment", v6(ipv6(myLink, kAll6, 44, firstFragment + routerAdvert)),
       Passes::WhenDisabled, "router"},
      {"7 IPv6 redirect", v6(ipv6(myLink, your6, kIcmp6, icmp(137))), Passes::WhenDisabled,
       "router"},
      {"7 IPv4 redirect", v4(ipv4(my4, your4, kIcmp, icmp(5))), Passes::WhenDisabled, "router"},
      {"7 MLD query", v6(ipv6(myLink, kAll6, kIcmp6, icmp(130), 1)), Passes::WhenDisabled,
       "router"},
      {"7 IGMP query", v4(ipv4(my4, "224.0.0.1", kIgmp, icmp(0x11))), Passes::WhenDisabled,
       "router"},
      {"8 DHCP offer", toAll(kIpv4, ipv4(my4, kAll4, kUdp, udp(67, 68))), Passes::WhenDisabled,
       "dhcp"},
      {"8 DHCP offer from another port", toAll(kIpv4, ipv4(my4, kAll4, kUdp, udp(6700, 68))),
       Passes::WhenDisabled, "dhcp"},
      {"8 DHCPv6 advertise", v6(ipv6(myLink, your6, kUdp, udp(547, 546))), Passes::WhenDisabled,
       "dhcp"},
      {"9 to a tunnel's port", v4(ipv4(my4, your4, kUdp, udp(5000, 4799))), Passes::Never,
       "tunnel"},
      {"9 to a tunnel's port by IPv6", v6(ipv6(my6, your6, kUdp, udp(5000, 4799))), Passes::Never,
       "tunnel"},
      {"9 behind options",
       v6(ipv6(my6, your6, 60, Bytes{kUdp, 0, 1, 4, 0, 0, 0, 0} + udp(1, 4799))), Passes::Never,
       "tunnel"},
      {"9 first fragment", v4(ipv4(my4, your4, kUdp, udp(5000, 4799), 0x2000)), Passes::Never,
       "tunnel"},
      // Last: where it passes, the bridge takes the port for the neighbour's.
      {"1 neighbour's MAC", ethernet(kEverybody, you, kArp, arp(1, me, my4, your4)),
       Passes::WhenDisabled, "source_mac"},
  };
}

inline std::vector<Case> spoofCases(const TestPod& sender, const TestPod& receiver,
                                    const MacAddress& you) {
  return spoofCases(sender, receiver, you, {sender.mac(), sender.linkLocal()});
}

enum class Way : std::uint8_t { Queue, Bypass, Xdp };

}  // namespace multinet::agent::isolation
