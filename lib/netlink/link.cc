#include "lib/netlink/link.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <array>
#include <span>

namespace multinet::netlink {
namespace {

constexpr std::uint16_t kChange = NLM_F_ACK;
constexpr std::uint16_t kCreate = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

ifinfomsg linkHeader(int index) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  return header;
}

std::string text(const LinkRef& link) {
  return link.name.empty() ? "index " + std::to_string(link.index) : link.name;
}

/// RTM_SETLINK finds the link by index, else by name.
Message change(const LinkRef& link, ifinfomsg header = {}) {
  Message message(RTM_SETLINK, kChange);
  header.ifi_index = link.index;
  message.header(header);
  if (link.index == 0) message.put(IFLA_IFNAME, link.name);
  return message;
}

ifinfomsg upHeader() {
  ifinfomsg header{};
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  return header;
}

std::uint32_t u32(int value) {
  return static_cast<std::uint32_t>(value);
}
int indexOf(const std::optional<std::uint32_t>& value) {
  return static_cast<int>(value.value_or(0));
}

// What a frame's way depends on, as links of ours are made with: createBridge() and the kernel's
// own values (br_dev_setup, new_nbp, vxlan_setup).
constexpr std::array kBridge = {
    Setting{IFLA_BR_STP_STATE, 4, 0},        Setting{IFLA_BR_FORWARD_DELAY, 4, 0},
    Setting{IFLA_BR_AGEING_TIME, 4, 30'000}, Setting{IFLA_BR_VLAN_FILTERING, 1, 0},
    Setting{IFLA_BR_MCAST_SNOOPING, 1, 0},   Setting{IFLA_BR_NF_CALL_ARPTABLES, 1, 0},
};
/// Nothing is learnt from frames that a bridge keeps for itself: those pass no rule of nftables
/// (br_handle_frame, LLDP), and who sends them could take another's MAC.
constexpr Setting kLearnsNoLinkLocal = {IFLA_BR_MULTI_BOOLOPT, sizeof(br_boolopt_multi),
                                        1U << BR_BOOLOPT_NO_LL_LEARN};
constexpr Setting kForwards = {IFLA_BRPORT_STATE, 1, BR_STATE_FORWARDING};
constexpr std::array kPort = {
    Setting{IFLA_BRPORT_MODE, 1, 0},           Setting{IFLA_BRPORT_GUARD, 1, 0},
    Setting{IFLA_BRPORT_PROTECT, 1, 0},        Setting{IFLA_BRPORT_LEARNING, 1, 1},
    Setting{IFLA_BRPORT_UNICAST_FLOOD, 1, 1},  Setting{IFLA_BRPORT_MCAST_FLOOD, 1, 1},
    Setting{IFLA_BRPORT_BCAST_FLOOD, 1, 1},    Setting{IFLA_BRPORT_MCAST_TO_UCAST, 1, 0},
    Setting{IFLA_BRPORT_PROXYARP, 1, 0},       Setting{IFLA_BRPORT_PROXYARP_WIFI, 1, 0},
    Setting{IFLA_BRPORT_NEIGH_SUPPRESS, 1, 0}, Setting{IFLA_BRPORT_VLAN_TUNNEL, 1, 0},
    Setting{IFLA_BRPORT_ISOLATED, 1, 0},       Setting{IFLA_BRPORT_LOCKED, 1, 0},
};
constexpr std::array kVxlan = {
    Setting{IFLA_VXLAN_TTL, 1, 0},         Setting{IFLA_VXLAN_TOS, 1, 0},
    Setting{IFLA_VXLAN_AGEING, 4, 300},    Setting{IFLA_VXLAN_LIMIT, 4, 0},
    Setting{IFLA_VXLAN_PROXY, 1, 0},       Setting{IFLA_VXLAN_RSC, 1, 0},
    Setting{IFLA_VXLAN_L2MISS, 1, 0},      Setting{IFLA_VXLAN_L3MISS, 1, 0},
    Setting{IFLA_VXLAN_TTL_INHERIT, 1, 0},
};

/// Those of `made` that the kernel has and that have another value.
std::vector<Setting> changedIn(const Attributes& data, std::span<const Setting> made) {
  std::vector<Setting> changed;
  for (const Setting& one : made) {
    const auto narrow = data.u8(one.attribute);
    const auto wide = data.u32(one.attribute);
    const auto found = one.bytes == 1 ? std::optional<std::uint32_t>(narrow) : wide;
    if (found && *found != one.value) changed.push_back(one);
  }
  return changed;
}

/// A port that is down, or without a carrier, doesn't forward by itself.
std::vector<Setting> changedPort(const Attributes& data, const LinkInfo& link) {
  auto changed = changedIn(data, kPort);
  if (link.up && link.carrier) {
    const auto stopped = changedIn(data, {&kForwards, 1});
    changed.insert(changed.end(), stopped.begin(), stopped.end());
  }
  return changed;
}

/// IFLA_VLAN_FLAGS is a pair of flags and mask; by itself a device has VLAN_FLAG_REORDER_HDR alone.
std::vector<Setting> changedVlan(const Attributes& data) {
  const auto found = data.find(IFLA_VLAN_FLAGS);
  ifla_vlan_flags flags{};
  if (!found || found->size() < sizeof flags) return {};
  std::memcpy(&flags, found->data(), sizeof flags);
  if (flags.flags == VLAN_FLAG_REORDER_HDR) return {};
  return {{IFLA_VLAN_FLAGS, sizeof flags, flags.flags ^ VLAN_FLAG_REORDER_HDR}};
}

std::vector<Setting> changedBridge(const Attributes& data) {
  auto changed = changedIn(data, kBridge);
  const auto found = data.find(IFLA_BR_MULTI_BOOLOPT);
  br_boolopt_multi options{};
  if (!found || found->size() < sizeof options) return changed;
  std::memcpy(&options, found->data(), sizeof options);
  const bool differs =
      ((options.optval ^ kLearnsNoLinkLocal.value) & kLearnsNoLinkLocal.value) != 0;
  if (differs) changed.push_back(kLearnsNoLinkLocal);
  return changed;
}

/// A struct of numbers as an attribute's bytes.
template <class Struct>
void putStruct(Message& message, std::uint16_t attribute, const Struct& value) {
  std::array<std::uint8_t, sizeof value> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  message.put(attribute, Bytes(bytes));
}

void put(Message& message, const Setting& setting) {
  if (setting.attribute == IFLA_BR_MULTI_BOOLOPT && setting.bytes == sizeof(br_boolopt_multi)) {
    putStruct(message, setting.attribute,
              br_boolopt_multi{setting.value, kLearnsNoLinkLocal.value});
  } else if (setting.attribute == IFLA_VLAN_FLAGS && setting.bytes == sizeof(ifla_vlan_flags)) {
    putStruct(message, setting.attribute, ifla_vlan_flags{VLAN_FLAG_REORDER_HDR, setting.value});
  } else if (setting.bytes == 1) {
    message.putU8(setting.attribute, static_cast<std::uint8_t>(setting.value));
  } else {
    message.putU32(setting.attribute, setting.value);
  }
}

/// RTM_SETLINK doesn't look at a link's kind; this one changes it where the link is there.
Message changeKind(const LinkRef& link) {
  Message message(RTM_NEWLINK, kChange);
  message.header(linkHeader(link.index));
  if (link.index == 0) message.put(IFLA_IFNAME, link.name);
  return message;
}

std::optional<std::uint32_t> decodeMode(const std::string& kind, const Attributes& data) {
  const bool isMacvlan = kind == "macvlan";
  const auto narrow = data.u16(IFLA_IPVLAN_MODE);
  const auto mode = isMacvlan ? data.u32(IFLA_MACVLAN_MODE) : std::optional<std::uint32_t>(narrow);
  if (!mode) return std::nullopt;
  const auto flags = isMacvlan ? data.u16(IFLA_MACVLAN_FLAGS) : data.u16(IFLA_IPVLAN_FLAGS);
  return *mode | (static_cast<std::uint32_t>(flags.value_or(0)) << 16U);
}

VxlanInfo decodeVxlan(const Attributes& data) {
  VxlanInfo vxlan;
  vxlan.vni = data.u32(IFLA_VXLAN_ID).value_or(0);
  vxlan.port = data.u16Network(IFLA_VXLAN_PORT).value_or(0);
  vxlan.underlayIndex = indexOf(data.u32(IFLA_VXLAN_LINK));
  vxlan.local = data.ip(IFLA_VXLAN_LOCAL);
  if (!vxlan.local) vxlan.local = data.ip(IFLA_VXLAN_LOCAL6);
  vxlan.learning = data.u8(IFLA_VXLAN_LEARNING).value_or(0) != 0;
  vxlan.df = static_cast<VxlanDf>(data.u8(IFLA_VXLAN_DF).value_or(0));
  vxlan.changed = !changedIn(data, kVxlan).empty() || data.find(IFLA_VXLAN_GROUP) ||
                  data.find(IFLA_VXLAN_GROUP6);
  return vxlan;
}

}  // namespace

Result<LinkInfo> decodeLink(Bytes payload) {
  MULTINET_TRY(const auto header, readHeader<ifinfomsg>(payload));
  MULTINET_TRY(const auto attributes, Attributes::parse(payload, sizeof header));
  LinkInfo link;
  link.index = header.ifi_index;
  link.up = (header.ifi_flags & IFF_UP) != 0;
  link.carrier =
      (header.ifi_flags & 0x10000U) != 0;  // IFF_LOWER_UP; linux/if.h clashes with net/if.h
  link.speaks = (header.ifi_flags & IFF_NOARP) == 0 && (header.ifi_flags & IFF_MULTICAST) != 0;
  link.name = attributes.text(IFLA_IFNAME).value_or("");
  link.alias = attributes.text(IFLA_IFALIAS).value_or("");
  link.mac = attributes.mac(IFLA_ADDRESS).value_or(MacAddress{});
  link.mtu = attributes.u32(IFLA_MTU).value_or(0);
  link.master = indexOf(attributes.u32(IFLA_MASTER));
  link.lower = indexOf(attributes.u32(IFLA_LINK));
  if (const auto id = attributes.u32(IFLA_LINK_NETNSID)) {
    link.lowerNetns = static_cast<std::int32_t>(*id);
  }
  const Attributes families = attributes.nested(IFLA_AF_SPEC);
  if (const auto conf = families.nested(AF_INET6).find(IFLA_INET6_CONF)) {
    link.inet6.resize(conf->size() / sizeof link.inet6[0]);
    if (!link.inet6.empty()) {
      std::memcpy(link.inet6.data(), conf->data(), link.inet6.size() * sizeof link.inet6[0]);
    }
  }
  const Attributes info = attributes.nested(IFLA_LINKINFO);
  link.kind = info.text(IFLA_INFO_KIND).value_or("");
  const Attributes data = info.nested(IFLA_INFO_DATA);
  if (link.kind == "vxlan") link.vxlan = decodeVxlan(data);
  if (link.vxlan) link.udpPort = link.vxlan->port;
  if (link.kind == "vlan") link.vlanId = data.u16(IFLA_VLAN_ID);
  if (link.kind == "bridge") {
    link.changed = changedBridge(data);
    link.callsInet = data.u8(IFLA_BR_NF_CALL_IPTABLES).value_or(0) != 0 &&
                     data.u8(IFLA_BR_NF_CALL_IP6TABLES).value_or(0) != 0;
  }
  if (link.kind == "vlan") link.changed = changedVlan(data);
  if (link.kind == "macvlan" || link.kind == "ipvlan") link.mode = decodeMode(link.kind, data);
  if (info.text(IFLA_INFO_SLAVE_KIND) == "bridge") {
    link.changedPort = changedPort(info.nested(IFLA_INFO_SLAVE_DATA), link);
  }
  if (link.kind == "geneve") link.udpPort = data.u16Network(IFLA_GENEVE_PORT).value_or(0);
  return link;
}

Request createVeth(const VethSpec& spec) {
  Message message(RTM_NEWLINK, kCreate);
  message.header(upHeader());
  message.put(IFLA_IFNAME, spec.hostName);
  message.putU32(IFLA_MTU, spec.mtu);
  if (spec.hostMac != MacAddress{}) message.put(IFLA_ADDRESS, spec.hostMac);
  if (spec.bridgeIndex != 0) message.putU32(IFLA_MASTER, u32(spec.bridgeIndex));
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.put(IFLA_INFO_KIND, "veth");
    info.nest(IFLA_INFO_DATA, [&](Message& data) {
      data.nest(VETH_INFO_PEER, [&](Message& peer) {
        peer.header(linkHeader(spec.peerIndex));
        peer.put(IFLA_IFNAME, spec.peerName);
        peer.put(IFLA_ADDRESS, spec.peerMac);
        peer.putU32(IFLA_MTU, spec.mtu);
        if (spec.peerNetns >= 0) peer.putU32(IFLA_NET_NS_FD, u32(spec.peerNetns));
      });
    });
  });
  return {std::move(message), "create veth " + spec.peerName + " on bridge " + spec.bridge};
}

