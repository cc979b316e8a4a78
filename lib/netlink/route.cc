#include "lib/netlink/route.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace multinet::netlink {
namespace {

std::uint8_t familyOf(const IpAddress& address) {
  return address.isV4() ? AF_INET : AF_INET6;
}

std::string text(const RouteInfo& route) {
  return route.to.str() + (route.via ? " via " + route.via->str() : std::string(" on link"));
}

Message routeMessage(std::uint16_t type, std::uint16_t flags, const RouteInfo& route) {
  rtmsg header{};
  header.rtm_family = familyOf(route.to.first());
  header.rtm_dst_len = static_cast<std::uint8_t>(route.to.length());
  header.rtm_table = RT_TABLE_UNSPEC;  // RTA_TABLE holds what doesn't fit eight bits
  header.rtm_protocol = route.protocol;
  header.rtm_type = RTN_UNICAST;
  header.rtm_scope = route.to.isV4() && !route.via ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  Message message(type, flags);
  message.header(header);
  if (route.to.length() > 0) message.put(RTA_DST, route.to.first());
  if (route.via) message.put(RTA_GATEWAY, *route.via);
  message.putU32(RTA_OIF, static_cast<std::uint32_t>(route.linkIndex));
  message.putU32(RTA_TABLE, route.table);
  if (route.metric != 0) message.putU32(RTA_PRIORITY, route.metric);
  if (route.source) message.put(RTA_PREFSRC, *route.source);
  if (route.mtu) {
    message.nest(RTA_METRICS, [&](Message& metrics) { metrics.putU32(RTAX_MTU, *route.mtu); });
  }
  return message;
}

Message ruleMessage(std::uint16_t type, std::uint16_t flags, const RuleInfo& rule) {
  fib_rule_hdr header{};
  header.family = familyOf(rule.from);
  header.src_len = static_cast<std::uint8_t>(bits(rule.from.family()));
  header.action = FR_ACT_TO_TBL;
  Message message(type, flags);
  message.header(header);
  message.put(FRA_SRC, rule.from);
  message.putU32(FRA_TABLE, rule.table);
  message.putU32(FRA_PRIORITY, rule.priority);
  if (rule.ignoreDefault) message.putU32(FRA_SUPPRESS_PREFIXLEN, 0);
  return message;
}

std::string text(const RuleInfo& rule) {
  return "from " + rule.from.str() + " to table " + std::to_string(rule.table);
}

}  // namespace

Result<std::optional<RouteInfo>> decodeRoute(Bytes payload) {
  MULTINET_TRY(const auto header, readHeader<rtmsg>(payload));
  MULTINET_TRY(const auto attributes, Attributes::parse(payload, sizeof header));
  const bool v4 = header.rtm_family == AF_INET;
  if ((!v4 && header.rtm_family != AF_INET6) || header.rtm_type != RTN_UNICAST ||
      attributes.find(RTA_MULTIPATH)) {
    return std::optional<RouteInfo>{};
  }
  RouteInfo route;
  const IpFamily family = v4 ? IpFamily::V4 : IpFamily::V6;
  route.to = IpPrefix(attributes.ip(RTA_DST).value_or(IpAddress(family, 0)), header.rtm_dst_len);
  route.via = attributes.ip(RTA_GATEWAY);
  route.linkIndex = static_cast<int>(attributes.u32(RTA_OIF).value_or(0));
  route.metric = attributes.u32(RTA_PRIORITY).value_or(0);
  route.table = attributes.u32(RTA_TABLE).value_or(header.rtm_table);
  route.protocol = header.rtm_protocol;
  route.source = attributes.ip(RTA_PREFSRC);
  route.mtu = attributes.nested(RTA_METRICS).u32(RTAX_MTU);
  return std::optional<RouteInfo>(route);
}

Request addRoute(const RouteInfo& route) {
  return {routeMessage(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, route),
          "add route " + text(route)};
}

Request removeRoute(const RouteInfo& route) {
  return {routeMessage(RTM_DELROUTE, NLM_F_ACK, route), "remove route " + text(route)};
}

Result<RouteInfo> lookUpRoute(Socket& socket, const IpAddress& address) {
  rtmsg header{};
  header.rtm_family = familyOf(address);
  header.rtm_dst_len = static_cast<std::uint8_t>(bits(address.family()));
  Message message(RTM_GETROUTE, 0);
  message.header(header).put(RTA_DST, address);
  const std::string what = "look up route to " + address.str();
  MULTINET_TRY(const auto payload, socket.get({std::move(message), what}));
  MULTINET_TRY(auto route, decodeRoute(payload));
  if (!route) return fail(Code::NotFound, "NoRoute", what + ": no unicast route");
  return *std::move(route);
}

