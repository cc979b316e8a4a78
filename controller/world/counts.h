// What a status counts. Every node watches PodNetworks and attachments, so a number that follows
// each pod and each node would be sent to all of them at each step of a roll-out: numbers are told
// in a pace that goes by how many those are, at 5,000 once a minute an object; verdicts at once.
#pragma once

#include <optional>
#include <unordered_map>

#include "lib/api/pod_network.h"
#include "lib/api/pod_network_attachment.h"
#include "lib/api/pod_network_policy.h"
#include "lib/base/clock.h"
#include "lib/k8s/metadata.h"

namespace multinet::controller {

/// For each node that is sent it, a number that was told stands this much longer: of one object at
/// most 83 a second are sent, whatever the cluster's size.
inline constexpr Duration kCountsStandANode = std::chrono::milliseconds(12);
/// No number stands longer.
inline constexpr Duration kCountsStand = std::chrono::minutes(1);
/// A first change waits this long for those that come with it: a Deployment's pods start together,
/// and so do nodes with a new network.
inline constexpr Duration kCountsGather = std::chrono::seconds(2);
/// How long a number that was told stands in a cluster of so many nodes.
[[nodiscard]] Duration countsStand(std::size_t nodes);
/// Names in `status.blockers`; more are a number.
inline constexpr std::size_t kMaxBlockers = 10;

/// Whether a number differs, or a sentence with one. One that wasn't told before doesn't: it comes
/// with the verdict that comes with it.
[[nodiscard]] bool countsDiffer(const api::PodNetworkStatus& before,
                                const api::PodNetworkStatus& after);
[[nodiscard]] bool countsDiffer(const api::PodNetworkAttachmentStatus& before,
                                const api::PodNetworkAttachmentStatus& after);
/// Of a policy whether it holds on interfaces is counted too, and where nodes aren't told yet.
[[nodiscard]] bool countsDiffer(const api::PodNetworkPolicyStatus& before,
                                const api::PodNetworkPolicyStatus& after);
/// `after` with the numbers of `before`: they don't differ any more.
void keepCounts(const api::PodNetworkStatus& before, api::PodNetworkStatus& after);
void keepCounts(const api::PodNetworkAttachmentStatus& before,
                api::PodNetworkAttachmentStatus& after);

/// When the numbers of each object may be told again: by what was seen of it, whoever wrote that,
/// so that a new leader keeps the pace too. Of one kind. One thread.
class Pace {
 public:
  /// What is counted has changed.
  void changed(const k8s::ObjectKey& object, BootTime time);
  /// Other numbers stand in its status.
  void told(const k8s::ObjectKey& object, BootTime time) { seen_[object] = {time, {}}; }
  void forget(const k8s::ObjectKey& object) { seen_.erase(object); }
  /// `stand`: how long a number does.
  [[nodiscard]] BootTime due(const k8s::ObjectKey& object, Duration stand) const;

 private:
  struct Seen {
    std::optional<BootTime> told;
    std::optional<BootTime> changed;  ///< first, since they were told
  };
  std::unordered_map<k8s::ObjectKey, Seen> seen_;
};

}  // namespace multinet::controller
