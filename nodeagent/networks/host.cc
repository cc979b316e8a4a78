#include "nodeagent/networks/host.h"

#include "lib/netlink/address.h"
#include "lib/netlink/neighbour.h"
#include "nodeagent/networks/names.h"

namespace multinet::agent::networks {

const netlink::LinkInfo* Host::link(const std::string& name) const {
  const auto found = links.find(name);
  return found == links.end() ? nullptr : &found->second;
}

const netlink::LinkInfo* Host::link(int index) const {
  for (const auto& [name, link] : links) {
    if (link.index == index) return &link;
  }
  return nullptr;
}

Result<Host> observeHost(netlink::Socket& socket) {
  Host host;
  MULTINET_TRY(auto links, netlink::findLinks(socket));
  for (netlink::LinkInfo& link : links) {
    std::string name = link.name;
    host.links.emplace(std::move(name), std::move(link));
  }
  MULTINET_TRY(const auto addresses, netlink::findAddresses(socket, 0));
  for (const netlink::AddressInfo& address : addresses) {
    if (!address.linkLocal) host.addresses[address.linkIndex].push_back(address.address.address);
  }
  for (const auto& [name, link] : host.links) {
    if (link.kind != "vxlan" || !parseNetworkAlias(link.alias)) continue;
    MULTINET_TRY(const auto remotes, netlink::findFlood(socket, link.index));
    host.flood[link.index] = {remotes.begin(), remotes.end()};
  }
  return host;
}

}  // namespace multinet::agent::networks