Result<std::vector<RouteInfo>> findRoutes(Socket& socket, int linkIndex, std::uint32_t table) {
  std::vector<RouteInfo> routes;
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    Message message(RTM_GETROUTE, NLM_F_DUMP);
    message.header(header);
    MULTINET_CHECK(socket.dump({std::move(message), "list routes"}, [&](const Frame& frame) {
      const auto route = decodeRoute(frame.payload);
      if (frame.type != RTM_NEWROUTE || !route || !*route) return;
      if (table != kAllTables && (*route)->table != table) return;
      if (linkIndex == 0 || (*route)->linkIndex == linkIndex) routes.push_back(**route);
    }));
  }
  return routes;
}

namespace {

/// The links of one route: its own, or those of its next hops (struct rtnexthop, 4-byte aligned).
std::vector<int> linksOf(const Attributes& attributes) {
  std::vector<int> links;
  if (const auto own = attributes.u32(RTA_OIF)) links.push_back(static_cast<int>(*own));
  Bytes rest = attributes.find(RTA_MULTIPATH).value_or(Bytes{});
  while (rest.size() >= sizeof(rtnexthop)) {
    rtnexthop hop{};
    std::memcpy(&hop, rest.data(), sizeof hop);
    links.push_back(hop.rtnh_ifindex);
    const std::size_t length = (std::size_t{hop.rtnh_len} + 3) & ~std::size_t{3};
    if (length < sizeof hop || length > rest.size()) break;
    rest = rest.subspan(length);
  }
  return links;
}

void noteRouted(const Frame& frame, std::map<int, IpPrefix>& routed) {
  const auto header = readHeader<rtmsg>(frame.payload);
  const auto attributes = Attributes::parse(frame.payload, sizeof(rtmsg));
  if (!header || !attributes || frame.type != RTM_NEWROUTE || header->rtm_type != RTN_UNICAST) {
    return;
  }
  const IpFamily family = header->rtm_family == AF_INET ? IpFamily::V4 : IpFamily::V6;
  const IpPrefix to(attributes->ip(RTA_DST).value_or(IpAddress(family, 0)), header->rtm_dst_len);
  if (to.first().isLinkLocal()) return;
  for (const int link : linksOf(*attributes)) {
    const auto [entry, fresh] = routed.emplace(link, to);
    if (!fresh && to.length() < entry->second.length()) entry->second = to;
  }
}

}  // namespace

Result<std::map<int, IpPrefix>> findRoutedLinks(Socket& socket) {
  std::map<int, IpPrefix> routed;
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    Message message(RTM_GETROUTE, NLM_F_DUMP);
    message.header(header);
    MULTINET_CHECK(socket.dump({std::move(message), "list routes"},
                               [&](const Frame& frame) { noteRouted(frame, routed); }));
  }
  return routed;
}

Request addRule(const RuleInfo& rule) {
  return {ruleMessage(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, rule),
          "add rule " + text(rule)};
}

Request removeRule(const RuleInfo& rule) {
  return {ruleMessage(RTM_DELRULE, NLM_F_ACK, rule), "remove rule " + text(rule)};
}

Result<std::vector<RuleInfo>> findRules(Socket& socket) {
  std::vector<RuleInfo> rules;
  for (const int family : {AF_INET, AF_INET6}) {
    fib_rule_hdr header{};
    header.family = static_cast<std::uint8_t>(family);
    Message message(RTM_GETRULE, NLM_F_DUMP);
    message.header(header);
    MULTINET_CHECK(socket.dump({std::move(message), "list rules"}, [&](const Frame& frame) {
      const auto read = readHeader<fib_rule_hdr>(frame.payload);
      const auto attributes = Attributes::parse(frame.payload, sizeof header);
      if (!read || !attributes || read->action != FR_ACT_TO_TBL) return;
      const auto from = attributes->ip(FRA_SRC);
      if (!from || read->src_len != bits(from->family())) return;
      rules.push_back({*from, attributes->u32(FRA_TABLE).value_or(read->table),
                       attributes->u32(FRA_PRIORITY).value_or(0),
                       attributes->u32(FRA_SUPPRESS_PREFIXLEN) == 0U});
    }));
  }
  return rules;
}

}  // namespace multinet::netlink
