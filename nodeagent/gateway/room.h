// A gateway's namespace on the real kernel: kept under a path, wired to the node by a veth pair,
// with its own rules.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/netlink/socket.h"
#include "lib/nft/table_keeper.h"
#include "nodeagent/gateway/flows.h"

namespace multinet::agent::gateway {

/// Nothing ends with it: what it made stays for a successor. One thread, in the node's namespace.
class Room {
 public:
  /// The namespace that is mounted at `path`, or a new one. `compareEvery`: how long its rules are
  /// believed to be there.
  [[nodiscard]] static Result<Room> open(const std::string& path, Duration compareEvery);

  [[nodiscard]] const Fd& netns() const { return netns_; }
  /// The mount, forwarding, ports for checks, and the pair with its addresses; `node` is a socket
  /// of the node's namespace. What is there stays untouched; whether IPv6 is.
  [[nodiscard]] Result<bool> wire(netlink::Socket& node, const NetworkUid& network,
                                  const Pair& pair);
  /// Its rules; what is there stays untouched. Whether anything wasn't.
  [[nodiscard]] Result<bool> put(const nft::Table& table, BootTime now);
  /// After rules changed: flows of UDP whose endpoint went get another.
  [[nodiscard]] Result<unsigned> endFlows(const GatewayFlows& flows) const;
  /// Requests and transactions that changed something, so far.
  [[nodiscard]] std::uint64_t writes() const { return inside_.writes() + rules_.commits(); }

 private:
  Room(std::string path, Fd netns, netlink::Socket inside, nft::TableKeeper rules)
      : path_(std::move(path)),
        netns_(std::move(netns)),
        inside_(std::move(inside)),
        rules_(std::move(rules)) {}
  [[nodiscard]] Status prepare() const;

  std::string path_;
  Fd netns_;
  netlink::Socket inside_;
  nft::TableKeeper rules_;
};

/// `multinet-gateway:<uid>`: the alias of the pair's end on the node.
[[nodiscard]] std::string aliasOf(const NetworkUid& network);

/// A pair that is there.
struct FoundPair {
  NetworkUid network;
  std::string device;
  std::optional<unsigned> number;
};
[[nodiscard]] Result<std::vector<FoundPair>> findPairs(netlink::Socket& node);

/// UIDs of the networks whose gateways are kept in the directory; none where it isn't there.
[[nodiscard]] std::vector<NetworkUid> keptIn(const std::string& directory);
[[nodiscard]] std::string pathOf(const std::string& directory, const NetworkUid& network);

/// Takes a gateway away: the pair, all links in the namespace, the namespace. Nothing there is
/// success. The calling thread is in the node's namespace.
[[nodiscard]] Status removeGateway(const std::string& directory, const NetworkUid& network,
                                   netlink::Socket& node);
/// All of them, and the node's rules: nobody works on them any more.
[[nodiscard]] Status clearGateways(const std::string& directory);

}  // namespace multinet::agent::gateway