Request createStacked(const StackedSpec& spec) {
  Message message(RTM_NEWLINK, kCreate);
  message.header(linkHeader(spec.index));
  message.put(IFLA_IFNAME, spec.name);
  message.putU32(IFLA_LINK, u32(spec.parentIndex));
  if (spec.mac != MacAddress{}) message.put(IFLA_ADDRESS, spec.mac);
  if (spec.mtu != 0) message.putU32(IFLA_MTU, spec.mtu);
  if (spec.netns >= 0) message.putU32(IFLA_NET_NS_FD, u32(spec.netns));
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.put(IFLA_INFO_KIND, spec.kind);
    info.nest(IFLA_INFO_DATA, [&](Message& data) {
      for (const LinkOption& option : spec.options) {
        if (const auto* narrow = std::get_if<std::uint16_t>(&option.value)) {
          data.putU16(option.attribute, *narrow);
        } else {
          data.putU32(option.attribute, std::get<std::uint32_t>(option.value));
        }
      }
    });
  });
  return {std::move(message), "create " + spec.kind + " " + spec.name + " on " + spec.parent};
}

Request createMacvlan(const MacvlanSpec& spec) {
  return createStacked({.kind = "macvlan",
                        .name = spec.name,
                        .parent = spec.parent,
                        .parentIndex = spec.parentIndex,
                        .options = {{IFLA_MACVLAN_MODE, spec.mode}},
                        .netns = spec.netns,
                        .index = spec.index,
                        .mac = spec.mac,
                        .mtu = spec.mtu});
}

