// Containers of pods that are deleted hear that they stop only once their services have let go of
// them: StopContainer is held meanwhile, so that no process ends while clients are still sent to
// it. One barrier a pod: all of its containers pass it, the first to arrive and those that follow.
//
// A pod that the kubelet ends by itself isn't deleted: that all of its containers are told to stop
// is the only sign of it. It is said in the pod's set then, and the services let go of it likewise.
//
// Of other pods nothing is known here, and their calls aren't held; but for the first moments of an
// agent, which has yet to learn from the runtime whose the containers are.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/answer.h"
#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "nodeagent/drain/departure.h"
#include "nodeagent/sandbox/sandboxes.h"
#include "nodeagent/watch/caches.h"
#include "nodeagent/watch/own_objects.h"

namespace multinet::agent::drain {

/// A container as the kubelet names it, of which a sandbox has one at a time.
struct Container {
  std::string id;
  std::string name;
  SandboxId sandbox;
  std::int64_t created = 0;  ///< ns since 1970, by the runtime's word; 0: just now
};

/// What it asks; all of it outlives the lane.
struct Sources {
  const watch::Caches* caches = nullptr;
  const watch::OwnObjects* own = nullptr;
  NodeName node;
  /// The runtime's containers that run. Answered on any thread.
  std::function<void(async::Answer<std::vector<Container>>)> containers;
  /// Hears of a container that is told to stop before its services let go of the pod, since half of
  /// `grace`, or the longest hold, is over. On the lane; must not block.
  std::function<void(const PodRef& pod, Duration grace)> cutShort = [](const auto&, auto) {};
  /// Hears that all containers of a pod are told to stop, though it isn't deleted; and with false
  /// that they aren't any more, as after a restart. On the lane; must not block.
  std::function<void(const PodRef& pod, const SandboxId& sandbox, bool ends)> ending =
      [](const auto&, const auto&, bool) {};
};

/// All calls return at once. Any thread.
class Drain {
 public:
  using PictureOf = std::function<std::shared_ptr<const sandbox::Snapshot>()>;
  /// Hears of each stop of a container of a pod with networks that goes on; on the lane.
  using Told = std::function<void(Why why, Duration held)>;
  /// `lane` never waits, and stops before this goes; `starting`: how long an agent may take to
  /// learn whose the containers are, for which stops of those that it doesn't know wait.
  Drain(async::Lane& lane, const Clock& clock, PictureOf picture, Told told,
        Duration starting = std::chrono::seconds(1));

  /// Once: from now on it can tell.
  void open(Sources sources);
  /// Nothing is held any more, nor what is held now: without its sources it can't tell.
  void close();

  /// A container was made in a sandbox with networks.
  void created(Container container);
  /// A sandbox is gone, with or without networks.
  void removed(const SandboxId& sandbox);
  /// Something about the end of that pod of this node changed; of any, where it is empty.
  void podChanged(const std::string& uid);
  /// A service on a network, or its slices; with an empty name, any.
  void serviceChanged(const std::string& network, const std::string& namespaceName,
                      const std::string& name);

  /// Whether any stop might be held: where none is, their bytes needn't be read.
  [[nodiscard]] bool mayHold() const;
  using Go = std::function<void(Duration held)>;
  /// A container is to stop within `grace`. `go` comes once, when the call is to go on: at once on
  /// the caller's thread where there is nothing to wait for, else on the lane. `gone` says that
  /// nobody waits for it any more.
  void stop(const std::string& container, Duration grace,
            std::shared_ptr<const std::atomic<bool>> gone, Go go);

  /// The same of a whole sandbox, whose runtime ends what runs there at once: so does a kubelet
  /// whose StopContainer failed, as with an agent that died while it held it. Where the containers
  /// were let go before, there is nothing to wait for; where they run since before this agent and
  /// weren't told to stop by it, the pod ends, deleted or not.
  void stopSandbox(const SandboxId& sandbox, std::shared_ptr<const std::atomic<bool>> gone, Go go);

