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

}  // namespace

Result<std::optional<IpAddress>> decodeFlood(Bytes payload, int linkIndex) {
  MULTINET_TRY(const auto header, readHeader<ndmsg>(payload));
  MULTINET_TRY(const auto attributes, Attributes::parse(payload, sizeof header));
  if (header.ndm_ifindex != linkIndex || header.ndm_family != AF_BRIDGE ||
      attributes.mac(NDA_LLADDR) != MacAddress{}) {
    return std::optional<IpAddress>{};
  }
  return attributes.ip(NDA_DST);
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

Result<std::vector<IpAddress>> findFlood(Socket& socket, int linkIndex) {
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  header.ndm_ifindex = linkIndex;
  Message message(RTM_GETNEIGH, NLM_F_DUMP);
  message.header(header);
  std::vector<IpAddress> remotes;
  MULTINET_CHECK(socket.dump({std::move(message), "list flood list"}, [&](const Frame& frame) {
    const auto remote = decodeFlood(frame.payload, linkIndex);
    if (frame.type == RTM_NEWNEIGH && remote && *remote) remotes.push_back(**remote);
  }));
  return remotes;
}

}  // namespace multinet::netlink
