#include "nodeagent/gateway/room.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "lib/netlink/address.h"
#include "lib/netlink/link.h"
#include "lib/netlink/route.h"
#include "lib/netns/keep.h"
#include "lib/netns/netns.h"
#include "nodeagent/model/gateway_ports.h"

namespace multinet::agent::gateway {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAlias = "multinet-gateway:";
constexpr unsigned kMtu = 65535;  // what goes through is cut for the network's link

/// A kernel without IPv6, or one told so, has no such key or says 1.
bool hasIpv6(const std::string& device) {
  const auto found = netns::readSysctl("ipv6/conf/" + device + "/disable_ipv6");
  return found && *found == "0";
}

Status write(const std::string& key, const std::string& value) {
  const auto found = netns::readSysctl(key);
  if (!found && found.error().code == Code::NotFound) return {};
  if (found && *found == value) return {};
  return netns::writeSysctl(key, value);
}

Status address(netlink::Socket& socket, int link, const std::vector<InterfaceAddress>& wanted) {
  MULTINET_TRY(const auto there, netlink::findAddresses(socket, link));
  for (const InterfaceAddress& one : wanted) {
    if (std::ranges::find(there, one, &netlink::AddressInfo::address) != there.end()) continue;
    MULTINET_CHECK(socket.run(netlink::addAddress(link, one)));
  }
  return {};
}

/// Answers to clients that keep their endpoint.
Status route(netlink::Socket& socket, int link, const Pair& pair, bool six) {
  MULTINET_TRY(const auto there, netlink::findRoutes(socket, link));
  for (const IpAddress& via : {pair.node4.address, pair.node6.address}) {
    if (!via.isV4() && !six) continue;
    const IpPrefix& to = clientsRange(via.family());
    const auto leads = [&](const netlink::RouteInfo& one) {
      return one.to == to && one.via == via;
    };
    if (std::ranges::any_of(there, leads)) continue;
    netlink::RouteInfo route;
    route.to = to;
    route.via = via;
    route.linkIndex = link;
    const Status added = socket.run(netlink::addRoute(route));
    if (!added && added.error().code != Code::AlreadyExists) return added;
  }
  return {};
}

Status raise(netlink::Socket& socket, const netlink::LinkInfo& link) {
  return link.up ? Status() : socket.run(netlink::setUp({link.index, link.name}));
}

/// Both ends, where they are and belong together.
struct Ends {
  netlink::LinkInfo node;
  netlink::LinkInfo inner;
};

Result<std::optional<netlink::LinkInfo>> findEnd(netlink::Socket& socket, const std::string& name) {
  auto link = netlink::findLink(socket, {0, name});
  if (link) return std::optional(std::move(*link));
  if (link.error().code != Code::NotFound) return fail(link.error());
  return std::optional<netlink::LinkInfo>();
}

Result<std::optional<Ends>> findEnds(netlink::Socket& node, netlink::Socket& inside,
                                     const Pair& pair) {
  MULTINET_TRY(auto outer, findEnd(node, pair.device));
  MULTINET_TRY(auto inner, findEnd(inside, kInnerDevice));
  const bool belong = outer && inner && outer->kind == "veth" && inner->kind == "veth" &&
                      outer->lower == inner->index && inner->lower == outer->index;
  if (!belong) return std::optional<Ends>();
  return std::optional(Ends{std::move(*outer), std::move(*inner)});
}

Status deleteLinks(const Fd& netns) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(auto socket, netlink::Socket::open());
  MULTINET_TRY(const auto links, netlink::findLinks(socket));
  for (const netlink::LinkInfo& link : links) {
    if (link.kind.empty()) continue;  // lo
    const Status gone = socket.run(netlink::deleteLink({link.index, link.name}));
    // What the kernel makes in each namespace, as tunl0, stays.
    if (!gone && gone.error().code != Code::NotFound && link.kind == "veth") return gone;
  }
  return {};
}

}  // namespace

std::string aliasOf(const NetworkUid& network) {
  return std::string(kAlias) + network.str();
}

std::string pathOf(const std::string& directory, const NetworkUid& network) {
  return directory + "/" + network.str();
}

std::vector<NetworkUid> keptIn(const std::string& directory) {
  std::vector<NetworkUid> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    all.emplace_back(entry.path().filename().string());
  }
  std::ranges::sort(all);
  return all;
}

