// Where compile() has the addresses from that policies name by who they are: a World, where all of
// it is known, or what a node was told.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/policy/ranges.h"
#include "lib/policy/world.h"

namespace multinet::policy {

/// Pods' addresses, each with how often it was told.
using Members = std::map<IpAddress, std::uint32_t>;

/// Somebody whom rules name: a block, or pods.
struct Named {
  std::string key;    ///< the same for the same, whatever their addresses; never two with one
  Ranges ranges{};    ///< of a block; in order, disjoint
  Members members{};  ///< of pods
  /// Another with each change of who they are; 0: any two may differ.
  std::uint64_t version = 0;
};

/// Members of such pods that went and came. None is in both.
struct MemberChange {
  std::string key;           ///< of a Named
  std::uint64_t before = 0;  ///< its version
  std::uint64_t after = 0;   ///< likewise
  std::vector<IpAddress> gone{};
  std::vector<IpAddress> come{};
};

/// Of one network. What is returned stays for as long as the source.
class Source {
 public:
  virtual ~Source() = default;
  /// Those whom a peer with selectors means, in that policy.
  [[nodiscard]] virtual const Named& podsOf(const api::PodNetworkPolicy& policy,
                                            const api::PolicyPeer& peer) = 0;
  /// Those among a peer (null: everybody) who have a port of that name and protocol, by its number.
  using ByPort = std::vector<std::pair<std::uint16_t, const Named*>>;
  [[nodiscard]] virtual ByPort withPort(const api::PodNetworkPolicy& policy,
                                        const api::PolicyPeer* peer,
                                        const api::PolicyPort& port) = 0;
  /// All pods of a namespace.
  [[nodiscard]] virtual const Named& podsIn(const std::string& nameSpace) = 0;
};

/// What a World says; it outlives this. A policy's peers are another's where both say the same.
class WorldSource final : public Source {
 public:
  WorldSource(const World& world, const std::string& network);
  [[nodiscard]] const Named& podsOf(const api::PodNetworkPolicy& policy,
                                    const api::PolicyPeer& peer) override;
  [[nodiscard]] ByPort withPort(const api::PodNetworkPolicy& policy, const api::PolicyPeer* peer,
                                const api::PolicyPort& port) override;
  [[nodiscard]] const Named& podsIn(const std::string& nameSpace) override;

 private:
  template <class FindOut>
  const Named& know(const std::string& key, FindOut findOut);

  const World& world_;
  const std::string network_;
  std::vector<const Pod*> pods_;  // on the network
  std::map<std::string, std::unique_ptr<Named>> known_;
};

}  // namespace multinet::policy
