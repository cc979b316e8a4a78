// Keeps the policies of networks in the kernel for links that have no end on the node: in each
// pod's own namespace, where its containers with NET_ADMIN can undo them. Decision 0126 says why it
// is done so.
//
// A link has its name before it is made, so what holds for it is committed before. What a
// predecessor left is adopted as it is: a restart writes nothing.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "lib/async/lane.h"
#include "lib/netns/netns.h"
#include "nodeagent/attach/policies.h"
#include "nodeagent/policy/guard.h"

namespace multinet::agent::policing {

/// Links of one network in their pods, and what more is to be known of it there.
struct InPods {
  std::map<policy::PodKey, attach::PodPort> pods;
  api::TrackConnections track = api::TrackConnections::Auto;
  /// Of the node's gateway, whose health checks pass, where an address can be believed.
  std::set<IpAddress> gateways{};
};

/// Any thread; a call may wait for another's transaction or listing, of any pod. A pod's namespace
/// is held open from commit() to leave().
class PodGuards {
 public:
  /// `options`: what it says of others and of settling is of no use here. `clock` outlives it.
  PodGuards(PolicyGuardOptions options, const Clock& clock);
  ~PodGuards();
  PodGuards(const PodGuards&) = delete;
  PodGuards& operator=(const PodGuards&) = delete;

  /// Has these links, which are all that there are of the network on this node, held to the
  /// program, and their flows tracked; as PolicyGuard does. Errors of those of which that failed:
  /// there what was still holds.
  /// `since`: the change of the program's addresses since it was last given; null: they may all
  /// differ.
  [[nodiscard]] std::map<policy::PodKey, Error> commit(const NetworkUid& network,
                                                       const policy::Program& program,
                                                       const policy::AddressChange* since,
                                                       const InPods& inPods);
  /// The link is there, and not up yet: what raw sockets send by it is dropped from now on, where
  /// policies are about what it sends.
  [[nodiscard]] Status linked(const attach::PodPort& port);
  /// There is no such link any more.
  void leave(const attach::PodPort& port);

  /// By PodPort::name, of isolated links of whose rules a pod lacks some, as of the last look: why.
  [[nodiscard]] std::map<std::string, Error> troubles() const;
  /// Since the start, raw frames too. Costs a request for each pod that is held.
  [[nodiscard]] Denied denied();
  /// Transactions so far, and pods that are held.
  [[nodiscard]] std::uint64_t commits() const;
  [[nodiscard]] std::size_t pods() const;
  [[nodiscard]] const async::Lane& lane() const { return lane_; }
  /// Looks no more; the kernel's tables stay.
  void stop() { lane_.stop(); }

 private:
  struct Link {
    NetworkUid network;
    bool isolated = false;
    bool egress = false;                 ///< on what it sends
    bool isHeld = false;                 ///< its guard has all that is known of it
    policy::Program own{};               ///< of the network's what is about it, but addresses
    std::set<policy::Number> classes{};  ///< whose addresses are held; all, where `own` is ordered
    api::TrackConnections track = api::TrackConnections::Auto;
    std::set<IpAddress> gateways{};
    std::string port{};  ///< PodPort::name
  };
  struct Doors {
    nft::Committer committer;
    nft::Generation generation;
  };
  struct Pod {
    std::shared_ptr<const Fd> netns;
    std::string name;  ///< for people
    std::map<std::string, Link> links;
    std::shared_ptr<PolicyGuard> guard;          ///< nothing: none of its links needs rules
    std::optional<Doors> doors;                  ///< for raw frames
    std::set<std::string> raw;                   ///< links whose raw frames are dropped
    std::optional<std::uint32_t> rawGeneration;  ///< of the rules, as they were right
    BootTime rawCompareAt{};
    bool rawCommitted = false;
    std::uint64_t rawCommits = 0;
    std::uint64_t deniedRaw = 0;
    std::optional<Error> trouble;  ///< with raw frames' rules; logged already
  };
  using Pods = std::map<netns::Identity, Pod>;

  // All below: under the mutex.
  [[nodiscard]] Status hold(const NetworkUid& network, const policy::Program& program,
                            const policy::AddressChange* since, const policy::PodKey& key,
                            const InPods& inPods);
  [[nodiscard]] Status holdAll(const NetworkUid& network, const policy::Program& program,
                               const policy::PodKey& key, const InPods& inPods);
  [[nodiscard]] static Status follow(Link& link, const policy::Program& own,
                                     const policy::AddressChange& since, const policy::PodKey& key,
                                     const attach::PodPort& port, PolicyGuard& guard);
  [[nodiscard]] Status open(const netns::Identity& which, Pod& pod) const;
  void drop(const netns::Identity& which, const std::string& link);
  void close(Pod& pod);
  [[nodiscard]] Status keepRaw(Pod& pod);
  [[nodiscard]] Status putRaw(Pod& pod, const std::set<std::string>& wanted);
  void look(const netns::Identity& which);

  // Without it, on the lane.
  void settle(const netns::Identity& which) const;
  void prepare();
  void lookAtAll();

  const PolicyGuardOptions options_;
  const Clock& clock_;
  mutable nft::Skeletons skeletons_;
  mutable std::mutex mutex_;
  Pods pods_;
  Denied before_;  ///< of pods that are gone
  std::uint64_t commitsBefore_ = 0;
  // Last: it uses all of the above. Guards ask it to come back while they are being made.
  mutable async::Lane lane_;
};

}  // namespace multinet::agent::policing
