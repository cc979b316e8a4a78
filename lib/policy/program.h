// The policies of one network as sets that a packet is looked up in: what a kernel can hold.
//
// Interfaces to which the same is allowed share a subject, addresses that the same rules name share
// a class. One pod more is a few elements, whatever the number of policies; a peer more is one
// address, whatever the number of pods.
#pragma once

#include <boost/container/flat_map.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/policy/evaluate.h"
#include "lib/policy/source.h"

namespace multinet::policy {

/// A subject or a class.
using Number = std::uint32_t;
/// In a permit, instead of a class: whatever the address is.
inline constexpr Number kEverybody = 0;

/// A subject may speak with a class by these ports, both ends too.
struct Permit {
  Number subject = 0;
  Number peers = kEverybody;
  std::optional<api::Protocol> protocol;  ///< nothing: every one, and ports say nothing
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const Permit&) const = default;
};

/// Addresses by class; disjoint; who isn't here is in none. In one piece of memory: each change
/// goes through all of them, and there may be 100,000. To be filled in order.
using AddressClasses = boost::container::flat_map<AddressRange, Number>;

/// Two that allow the same are equal, where one Numbers gave the numbers.
struct Program {
  std::map<PodKey, Number> egress;   ///< isolated on what they send, by subject
  std::map<PodKey, Number> ingress;  ///< and on what they receive
  AddressClasses addresses;
  std::set<Permit> permits;  ///< of one subject, class and protocol neither overlap nor touch
  bool operator==(const Program&) const = default;
};

/// Gives each subject and class a number that it keeps while it is in use, so that the programs of
/// one moment and the next differ in what changed alone. One for all networks that share a kernel's
/// sets. Not for several threads.
class Numbers {
 public:
  /// From 1; the same for the same text.
  [[nodiscard]] Number of(const std::string& text);
  /// Forgets what none of the programs uses. Numbers aren't given again before all 32 bits were.
  void keepOnly(const std::vector<const Program*>& programs);
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  std::map<std::string, Number> known_;
  Number last_ = 0;
};

/// An interface on the network that is to be isolated as policies say.
struct Subject {
  const Pod* pod = nullptr;
  std::vector<const api::PodNetworkPolicy*> policies{};  ///< those that don't select it count for
                                                         ///< nothing
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

/// Elements of a map or set that go and come; one that changes is in both.
template <class Element>
struct Change {
  std::vector<Element> removed;
  std::vector<Element> added;
  bool operator==(const Change&) const = default;

  [[nodiscard]] bool empty() const { return removed.empty() && added.empty(); }
};

/// The way from one program to another. To be applied as one transaction.
struct Delta {
  Change<std::pair<PodKey, Number>> egress;
  Change<std::pair<PodKey, Number>> ingress;
  Change<std::pair<AddressRange, Number>> addresses;
  Change<Permit> permits;
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
