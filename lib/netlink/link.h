// Links: what the kernel says of one, and the requests that make, change and remove them. Pure.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/netlink/socket.h"

namespace multinet::netlink {

/// IFLA_VXLAN_DF: whether outer packets carry "don't fragment".
enum class VxlanDf : std::uint8_t { Unset = 0, Set = 1, Inherit = 2 };

/// A number of a link's kind (IFLA_INFO_DATA) or of a bridge's port (IFLA_INFO_SLAVE_DATA).
struct Setting {
  std::uint16_t attribute = 0;
  std::uint8_t bytes = 0;  ///< of the number: 1, 2 or 4
  std::uint32_t value = 0;
  bool operator==(const Setting&) const = default;
};

struct VxlanInfo {
  std::uint32_t vni = 0;
  std::uint16_t port = 0;
  int underlayIndex = 0;
  std::optional<IpAddress> local;
  bool learning = false;
  VxlanDf df = VxlanDf::Unset;
  bool changed =
      false;  ///< it has another TTL, default remote or the like than createVxlan() gives
  bool operator==(const VxlanInfo&) const = default;
};

/// A link as RTM_NEWLINK tells it.
struct LinkInfo {
  int index = 0;
  std::string name;
  std::string alias;
  std::string kind;  ///< `veth`, `bridge`, `vxlan`, `macvlan`, ...; empty for physical ones
  MacAddress mac;
  unsigned mtu = 0;
  bool up = false;       ///< administratively (IFF_UP)
  bool carrier = false;  ///< IFF_LOWER_UP
  bool speaks = true;  ///< it asks for neighbours and sends to groups: no IFF_NOARP, IFF_MULTICAST
  int master = 0;      ///< ifindex, 0 for none
  int lower = 0;       ///< IFLA_LINK: parent or veth peer, an index in `lowerNetns` if that is set
  std::optional<std::int32_t> lowerNetns;
  std::optional<VxlanInfo> vxlan;
  std::optional<std::uint16_t> vlanId;  ///< of an 802.1Q device
  std::uint16_t udpPort = 0;            ///< at which a VXLAN or GENEVE link listens
  /// Of a macvlan or ipvlan: the kernel's mode, and its flags in the upper half (see setMode()).
  std::optional<std::uint32_t> mode;
  /// What puts a bridge, or an 802.1Q device, back to what it was made with; empty where nothing
  /// differs.
  std::vector<Setting> changed{};
  /// Of a bridge: its IP frames pass netfilter's hooks of family inet, too (br_netfilter).
  bool callsInet = false;
  /// The same for a port of a bridge: what the kernel gives to each.
  std::vector<Setting> changedPort{};
  /// What stands below `/proc/sys/net/ipv6/conf/<link>/`, by DEVCONF_* of linux/ipv6.h; empty where
  /// the link has no IPv6.
  std::vector<std::int32_t> inet6{};
  bool operator==(const LinkInfo&) const = default;
};

/// `payload` of RTM_NEWLINK or RTM_DELLINK.
[[nodiscard]] Result<LinkInfo> decodeLink(Bytes payload);

/// A veth pair: the host end in the socket's namespace, the pod end born in another one.
struct VethSpec {
  std::string hostName;
  std::string bridge;   ///< for texts only
  int bridgeIndex = 0;  ///< master of the host end
  MacAddress hostMac;   ///< zero: the kernel chooses
  std::string peerName;
  int peerNetns = -1;  ///< descriptor of the target namespace; -1: the socket's
  int peerIndex = 0;   ///< wanted ifindex there, 0: the kernel chooses
  MacAddress peerMac;
  unsigned mtu = 0;  ///< bytes, of both ends
};
/// The host end comes up at once. The peer cannot (ENOTCONN from the kernel's veth_newlink).
[[nodiscard]] Request createVeth(const VethSpec& spec);

/// A number that a kind of link takes: `IFLA_MACVLAN_MODE` and the like of linux/if_link.h.
struct LinkOption {
  std::uint16_t attribute = 0;
  std::variant<std::uint16_t, std::uint32_t> value;
};
/// A link that stands on another one: a macvlan, an ipvlan, a VLAN.
struct StackedSpec {
  std::string kind{};  ///< the kernel's word
  std::string name{};
  std::string parent{};  ///< for texts only
  int parentIndex = 0;
  std::vector<LinkOption> options{};
  int netns = -1;    ///< descriptor of the namespace in which it is born; -1: the socket's
  int index = 0;     ///< wanted ifindex there, 0: the kernel chooses
  MacAddress mac{};  ///< zero: the kernel chooses, or takes the parent's
  unsigned mtu = 0;  ///< bytes; 0: the parent's
};
[[nodiscard]] Request createStacked(const StackedSpec& spec);

struct MacvlanSpec {
  std::string name;
  std::string parent;  ///< for texts only
  int parentIndex = 0;
  std::uint32_t mode = 0;  ///< MACVLAN_MODE_* of linux/if_link.h
  int netns = -1;          ///< descriptor of the target namespace; -1: the socket's
  int index = 0;           ///< wanted ifindex there, 0: the kernel chooses
  MacAddress mac;
  unsigned mtu = 0;
};
[[nodiscard]] Request createMacvlan(const MacvlanSpec& spec);

struct BridgeSpec {
  std::string name;
  MacAddress mac;  ///< fixed: else a bridge takes the lowest of its ports and changes with them
  unsigned mtu = 0;
};
/// Forwards at once (no STP, no forward delay) and floods multicast (no querier is there to snoop).
[[nodiscard]] Request createBridge(const BridgeSpec& spec);
enum class CallsInet : std::uint8_t { No, Yes };
/// Whether IP frames of this bridge pass netfilter's hooks of family inet, too.
[[nodiscard]] Request setCallsInet(const LinkRef& bridge, CallsInet calls);

struct VxlanSpec {
  std::string name;
  MacAddress mac;
  unsigned mtu = 0;
  VxlanInfo vxlan;
  /// Descriptor of the namespace in which the link is born; -1: the socket's. Its UDP socket and
  /// its underlay are always in the socket's (rtnl_newlink: the link's source namespace).
  int netns = -1;
};
/// Without a default destination: who gets flooded frames is in the FDB (see neighbour.h).
[[nodiscard]] Request createVxlan(const VxlanSpec& spec);

[[nodiscard]] Request setUp(const LinkRef& link);
[[nodiscard]] Request setDown(const LinkRef& link);
[[nodiscard]] Request setMtu(const LinkRef& link, unsigned mtu);
[[nodiscard]] Request setMac(const LinkRef& link, const MacAddress& mac);
[[nodiscard]] Request setAlias(const LinkRef& link, const std::string& alias);
/// A number below `/proc/sys/net/ipv4/conf/<link>/`, by the kernel's name for it: IPV4_DEVCONF_* of
/// linux/ip.h. IPv6 has none that can be set so.
struct InetConf {
  std::uint16_t key = 0;
  std::uint32_t value = 0;
};
/// What is set at once; what is empty or 0 stays as it is. Before Linux 6.2 a link that is up
/// refuses a name, even the one that it has (dev_change_name in net/core/dev.c).
struct LinkLabel {
  std::string name{};
  std::string alias{};
  unsigned mtu = 0;
  std::vector<InetConf> inet{};
};
[[nodiscard]] Request relabel(int index, const LinkLabel& label);
/// Puts numbers of a link's kind, or of a port, back; see LinkInfo::changed and changedPort.
[[nodiscard]] Request setKind(const LinkInfo& link);
[[nodiscard]] Request setPort(const LinkInfo& link);
/// Of a macvlan or ipvlan (`kind`). The kernel has one mode for all ipvlans of a device.
[[nodiscard]] Request setMode(const LinkRef& link, const std::string& kind, std::uint32_t mode);
/// See LinkInfo::speaks.
[[nodiscard]] Request setSpeaking(const LinkRef& link);
/// `master` 0 takes it out of its bridge.
[[nodiscard]] Request setMaster(const LinkRef& link, int master);
/// Puts a link into another namespace (a descriptor), under its name; it arrives down and without
/// its bridge. Alias and MAC go with it. Bridges can't be moved.
[[nodiscard]] Request moveLink(const LinkRef& link, int netns);
[[nodiscard]] Request setGroup(const LinkRef& link, std::uint32_t group);
[[nodiscard]] Request deleteLink(const LinkRef& link);
/// All links of the group at once, for the price of one (one RCU wait: rtnl_group_dellink).
[[nodiscard]] Request deleteGroup(std::uint32_t group);

[[nodiscard]] Request getLink(const LinkRef& link);
struct LinkFilter {
  std::string kind;  ///< empty: all
  int master = 0;    ///< 0: all
};
[[nodiscard]] Request listLinks(const LinkFilter& filter = {});

/// NotFound where there is none.
[[nodiscard]] Result<LinkInfo> findLink(Socket& socket, const LinkRef& link);
[[nodiscard]] Result<std::vector<LinkInfo>> findLinks(Socket& socket,
                                                      const LinkFilter& filter = {});

}  // namespace multinet::netlink
