// What policies say of one connection, and which rule says it. This is what they mean; whatever
// else applies them (compile.h, nodes) is held against it by tests.
//
// A connection is judged at its sender's interface (egress) and at its receiver's (ingress); both
// must allow it. Never judged: answers, ICMP that belongs to a connection, ARP, ND, MLD, and what a
// pod sends to itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/policy/tiers.h"
#include "lib/policy/world.h"

namespace multinet::policy {

/// The first packet of a connection on one network.
struct Packet {
  IpAddress source;
  IpAddress destination;
  std::optional<api::Protocol> protocol;  ///< nothing: another one, such as ICMP
  std::uint16_t port = 0;                 ///< of the destination; counts with a protocol alone
  bool operator==(const Packet&) const = default;
};

/// Why a direction allows or denies.
enum class Ground : std::uint8_t {
  NoPod,    ///< nobody's interface is there to be judged
  Itself,   ///< the pod speaks to itself
  Default,  ///< no policy selects the interface; the network's default holds
  Rule,     ///< a rule allows it
  NoRule,   ///< policies select the interface, and none of their rules allows it
  Cluster   ///< a rule of a policy of the cluster accepts or denies it
};

struct Decision {
  bool allowed = true;
  Ground ground = Ground::NoPod;
  std::string policy;                   ///< `shop/db`, of the rule; the name alone of a cluster's
  std::size_t rule = 0;                 ///< its place in `ingress` or `egress`
  std::vector<std::string> isolatedBy;  ///< the namespace's policies that select the interface,
                                        ///< where they were asked
  Tier tier = Tier::Default;            ///< of a cluster's rule
  std::string ruleName{};               ///< likewise, where it has one
  std::vector<std::string> passedBy{};  ///< rules of the cluster that left the rest of their tier
                                        ///< out: `guests rule 2`
  bool operator==(const Decision&) const = default;
};

struct Verdict {
  Decision egress;   ///< at the sender
  Decision ingress;  ///< at the receiver
  bool operator==(const Verdict&) const = default;

  [[nodiscard]] bool allowed() const { return egress.allowed && ingress.allowed; }
};

/// Whose the addresses are is looked up in the world.
[[nodiscard]] Verdict evaluate(const World& world, const Network& network, const Packet& packet);

}  // namespace multinet::policy
