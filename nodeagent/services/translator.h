// Keeps what the kernel translates as the API has it.
//
// Level-driven: a change names a service, which is compared with what the maps have of it; at the
// start, and whenever it isn't known what changed, all are. Nothing is loaded into the kernel
// before the first service with a ClusterIP on a network of this node's pods.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/async/gather.h"
#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "nodeagent/services/members.h"
#include "nodeagent/services/plane.h"
#include "nodeagent/watch/caches.h"

namespace multinet::agent::services {

struct TranslatorOptions {
  NodeName node;
  /// A burst is one change.
  Duration gather = std::chrono::milliseconds(10);
  /// What couldn't be had is tried again, and what somebody took away put back.
  Duration again = std::chrono::seconds(30);
  /// The same where pods have no control group yet: with the first of them it is there.
  Duration soon = std::chrono::seconds(1);
};

/// What is translated here, and what was done for it since the start.
struct TranslatorCounts {
  std::size_t frontends = 0;  ///< addresses and ports of services
  std::size_t endpoints = 0;  ///< of all of them
  std::uint64_t writes = 0;   ///< to the maps
  std::uint64_t ended = 0;    ///< UDP sockets whose endpoint went
};

/// All it is given outlives it.
class Translator {
 public:
  /// Hears whether services are translated here, and where not, why; on the lane, each time.
  using Report = std::function<void(const Status& translated)>;
  Translator(const watch::Caches& caches, Plane& plane, Members& members, Report report,
             const Clock& clock, TranslatorOptions options);

  /// What Caches shows of that service changed; with empty names, anything, the zone too. Any
  /// thread; returns at once.
  void changed(const std::string& network, const std::string& namespaceName,
               const std::string& name);
  /// Before what it was given goes.
  void stop() { lane_.stop(); }
  [[nodiscard]] const async::Lane& lane() const { return lane_; }
  /// As of the last change. Any thread.
  [[nodiscard]] TranslatorCounts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  struct Name {
    std::string network;
    std::string nameSpace;
    std::string name;
    auto operator<=>(const Name&) const = default;
  };
  /// As Name, without the network: a service is made again on another.
  using Key = std::pair<std::string, std::string>;

  void work();
  /// What has to be looked at.
  [[nodiscard]] std::set<Name> take(bool& all);
  [[nodiscard]] Status open();
  [[nodiscard]] Status followAll();
  [[nodiscard]] Status followOne(const Name& name);
  [[nodiscard]] Status put(const Key& key, const std::string& network,
                           const watch::Caches::Service& service);
  [[nodiscard]] Status drop(const Key& key, const std::set<Frontend>& kept);
  /// Whether any service that is followed has a ClusterIP.
  [[nodiscard]] bool anyWanted() const;
  /// As of now.
  [[nodiscard]] endpoints::Place place() const {
    return {options_.node, caches_.zone().value_or("")};
  }
  [[nodiscard]] std::optional<NetworkKey> networkKey(const std::string& network) const;
  void endSockets();
  void count(unsigned ended);
  void tell(const Status& done);
  void lookAgain(Duration after);

  const watch::Caches& caches_;
  Plane& plane_;
  Members& members_;
  const Report report_;
  const TranslatorOptions options_;
  mutable std::mutex mutex_;  // of the next three
  TranslatorCounts counts_;
  bool allChanged_ = true;
  std::set<Name> changed_;
  // Of the lane:
  std::optional<ServiceTable> table_;
  std::map<Key, std::set<Frontend>> has_;
  std::map<Frontend, Key> owner_;
  std::vector<Ended> ended_;
  bool failed_ = false;
  bool looksAgain_ = false;
  async::Gather gather_;
  async::Lane lane_;
};

}  // namespace multinet::agent::services
