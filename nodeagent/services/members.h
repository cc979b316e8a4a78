// Which pods of this node are on which networks: a ClusterIP is translated for those alone.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/ids.h"
#include "lib/bpf/table.h"
#include "nodeagent/services/words.h"

namespace multinet::agent::services {

/// Kept here from the first pod on; in the map, once there is one. Any thread.
class Members {
 public:
  /// The sandbox of that intent, in the network namespace of that cookie, is on these networks.
  /// Saying it again costs nothing.
  [[nodiscard]] Status joined(const IntentId& intent, std::uint64_t netns,
                              const std::set<NetworkKey>& networks);
  void left(const IntentId& intent);
  [[nodiscard]] bool knows(const IntentId& intent) const;

  /// From now on the map has it. What an earlier agent left stays; `map` outlives it.
  [[nodiscard]] Status open(bpf::Table& map);
  /// Takes out of the map what is in none of these namespaces: pods that ended unseen.
  [[nodiscard]] Status keep(const std::set<std::uint64_t>& alive);

  [[nodiscard]] bool has(std::uint64_t netns, NetworkKey network) const;
  /// What last kept a pod out of the map.
  [[nodiscard]] std::optional<Error> problem() const;
  [[nodiscard]] std::uint64_t writes() const;

 private:
  struct Pod {
    std::uint64_t netns = 0;
    std::set<NetworkKey> networks;
    bool operator==(const Pod&) const = default;
  };
  using Entry = std::pair<std::uint64_t, NetworkKey>;

  [[nodiscard]] Status add(const Pod& pod);
  [[nodiscard]] Status write(const Entry& entry);
  [[nodiscard]] Status erase(const Entry& entry);
  [[nodiscard]] Status eraseAll(std::uint64_t netns);

  mutable std::mutex mutex_;
  std::map<IntentId, Pod> pods_;
  bpf::Table* map_ = nullptr;
  std::set<Entry> there_;  ///< in the map
  std::optional<Error> problem_;
  std::uint64_t writes_ = 0;
};

}  // namespace multinet::agent::services
