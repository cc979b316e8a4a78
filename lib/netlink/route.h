// Routes and rules. Pure requests; the socket's namespace is the one they mean.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "lib/netlink/socket.h"

namespace multinet::netlink {

inline constexpr std::uint32_t kMainTable = 254;  ///< RT_TABLE_MAIN
inline constexpr std::uint8_t kKernelsRoute = 2;  ///< RTPROT_KERNEL

/// One unicast route. Fields not named here are the kernel's defaults.
struct RouteInfo {
  IpPrefix to;
  std::optional<IpAddress> via;
  int linkIndex = 0;
  std::uint32_t metric = 0;  ///< IPv6: 0 is written as the kernel's 1024
  std::uint32_t table = kMainTable;
  std::uint8_t protocol = 4;         ///< RTPROT_STATIC
  std::optional<IpAddress> source;   ///< preferred source address
  std::optional<std::uint32_t> mtu;  ///< RTAX_MTU; on a looked-up route the learned path MTU
  auto operator<=>(const RouteInfo&) const = default;
};

/// `payload` of RTM_NEWROUTE. nullopt for what isn't a plain unicast route of one next hop.
[[nodiscard]] Result<std::optional<RouteInfo>> decodeRoute(Bytes payload);

/// AlreadyExists where a route of that prefix, metric and table is there.
[[nodiscard]] Request addRoute(const RouteInfo& route);
[[nodiscard]] Request removeRoute(const RouteInfo& route);
/// How the kernel would reach `address`, exceptions for its path MTU included.
[[nodiscard]] Result<RouteInfo> lookUpRoute(Socket& socket, const IpAddress& address);

inline constexpr std::uint32_t kAllTables = 0;  ///< RT_TABLE_UNSPEC
/// Unicast routes of one table or of all; of one link, or of all where `linkIndex` is 0.
[[nodiscard]] Result<std::vector<RouteInfo>> findRoutes(Socket& socket, int linkIndex,
                                                        std::uint32_t table = kMainTable);

/// The links that unicast routes of any table lead to, each with the widest prefix that does; what
/// every link has by itself (fe80::/64) doesn't count. Dumps all tables: for a look now and then.
[[nodiscard]] Result<std::map<int, IpPrefix>> findRoutedLinks(Socket& socket);

/// `from address lookup table`: packets of that source take another table.
struct RuleInfo {
  IpAddress from;
  std::uint32_t table = 0;
  std::uint32_t priority = 0;
  bool ignoreDefault =
      false;  ///< the table's default route doesn't count (suppress_prefixlength 0)
  auto operator<=>(const RuleInfo&) const = default;
};
[[nodiscard]] Request addRule(const RuleInfo& rule);
[[nodiscard]] Request removeRule(const RuleInfo& rule);
/// Rules of both families that are of that form; others are left out.
[[nodiscard]] Result<std::vector<RuleInfo>> findRules(Socket& socket);

}  // namespace multinet::netlink