Result<std::vector<FoundPair>> findPairs(netlink::Socket& node) {
  MULTINET_TRY(const auto links, netlink::findLinks(node, {"veth", 0}));
  std::vector<FoundPair> pairs;
  for (const netlink::LinkInfo& link : links) {
    if (!link.alias.starts_with(kAlias)) continue;
    FoundPair pair{NetworkUid(link.alias.substr(kAlias.size())), link.name, std::nullopt};
    MULTINET_TRY(const auto addresses, netlink::findAddresses(node, link.index));
    for (const auto& one : addresses) {
      if (const auto number = numberOf(one.address)) pair.number = number;
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Result<Room> Room::open(const std::string& path, Duration compareEvery) {
  MULTINET_TRY(Fd netns, netns::keep(path));
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(auto inside, netlink::Socket::open());
  MULTINET_TRY(auto rules, nft::TableKeeper::open(compareEvery));
  return Room(path, std::move(netns), std::move(inside), std::move(rules));
}

/// Sockets in it are checks'. The kernel takes no range with privileged ports.
Status Room::prepare() const {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns_));
  MULTINET_CHECK(write("ipv4/ip_unprivileged_port_start", std::to_string(kFirstCheckPort)));
  MULTINET_CHECK(write("ipv4/ip_local_port_range",
                       std::to_string(kFirstCheckPort) + "\t" + std::to_string(kLastCheckPort)));
  MULTINET_CHECK(write("ipv4/ip_forward", "1"));
  return write("ipv6/conf/all/forwarding", "1");
}

Result<bool> Room::wire(netlink::Socket& node, const NetworkUid& network, const Pair& pair) {
  MULTINET_TRY(const bool mounted, netns::keepAgain(netns_, path_));
  static_cast<void>(mounted);
  MULTINET_CHECK(prepare());
  MULTINET_TRY(auto ends, findEnds(node, inside_, pair));
  if (!ends) {
    // Half of one, or somebody else's under the name.
    static_cast<void>(inside_.run(netlink::deleteLink({0, kInnerDevice})));
    static_cast<void>(node.run(netlink::deleteLink({0, pair.device})));
    netlink::VethSpec spec;
    spec.hostName = pair.device;
    spec.peerName = kInnerDevice;
    spec.peerNetns = netns_.get();
    spec.hostMac = MacAddress::derive(pair.device);
    spec.peerMac = MacAddress::derive(pair.device + "/" + kInnerDevice);
    spec.mtu = kMtu;
    MULTINET_CHECK(node.run(netlink::createVeth(spec)));
    MULTINET_TRY(ends, findEnds(node, inside_, pair));
    if (!ends) {
      return fail(Code::Unavailable, "GatewayUnwired",
                  "wire gateway " + pair.device + ": its veth pair went as it was made");
    }
  }
  if (ends->node.alias != aliasOf(network)) {
    MULTINET_CHECK(
        node.run(netlink::setAlias({ends->node.index, ends->node.name}, aliasOf(network))));
  }
  MULTINET_CHECK(raise(node, ends->node));
  MULTINET_CHECK(raise(inside_, ends->inner));
  const bool six = hasIpv6(pair.device);
  std::vector<InterfaceAddress> outer = {pair.node4};
  std::vector<InterfaceAddress> inner = {pair.gateway4};
  if (six) {
    outer.push_back(pair.node6);
    inner.push_back(pair.gateway6);
  }
  MULTINET_CHECK(address(node, ends->node.index, outer));
  MULTINET_CHECK(address(inside_, ends->inner.index, inner));
  MULTINET_CHECK(route(inside_, ends->inner.index, pair, six));
  return six;
}

Result<bool> Room::put(const nft::Table& table, BootTime now) {
  MULTINET_TRY(const bool there, rules_.isCommitted(table, now));
  if (there) return false;
  MULTINET_CHECK(rules_.commit(table));
  return true;
}

Result<unsigned> Room::endFlows(const GatewayFlows& flows) const {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns_));
  return netlink::endUdpFlows([&](const netlink::UdpFlow& flow) { return flows.isStale(flow); });
}

Status removeGateway(const std::string& directory, const NetworkUid& network,
                     netlink::Socket& node) {
  const std::string path = pathOf(directory, network);
  if (const auto netns = netns::openPath(path)) MULTINET_CHECK(deleteLinks(*netns));
  // Its other end may be in a namespace that nobody finds any more.
  MULTINET_TRY(const auto pairs, findPairs(node));
  for (const FoundPair& pair : pairs) {
    if (pair.network != network) continue;
    const Status gone = node.run(netlink::deleteLink({0, pair.device}));
    if (!gone && gone.error().code != Code::NotFound) return gone;
  }
  return netns::forget(path);
}

Status clearGateways(const std::string& directory) {
  MULTINET_TRY(auto rules, nft::TableKeeper::open({}));
  MULTINET_CHECK(rules.remove(nodeTable({}, {}, {}), BootTime{}));
  MULTINET_TRY(auto node, netlink::Socket::open());
  for (const NetworkUid& network : keptIn(directory)) {
    MULTINET_CHECK(removeGateway(directory, network, node));
  }
  MULTINET_TRY(const auto pairs, findPairs(node));
  for (const FoundPair& pair : pairs) {
    MULTINET_CHECK(removeGateway(directory, pair.network, node));
  }
  std::error_code ignored;
  fs::remove(directory, ignored);
  return {};
}

}  // namespace multinet::agent::gateway