 private:
  struct Call {
    std::string container;             ///< empty: the whole sandbox
    std::optional<SandboxId> sandbox;  ///< where it is the whole
    Duration grace{};
    std::shared_ptr<const std::atomic<bool>> gone;
    Go go;
    BootTime arrived{};
  };
  using CallPtr = std::shared_ptr<Call>;
  /// One pod's.
  struct Barrier {
    PodRef pod;
    std::set<std::string> networks;
    Departure departure;
    std::vector<CallPtr> waiting;
    std::optional<BootTime> wakes{};
    Duration grace{};                 ///< the longest of its containers'
    bool told = false;                ///< that the kubelet ends it
    bool cutOff = false;              ///< its end began under an earlier agent, which didn't finish
    std::optional<BootTime> fails{};  ///< when it should long have ended
  };
  using Barriers = std::map<SandboxId, Barrier>;

  /// The newest container of a name.
  struct Kept {
    std::string id;
    bool stops = false;  ///< it was told to
  };

  [[nodiscard]] bool isStarting() const;
  [[nodiscard]] std::optional<SandboxId> sandboxOf(const std::string& container) const;
  void keep(Container container);
  /// Of `containers`, those that the pod has beside init containers and sidecars.
  [[nodiscard]] bool allStop(const SandboxId& sandbox,
                             const std::vector<k8s::Container>& containers) const;
  /// Whether any container is there that wasn't told to stop.
  [[nodiscard]] bool anyGoesOn(const SandboxId& sandbox) const;
  void setStops(const std::string& container, bool stops);
  void clearStops(const SandboxId& sandbox);
  // On the lane:
  void adopt(Duration retryAfter);
  void adopted(std::vector<Container> containers);
  void arrive(const CallPtr& call);
  void release(const Call& call, Why why) const;
  [[nodiscard]] Barriers::iterator barrierOf(const SandboxId& sandbox,
                                             const sandbox::SandboxView& view);
  /// Nothing where it is, or where nobody knows.
  [[nodiscard]] std::optional<BootTime> readyUntil(const PodRef& pod) const;
  [[nodiscard]] Ending endingOf(const SandboxId& sandbox, const Barrier& barrier) const;
  /// Whether an earlier agent began to end it, and died before it was through. Once.
  [[nodiscard]] bool isCutOff(const SandboxId& sandbox, const Barrier& barrier) const;
  /// Whether the API has it of that sandbox that it drains.
  [[nodiscard]] bool isSaidToDrain(const SandboxId& sandbox, const PodRef& pod) const;
  void tellEnding(Barriers::iterator barrier, Ending ending) const;
  /// Says that those of which an earlier agent may have said that they end don't.
  void disinherit(const SandboxId& sandbox);
  void expectEnd(Barriers::iterator barrier);
  /// Of a pod that is deleted, by the API.
  [[nodiscard]] Duration graceOf(const PodRef& pod) const;
  void lookAtAll(Barrier& barrier) const;
  void lookAtOne(Barrier& barrier, const std::string& network, const std::string& name) const;
  /// Of calls that nobody waits for any more, and that weren't passed on.
  void forgetStops(const Barrier& barrier, const std::vector<std::pair<CallPtr, Why>>& going);
  /// Lets go whom nothing holds any more; the barrier may be gone after it.
  void settle(Barriers::iterator barrier);
  void forgetGone(const sandbox::Snapshot& now);

  async::Lane& lane_;
  const Clock& clock_;
  const PictureOf picture_;
  const Told told_;
  const BootTime startsUntil_;
  std::atomic<bool> adopted_{false};
  std::atomic<bool> closed_{false};

  mutable std::mutex mutex_;                                 // of the next two
  std::map<std::string, SandboxId> containers_;              ///< of sandboxes with networks
  std::map<SandboxId, std::map<std::string, Kept>> newest_;  ///< by name
  std::atomic<bool> anyContainer_{false};

  // Of the lane:
  std::optional<Sources> sources_;
  Barriers barriers_;
  std::map<SandboxId, PodRef> inherited_;  ///< of an earlier agent
  std::atomic<std::size_t> ending_{0};     ///< barriers; read on any thread
};

}  // namespace multinet::agent::drain
