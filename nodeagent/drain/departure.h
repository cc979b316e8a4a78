// When the containers of a pod that ends may hear that they stop: once its services have said that
// it goes and clients had the time to hear of it. Doubt delays and never blocks. Pure: time, and
// what the slices say, are arguments.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::drain {

/// What the slices of a service say of one pod.
struct Standing {
  bool offered = false;      ///< new connections come to it, by any family
  bool terminating = false;  ///< it is said to be going, by any family
  bool others = false;       ///< another pod takes new connections
  Duration hold{};           ///< after it was said; zero: the service wants none
  bool published = false;    ///< offered although it goes: publishNotReadyAddresses
  bool listed = false;       ///< it is there, by any family
};
/// With `internalTrafficPolicy: Local` others are those of `node`, whose clients it is about.
/// Slices that aren't the controller's are passed over. A service that is gone wants no hold.
[[nodiscard]] Standing standingOf(const watch::Caches::Service& service, const PodUid& pod,
                                  const NodeName& node);

/// Why a container's stop went on when it did.
enum class Why : std::uint8_t {
  Held,        ///< every service has said that the pod goes, and its hold is over
  Unseen,      ///< the slices said nothing in time: the controller or the API server is away
  Limit,       ///< half of the grace period, or 30 s, was over
  NoOther,     ///< no other pod takes the connections
  NotDeleted,  ///< a restart: the pod isn't being deleted
  NotServed,   ///< no service sends it connections, or none wants a hold
  Static,      ///< the kubelet's own pod, whose end no slice tells
  Short,       ///< a grace period of 2 s or less
  Unknown,     ///< an agent that can't tell yet whose container it is
};
/// As a label of metrics: `not-deleted`.
[[nodiscard]] std::string_view name(Why why);

/// How the pod ends, by the API.
enum class Ending : std::uint8_t {
  Deleted,  ///< or gone, or nobody knows
  NotDeleted,
  ByKubelet,  ///< not deleted, and all of it is told to stop: evicted, preempted, out of time
  Static,
};

/// One pod that ends.
class Departure {
 public:
  /// `since`: when it was known to; `readyUntil`: when it was ready last, where it isn't any more.
  explicit Departure(BootTime since, std::optional<BootTime> readyUntil = std::nullopt)
      : since_(since), readyUntil_(readyUntil) {}

  /// A service, by network and name, as it is now.
  void look(const std::string& network, const std::string& name, const Standing& now,
            BootTime time);
  /// Whether the services on that network are known.
  void setKnown(const std::string& network, bool known);
  /// One of its containers is to stop. The first time counts.
  void stopping(BootTime time) {
    if (!stoppedAt_) stoppedAt_ = time;
  }

  struct Until {
    BootTime at;
    Why why;
  };
  /// Until when a container's stop waits, as far as is known now; `grace` is the kubelet's. After
  /// stopping().
  [[nodiscard]] Until until(Duration grace, Ending ending) const;

 private:
  struct Service {
    Duration hold{};
    std::optional<BootTime> told;     ///< it is offered no more
    std::optional<BootTime> covered;  ///< and another is
  };
  [[nodiscard]] Until until(const Service& service) const;

  BootTime since_;
  std::optional<BootTime> readyUntil_;
  std::optional<BootTime> stoppedAt_;
  std::map<std::pair<std::string, std::string>, Service> services_;  ///< that matter
  std::set<std::string> unknown_;                                    ///< networks
};

}  // namespace multinet::agent::drain