Request createBridge(const BridgeSpec& spec) {
  Message message(RTM_NEWLINK, kCreate);
  message.header(linkHeader(0));
  message.put(IFLA_IFNAME, spec.name);
  message.put(IFLA_ADDRESS, spec.mac);
  message.putU32(IFLA_MTU, spec.mtu);
  message.nest(IFLA_LINKINFO, [](Message& info) {
    info.put(IFLA_INFO_KIND, "bridge");
    info.nest(IFLA_INFO_DATA, [](Message& data) {
      data.putU32(IFLA_BR_FORWARD_DELAY, 0);
      data.putU32(IFLA_BR_STP_STATE, 0);
      data.putU8(IFLA_BR_MCAST_SNOOPING, 0);
      put(data, kLearnsNoLinkLocal);
    });
  });
  return {std::move(message), "create bridge " + spec.name};
}

Request createVxlan(const VxlanSpec& spec) {
  Message message(RTM_NEWLINK, kCreate);
  message.header(linkHeader(0));
  message.put(IFLA_IFNAME, spec.name);
  message.put(IFLA_ADDRESS, spec.mac);
  message.putU32(IFLA_MTU, spec.mtu);
  if (spec.netns >= 0) message.putU32(IFLA_NET_NS_FD, u32(spec.netns));
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.put(IFLA_INFO_KIND, "vxlan");
    info.nest(IFLA_INFO_DATA, [&](Message& data) {
      data.putU32(IFLA_VXLAN_ID, spec.vxlan.vni);
      data.putU16Network(IFLA_VXLAN_PORT, spec.vxlan.port);
      data.putU8(IFLA_VXLAN_LEARNING, spec.vxlan.learning ? 1 : 0);
      data.putU8(IFLA_VXLAN_DF, static_cast<std::uint8_t>(spec.vxlan.df));
      if (spec.vxlan.underlayIndex != 0) {
        data.putU32(IFLA_VXLAN_LINK, u32(spec.vxlan.underlayIndex));
      }
      if (spec.vxlan.local) {
        data.put(spec.vxlan.local->isV4() ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6,
                 *spec.vxlan.local);
      }
    });
  });
  return {std::move(message), "create vxlan " + spec.name};
}

