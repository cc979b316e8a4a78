#include "nodeagent/networks/host.h"

#include <charconv>

#include "lib/base/fd.h"
#include "lib/netlink/address.h"
#include "lib/netlink/neighbour.h"
#include "lib/netlink/route.h"
#include "nodeagent/drivers/names.h"

namespace multinet::agent::networks {
namespace {

// A line has 128 bytes; nobody has more sockets than ports on each of his addresses.
constexpr std::size_t kLargestTable = std::size_t{64} << 20U;

Result<std::set<std::uint16_t>> findUdpPorts() {
  std::set<std::uint16_t> ports;
  for (const std::string table : {"udp", "udp6"}) {
    const auto text = readFile("/proc/thread-self/net/" + table, kLargestTable);
    if (!text && text.error().code == Code::NotFound) continue;  // no IPv6
    if (!text) return fail(text.error());
    ports.merge(parseUdpPorts(*text));
  }
  return ports;
}

void takeAddress(const netlink::AddressInfo& info, Host& host) {
  const IpAddress& address = info.address.address;
  host.own.insert(address);
  if (!info.linkLocal) host.addresses[info.linkIndex].push_back(address);
  if (!address.isV4() || info.address.length >= 31) return;
  const IpPrefix range(address, info.address.length);
  host.broadcasts.insert({range.first(), range.last()});
}

/// What the kernel itself has in a bridge's database: the MACs of the bridge and of each port.
bool isOwnMac(const netlink::FdbEntry& entry,
              const std::map<int, const netlink::LinkInfo*>& byIndex) {
  for (const int index : {entry.linkIndex, entry.master}) {
    const auto link = byIndex.find(index);
    if (link != byIndex.end() && link->second->mac == entry.mac) return true;
  }
  return false;
}

/// Asked of all links at once, and not at all where none is a bridge or a tunnel of a network.
Status observeFdb(netlink::Socket& socket, Links& all) {
  std::map<int, const netlink::LinkInfo*> byIndex;
  bool wanted = false;
  for (const auto& [name, link] : all.links) {
    byIndex.emplace(link.index, &link);
    const bool hasFdb = link.kind == "bridge" || link.kind == "vxlan";
    wanted = wanted || (hasFdb && drivers::parseNetworkAlias(link.alias));
    if (!link.changed.empty() || !link.changedPort.empty()) all.altered.insert(name);
  }
  if (!wanted) return {};
  MULTINET_TRY(const auto entries, netlink::findFdb(socket));
  for (const netlink::FdbEntry& entry : entries) {
    const auto link = byIndex.find(entry.linkIndex);
    if (link == byIndex.end()) continue;
    const bool isTunnel =
        link->second->kind == "vxlan" && drivers::parseNetworkAlias(link->second->alias);
    if (isTunnel && entry.floods()) {
      all.flood[entry.linkIndex].insert(*entry.remote);
    } else if (entry.pinned && (isTunnel || entry.master != 0) && !isOwnMac(entry, byIndex)) {
      all.pinned[entry.linkIndex].push_back(entry);
      all.altered.insert(link->second->name);
    }
  }
  return {};
}

Result<Links> observeLinks(netlink::Socket& socket) {
  Links all;
  MULTINET_TRY(auto links, netlink::findLinks(socket));
  for (netlink::LinkInfo& link : links) {
    std::string name = link.name;
    all.links.emplace(std::move(name), std::move(link));
  }
  MULTINET_CHECK(observeFdb(socket, all));
  return all;
}

}  // namespace

std::set<std::uint16_t> parseUdpPorts(std::string_view table) {
  // "  sl  local_address rem_address ..." and then "  12: 0100007F:0035 00000000:0000 ..."
  std::set<std::uint16_t> ports;
  while (!table.empty()) {
    const std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(table.size(), line.size() + 1));
    const auto slot = line.find(": ");
    if (slot == std::string_view::npos) continue;
    const auto colon = line.find(':', slot + 2);
    if (colon == std::string_view::npos || line.size() < colon + 5) continue;
    std::uint16_t port = 0;
    const char* begin = line.data() + colon + 1;
    if (std::from_chars(begin, begin + 4, port, 16).ptr == begin + 4) ports.insert(port);
  }
  return ports;
}

Result<Host> observeHost(netlink::Socket& node, SwitchSide* inner) {
  Host host;
  MULTINET_TRY(static_cast<Links&>(host), observeLinks(node));
  for (const auto& [name, link] : host.links) {
    if (link.udpPort != 0 && !drivers::parseNetworkAlias(link.alias)) {
      host.tunnelPorts.emplace(link.udpPort, name);
    }
  }
  MULTINET_TRY(const auto addresses, netlink::findAddresses(node, 0));
  for (const netlink::AddressInfo& address : addresses) takeAddress(address, host);
  if (inner == nullptr) {
    host.inner = host;
    return host;
  }
  MULTINET_TRY(host.inner, observeLinks(inner->socket));
  MULTINET_TRY(host.innerAddresses, netlink::findAddresses(inner->socket, 0));
  for (const netlink::AddressInfo& one : host.innerAddresses) {
    if (const auto* link = host.inner.link(one.linkIndex)) host.inner.altered.insert(link->name);
  }
  host.switchNetns = inner->netns.get();
  return host;
}

bool kernelHas(const std::string& kind) {
  // A socket of its own: nothing is changed, and writes of the others are counted.
  auto socket = netlink::Socket::open();
  if (!socket) return true;
  const Status answer = socket->run(netlink::createStacked({.kind = kind, .name = "mnl-asked"}));
  return answer || answer.error().code != Code::Unimplemented;
}

Status observeDetail(netlink::Socket& node, const HostDetail& detail, Host& host) {
  if (detail.routes) {
    MULTINET_TRY(host.routed, netlink::findRoutedLinks(node));
  }
  if (detail.udpPorts) {
    MULTINET_TRY(host.udpPorts, findUdpPorts());
  }
  return {};
}

}  // namespace multinet::agent::networks
