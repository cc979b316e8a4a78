// The policies of one network as sets that a packet is looked up in: what a kernel can hold.
//
// Interfaces to which the same is allowed share a subject, addresses that the same rules name share
// a class. One pod more is a few elements, whatever the number of policies; a peer more is one
// address, whatever the number of pods.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/policy/address_classes.h"
#include "lib/policy/evaluate.h"
#include "lib/policy/numbers.h"
#include "lib/policy/source.h"
#include "lib/policy/tiers.h"

namespace multinet::policy {

/// A subject may speak with a class by these ports, both ends too.
struct Permit {
  Number subject = 0;
  Number peers = kEverybody;
  std::optional<api::Protocol> protocol;  ///< nothing: every one, and ports say nothing
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool others = false;  ///< without protocol: every one but TCP, UDP and SCTP
  auto operator<=>(const Permit&) const = default;
};

/// Two that allow the same are equal, where one Numbers gave the numbers.
struct Program {
  std::map<PodKey, Number> egress;   ///< isolated on what they send, by subject
  std::map<PodKey, Number> ingress;  ///< and on what they receive
  AddressClasses addresses;
  std::set<Permit> permits;  ///< of one subject, class and protocol neither overlap nor touch
  /// Some subject is kept from what everybody may, so that an address with a class more may less.
  bool ordered = false;
  bool operator==(const Program&) const = default;
};

/// An interface on the network that is to be isolated as policies say.
struct Subject {
  const Pod* pod = nullptr;
  std::vector<const api::PodNetworkPolicy*> policies{};  ///< those that don't select it count for
                                                         ///< nothing
  /// Those that hold for the pod's namespace, in any order. Those that don't select it count for
  /// nothing.
  std::vector<const ClusterRules*> cluster{};
  bool closed = false;  ///< nobody knows what selects it: nothing is allowed, whatever policies say
};

/// A kernel holds so many of a network, and is told of a change of them, in bearable time.
inline constexpr std::size_t kMostPermits = 65'536;

struct Compiled {
  Program program;
  /// To whom less is allowed than policies say, for want of room: none of their permits is there.
  std::set<PodKey> cut;
};

/// The subjects' policies, and the network's default. Where there are more than `mostPermits`,
/// those who need most of them get none; an interface is never left open.
[[nodiscard]] Compiled compile(const std::vector<Subject>& subjects, const Network& network,
                               Source& source, Numbers& numbers,
                               std::size_t mostPermits = kMostPermits);
/// All policies of the world that name the network, and its default.
[[nodiscard]] Program compile(const World& world, const Network& network, Numbers& numbers);

/// Whether the program lets a packet pass. The ends are the pods whose interfaces send and receive
/// it, null where that is none; a node knows them by the port of its bridge.
[[nodiscard]] bool allows(const Program& program, const Packet& packet, const PodKey* from,
                          const PodKey* to);

/// The way from one program to another. To be applied as one transaction.
struct Delta {
  Change<std::pair<PodKey, Number>> egress;
  Change<std::pair<PodKey, Number>> ingress;
  AddressChange addresses;
  Change<Permit> permits;
  bool ordered = false;  ///< see Program: of what it leads to
  bool operator==(const Delta&) const = default;

  [[nodiscard]] bool empty() const;
  /// Whether a connection that was allowed may not be any more, so that those which are open must
  /// be judged again. Never false where one is; may be true where none is.
  [[nodiscard]] bool mayTighten() const;
};

[[nodiscard]] Delta delta(const Program& before, const Program& after);
/// `program` must be what the delta was made of.
void apply(const Delta& delta, Program& program);

}  // namespace multinet::policy