Request setCallsInet(const LinkRef& bridge, CallsInet calls) {
  Message message = changeKind(bridge);
  const auto value = static_cast<std::uint8_t>(calls);
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.put(IFLA_INFO_KIND, "bridge");
    info.nest(IFLA_INFO_DATA, [&](Message& data) {
      data.putU8(IFLA_BR_NF_CALL_IPTABLES, value);
      data.putU8(IFLA_BR_NF_CALL_IP6TABLES, value);
    });
  });
  return {std::move(message), "set what sees the frames of bridge " + text(bridge)};
}

Request setUp(const LinkRef& link) {
  return {change(link, upHeader()), "set link " + text(link) + " up"};
}

Request setDown(const LinkRef& link) {
  ifinfomsg header{};
  header.ifi_change = IFF_UP;
  return {change(link, header), "set link " + text(link) + " down"};
}

Request setMtu(const LinkRef& link, unsigned mtu) {
  Message message = change(link);
  message.putU32(IFLA_MTU, mtu);
  return {std::move(message), "set MTU of link " + text(link) + " to " + std::to_string(mtu)};
}

Request setMac(const LinkRef& link, const MacAddress& mac) {
  Message message = change(link);
  message.put(IFLA_ADDRESS, mac);
  return {std::move(message), "set MAC of link " + text(link) + " to " + mac.str()};
}

