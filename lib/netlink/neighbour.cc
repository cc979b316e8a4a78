#include "lib/netlink/neighbour.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace multinet::netlink {
namespace {

Message floodMessage(std::uint16_t type, std::uint16_t flags, int linkIndex,
                     const IpAddress& remote) {
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = linkIndex;
  header.ndm_state = NUD_NOARP | NUD_PERMANENT;
  header.ndm_flags = NTF_SELF;
  Message message(type, flags);
  message.header(header).put(NDA_LLADDR, MacAddress{}).put(NDA_DST, remote);
  return message;
}

Message fdbMessage(std::uint16_t type, std::uint16_t flags, const FdbEntry& entry) {
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = entry.linkIndex;
  header.ndm_state = entry.master == 0 ? NUD_NOARP | NUD_PERMANENT : NUD_NOARP;
  header.ndm_flags = entry.master == 0 || entry.master == entry.linkIndex ? NTF_SELF : NTF_MASTER;
  Message message(type, flags);
  message.header(header).put(NDA_LLADDR, entry.mac);
  if (entry.remote) message.put(NDA_DST, *entry.remote);
  if (entry.vlan != 0) message.putU16(NDA_VLAN, entry.vlan);
  return message;
}

}  // namespace

Result<std::optional<FdbEntry>> decodeFdb(Bytes payload) {
  MULTINET_TRY(const auto header, readHeader<ndmsg>(payload));
  MULTINET_TRY(const auto attributes, Attributes::parse(payload, sizeof header));
  const auto mac = attributes.mac(NDA_LLADDR);
  if (header.ndm_family != AF_BRIDGE || !mac) return std::optional<FdbEntry>{};
  FdbEntry entry;
  entry.linkIndex = header.ndm_ifindex;
  entry.master = static_cast<int>(attributes.u32(NDA_MASTER).value_or(0));
  entry.mac = *mac;
  entry.remote = attributes.ip(NDA_DST);
  entry.vlan = attributes.u16(NDA_VLAN).value_or(0);
  entry.pinned = (header.ndm_state & (NUD_NOARP | NUD_PERMANENT)) != 0 ||
                 (header.ndm_flags & (NTF_EXT_LEARNED | NTF_STICKY)) != 0;
  return std::optional(entry);
}

Request addFlood(int linkIndex, const IpAddress& remote) {
  // Append: the all-zero MAC has one entry with many destinations.
  return {floodMessage(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, linkIndex, remote),
          "add peer " + remote.str() + " to flood list"};
}

Request removeFlood(int linkIndex, const IpAddress& remote) {
  return {floodMessage(RTM_DELNEIGH, NLM_F_ACK, linkIndex, remote),
          "remove peer " + remote.str() + " from flood list"};
}

Request addFdb(const FdbEntry& entry) {
  return {fdbMessage(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, entry),
          "pin MAC " + entry.mac.str()};
}

Request removeFdb(const FdbEntry& entry) {
  return {fdbMessage(RTM_DELNEIGH, NLM_F_ACK, entry), "unpin MAC " + entry.mac.str()};
}

Result<std::vector<FdbEntry>> findFdb(Socket& socket) {
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  Message message(RTM_GETNEIGH, NLM_F_DUMP);
  message.header(header);
  std::vector<FdbEntry> entries;
  MULTINET_CHECK(
      socket.dump({std::move(message), "list forwarding databases"}, [&](const Frame& frame) {
        const auto entry = decodeFdb(frame.payload);
        if (frame.type == RTM_NEWNEIGH && entry && *entry) entries.push_back(**entry);
      }));
  return entries;
}

}  // namespace multinet::netlink
