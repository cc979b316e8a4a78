#include "lib/netlink/address.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace multinet::netlink {
namespace {

Message addressMessage(std::uint16_t type, std::uint16_t flags, int linkIndex,
                       const InterfaceAddress& address) {
  ifaddrmsg header{};
  header.ifa_family = address.address.isV4() ? AF_INET : AF_INET6;
  header.ifa_prefixlen = static_cast<std::uint8_t>(address.length);
  header.ifa_index = static_cast<std::uint32_t>(linkIndex);
  Message message(type, flags);
  message.header(header);
  message.put(IFA_LOCAL, address.address);
  message.put(IFA_ADDRESS, address.address);
  return message;
}

}  // namespace

Result<AddressInfo> decodeAddress(Bytes payload) {
  MULTINET_TRY(const auto header, readHeader<ifaddrmsg>(payload));
  MULTINET_TRY(const auto attributes, Attributes::parse(payload, sizeof header));
  // IFA_LOCAL is the own address of IPv4 (IFA_ADDRESS is the far end of a point-to-point link).
  auto address = attributes.ip(IFA_LOCAL);
  if (!address) address = attributes.ip(IFA_ADDRESS);
  if (!address) {
    return fail(Code::DataLoss, "Truncated", "decode netlink address: it has no address in it");
  }
  return AddressInfo{static_cast<int>(header.ifa_index),
                     InterfaceAddress{*address, header.ifa_prefixlen},
                     header.ifa_scope == RT_SCOPE_LINK};
}

Request addAddress(int linkIndex, const InterfaceAddress& address) {
  Message message =
      addressMessage(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, linkIndex, address);
  if (address.address.isV4()) {
    if (address.length < 31) {
      message.put(IFA_BROADCAST, IpPrefix(address.address, address.length).last());
    }
  } else {
    message.putU32(IFA_FLAGS, IFA_F_NODAD);
  }
  return {std::move(message), "add address " + address.str()};
}

Request removeAddress(int linkIndex, const InterfaceAddress& address) {
  return {addressMessage(RTM_DELADDR, NLM_F_ACK, linkIndex, address),
          "remove address " + address.str()};
}

Result<std::vector<AddressInfo>> findAddresses(Socket& socket, int linkIndex) {
  Message message(RTM_GETADDR, NLM_F_DUMP);
  ifaddrmsg header{};
  header.ifa_index = static_cast<std::uint32_t>(linkIndex);
  message.header(header);
  std::vector<AddressInfo> addresses;
  MULTINET_CHECK(socket.dump({std::move(message), "list addresses"}, [&](const Frame& frame) {
    if (frame.type != RTM_NEWADDR) return;
    // What isn't an IP address (other families) is no business of ours.
    if (auto address = decodeAddress(frame.payload);
        address && (linkIndex == 0 || address->linkIndex == linkIndex)) {
      addresses.push_back(*address);
    }
  }));
  return addresses;
}

}  // namespace multinet::netlink