Request setAlias(const LinkRef& link, const std::string& alias) {
  Message message = change(link);
  message.put(IFLA_IFALIAS, alias);
  return {std::move(message), "mark link " + text(link)};
}

Request relabel(int index, const LinkLabel& label) {
  Message message = change(LinkRef{index, {}});
  if (label.mtu != 0) message.putU32(IFLA_MTU, label.mtu);
  if (!label.name.empty()) message.put(IFLA_IFNAME, label.name);
  if (!label.alias.empty()) message.put(IFLA_IFALIAS, label.alias);
  if (!label.inet.empty()) {
    message.nest(IFLA_AF_SPEC, [&](Message& families) {
      families.nest(AF_INET, [&](Message& inet) {
        inet.nest(IFLA_INET_CONF, [&](Message& conf) {
          for (const InetConf& one : label.inet) conf.putU32(one.key, one.value);
        });
      });
    });
  }
  const std::string& told = label.name.empty() ? label.alias : label.name;
  return {std::move(message), "label link " + (told.empty() ? text({index, {}}) : told)};
}

Request setKind(const LinkInfo& link) {
  Message message = changeKind({link.index, link.name});
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.put(IFLA_INFO_KIND, link.kind);
    info.nest(IFLA_INFO_DATA, [&](Message& data) {
      for (const Setting& setting : link.changed) put(data, setting);
    });
  });
  return {std::move(message), "put settings of " + link.kind + " " + link.name + " back"};
}

Request setPort(const LinkInfo& link) {
  Message message = changeKind({link.index, link.name});
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.put(IFLA_INFO_SLAVE_KIND, "bridge");
    info.nest(IFLA_INFO_SLAVE_DATA, [&](Message& data) {
      for (const Setting& setting : link.changedPort) put(data, setting);
    });
  });
  return {std::move(message), "put settings of bridge port " + link.name + " back"};
}

