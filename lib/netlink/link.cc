#include "lib/netlink/link.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

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

VxlanInfo decodeVxlan(const Attributes& data) {
  VxlanInfo vxlan;
  vxlan.vni = data.u32(IFLA_VXLAN_ID).value_or(0);
  vxlan.port = data.u16Network(IFLA_VXLAN_PORT).value_or(0);
  vxlan.underlayIndex = indexOf(data.u32(IFLA_VXLAN_LINK));
  vxlan.local = data.ip(IFLA_VXLAN_LOCAL);
  if (!vxlan.local) vxlan.local = data.ip(IFLA_VXLAN_LOCAL6);
  vxlan.learning = data.u8(IFLA_VXLAN_LEARNING).value_or(0) != 0;
  vxlan.df = static_cast<VxlanDf>(data.u8(IFLA_VXLAN_DF).value_or(0));
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
