// Policies of networks as two tables of nftables: who may, and what the kernel knows of flows.
// Pure.
//
// Table `multinet-policy` of family bridge judges a frame where the bridge forwards it, so that the
// ports of both ends are known: the sender's may send it, the receiver's may get it. Table
// `multinet-flows` says before that what its flow is, and writes down afterwards that it was
// judged. The latter is of family bridge where the kernel tracks flows of bridges
// (nf_conntrack_bridge), else of family inet, whose hooks br_netfilter runs within the bridge's.
// Both tell each other by the packet's mark. Chains and rules are constant in number: only elements
// change.
//
// A pod whose link has no end on the node has both tables in its own namespace, and one more.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/api/pod_network.h"
#include "lib/nft/committer.h"
#include "lib/nft/model.h"
#include "lib/policy/program.h"

namespace multinet::agent::policing {

/// Who tells rules of bridges what flow a frame is of.
enum class Tracking : std::uint8_t {
  Bridge,       ///< nf_conntrack_bridge
  BrNetfilter,  ///< br_netfilter, with a mark between its hooks and the bridge's
  Pod,          ///< that of the pod's own namespace, where the rules are too
};

struct Tables {
  nft::Table rules;
  nft::Table flows;
};
/// Both without an element. In a pod they are of family inet and judge what its links send at
/// postrouting and what they get at prerouting; a port is a link's name there, and so is a bridge.
/// `mostFlows`: how many the kernel's table of the namespace holds; no port may have begun more
/// than its share of them. 0: nobody is limited, as in a pod, whose table is its own.
[[nodiscard]] Tables tablesFor(Tracking tracking, std::uint32_t mostFlows);
/// Table `multinet-raw` of family netdev, in a pod: what leaves these links without a route was
/// made by a packet socket, and passed none of the other rules. IP of that kind is dropped.
[[nodiscard]] nft::Table rawTable(const std::set<std::string>& links);

/// What a node holds the ports of one network to.
struct Policed {
  policy::Program program;
  /// Names of the node's ends of its pods, there already or about to be.
  std::map<policy::PodKey, std::string> ports;
  /// Likewise of the node's gateway, whose health checks pass.
  std::set<std::string> gateways{};
  /// Always: flows are tracked also while no port is isolated.
  api::TrackConnections track = api::TrackConnections::Auto;
  /// In a pod, where no port tells whose a packet is: of the node's gateway.
  std::set<IpAddress> gatewayAddresses{};
};

/// What stands for a network in the kernel. Its subjects and classes have numbers that no other
/// network's have, so that permits needn't say whose they are; they outlive the agent.
struct Standing {
  std::string bridge;
  std::uint16_t zone = 0;  ///< of its flows; from 1
  /// That flows are judged in; nothing: none that is open passes without being judged again.
  std::optional<std::uint32_t> generation;
  std::map<policy::Number, policy::Number> numbers;  ///< the program's to the kernel's
};
/// A port may have begun one of so many flows of the kernel's table, or a little less.
inline constexpr std::uint32_t kMostShare = 4;
/// By which rules of family inet, which see no port, know a port of that name. Never 0.
[[nodiscard]] std::uint32_t portNumber(const std::string& port);
/// Sets that are empty while flows have no generation.
inline constexpr std::array<const char*, 2> kGenerationSets = {"generations", "current"};
/// The kernel's numbers of subjects and classes are below that.
inline constexpr policy::Number kEndOfNumbers = 0x80000000;

/// Without what isn't on this node: pods that have no port, and permits of subjects that nobody
/// has.
[[nodiscard]] Policed localOf(Policed wanted);
/// Of its ports those that `than` holds to something else, or hasn't. Without permits and
/// addresses.
[[nodiscard]] Policed portsOfOthers(const Policed& of, const Policed& than);
/// Whether its bridge's flows are to be tracked at all.
[[nodiscard]] bool isPoliced(const Policed& wanted);

/// Gives numbers to those of the program that have none; `last` is the last one that was given.
void number(const policy::Program& program, Standing& standing, policy::Number& last);

/// Forgets numbers of what the program doesn't have, once they are many.
void keepOnly(const policy::Program& program, Standing& standing);

/// The elements of a network's ports, of its flows, and of the rest.
[[nodiscard]] nft::Elements portElements(const Policed& wanted, const Standing& standing);
[[nodiscard]] nft::Elements flowElements(const Standing& standing);
[[nodiscard]] nft::Elements programElements(const policy::AddressClasses& addresses,
                                            const std::set<policy::Permit>& permits,
                                            const Standing& standing);
/// The same of a change.
[[nodiscard]] nft::Elements programElements(
    const std::vector<std::pair<policy::AddressRange, policy::Number>>& addresses,
    const std::vector<policy::Permit>& permits, const Standing& standing);
/// That flows are judged in a generation.
[[nodiscard]] nft::Elements generationElements(const std::string& bridge, std::uint32_t generation);

/// What was found of a network in the kernel's tables.
struct Found {
  Standing standing;  ///< without the program's numbers
  nft::Elements elements;
  std::set<std::string> ports;
};
/// By bridge, of the elements of both tables; and the last of all numbers.
struct FoundAll {
  std::map<std::string, Found> networks;
  nft::Elements strays;  ///< elements that are no network's
  policy::Number last = 0;
};
[[nodiscard]] FoundAll foundIn(const nft::Elements& elements);
/// Takes over the numbers that the program's subjects and classes have in what was found.
void adopt(const Policed& wanted, const Found& found, Standing& standing);

/// Of permits that go, those of subjects or classes that nobody has any more: packets on their way
/// may still ask for them. Taken out of `gone`.
[[nodiscard]] nft::Elements takeUnused(nft::Elements& gone, const policy::Program& program,
                                       const Standing& standing);

/// Of elements of `ports` those that meet none of the others: the kernel takes no range where there
/// is one still.
[[nodiscard]] std::set<std::string> portsApartFrom(const std::set<std::string>& others,
                                                   const std::set<std::string>& elements);
/// Whether a change of elements may end what was allowed before. `isOrdered`: see policy::Program,
/// of the one that it leads to.
[[nodiscard]] bool mayTighten(const nft::Elements& gone, const nft::Elements& added,
                              bool isOrdered);

/// Filled by rules: ports at which frames were denied, counted.
inline constexpr const char* kDeniedOut = "denied_out";
inline constexpr const char* kDeniedIn = "denied_in";
/// Of a pod's raw frames.
inline constexpr const char* kDeniedRaw = "denied_raw";
/// Filled by rules: ports at which flows beyond a share were dropped, counted by packets; and the
/// counter of all.
inline constexpr const char* kBeyond = "beyond";
/// Counters of all of them.
inline constexpr const char* kDeniedEgress = "denied_egress";
inline constexpr const char* kDeniedIngress = "denied_ingress";

}  // namespace multinet::agent::policing