Request setMode(const LinkRef& link, const std::string& kind, std::uint32_t mode) {
  const auto number = mode & 0xffffU;
  const auto flags = static_cast<std::uint16_t>(mode >> 16U);
  Message message = changeKind(link);
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.put(IFLA_INFO_KIND, kind);
    info.nest(IFLA_INFO_DATA, [&](Message& data) {
      if (kind == "macvlan") {
        data.putU32(IFLA_MACVLAN_MODE, number).putU16(IFLA_MACVLAN_FLAGS, flags);
      } else {
        data.putU16(IFLA_IPVLAN_MODE, static_cast<std::uint16_t>(number));
        data.putU16(IFLA_IPVLAN_FLAGS, flags);
      }
    });
  });
  return {std::move(message), "set mode of " + kind + " " + text(link)};
}

Request setSpeaking(const LinkRef& link) {
  ifinfomsg header{};
  header.ifi_flags = IFF_MULTICAST;
  header.ifi_change = IFF_MULTICAST | IFF_NOARP;
  return {change(link, header), "let link " + text(link) + " speak to its neighbours"};
}

Request setMaster(const LinkRef& link, int master) {
  Message message = change(link);
  message.putU32(IFLA_MASTER, u32(master));
  return {std::move(message), "set bridge of link " + text(link)};
}

Request moveLink(const LinkRef& link, int netns) {
  Message message = change(link);
  message.putU32(IFLA_NET_NS_FD, u32(netns));
  return {std::move(message), "move link " + text(link)};
}

Request setGroup(const LinkRef& link, std::uint32_t group) {
  Message message = change(link);
  message.putU32(IFLA_GROUP, group);
  return {std::move(message), "set group of link " + text(link)};
}

Request deleteLink(const LinkRef& link) {
  Message message(RTM_DELLINK, kChange);
  message.header(linkHeader(link.index));
  if (link.index == 0) message.put(IFLA_IFNAME, link.name);
  return {std::move(message), "delete link " + text(link)};
}

Request deleteGroup(std::uint32_t group) {
  Message message(RTM_DELLINK, kChange);
  message.header(linkHeader(0));
  message.putU32(IFLA_GROUP, group);
  return {std::move(message), "delete links of group " + std::to_string(group)};
}

Request getLink(const LinkRef& link) {
  Message message(RTM_GETLINK, 0);
  message.header(linkHeader(link.index));
  if (link.index == 0) message.put(IFLA_IFNAME, link.name);
  message.putU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return {std::move(message), "find link " + text(link)};
}

Request listLinks(const LinkFilter& filter) {
  Message message(RTM_GETLINK, NLM_F_DUMP);
  message.header(linkHeader(0));
  message.putU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);  // nobody here reads counters
  if (filter.master != 0) message.putU32(IFLA_MASTER, u32(filter.master));
  if (!filter.kind.empty()) {
    message.nest(IFLA_LINKINFO, [&](Message& info) { info.put(IFLA_INFO_KIND, filter.kind); });
  }
  return {std::move(message), "list links"};
}

Result<LinkInfo> findLink(Socket& socket, const LinkRef& link) {
  MULTINET_TRY(const auto payload, socket.get(getLink(link)));
  return decodeLink(payload);
}

Result<std::vector<LinkInfo>> findLinks(Socket& socket, const LinkFilter& filter) {
  std::vector<LinkInfo> links;
  std::optional<Error> broken;
  MULTINET_CHECK(socket.dump(listLinks(filter), [&](const Frame& frame) {
    if (frame.type != RTM_NEWLINK) return;
    auto link = decodeLink(frame.payload);
    if (!link) {
      broken = link.error();
    } else if ((filter.kind.empty() || filter.kind == link->kind) &&
               (filter.master == 0 || filter.master == link->master)) {
      links.push_back(std::move(*link));
    }
  }));
  if (broken) return fail(*broken);
  return links;
}

}  // namespace multinet::netlink
