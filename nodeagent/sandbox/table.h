// All sandboxes with a request that the agent knows, and the picture of them that others read.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "lib/netns/netns.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/journal/record.h"
#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent::sandbox {

/// One intent: what the journal says of it, and what only matters while this process lives.
struct Entry {
  journal::Record record;
  attach::AbortFlag abort = std::make_shared<std::atomic<bool>>(false);
  bool running = false;      ///< its RunPodSandbox is under way
  bool forwarded = false;    ///< the runtime may have heard of it
  bool answered = false;     ///< the runtime said yes or no: nothing can appear later
  bool detachOwed = false;   ///< its sandbox was stopped, or its links couldn't be removed yet
  bool toldMissing = false;  ///< people know that the runtime lists it no more
  bool toldBypass = false;   ///< people know that it was made without the agent
  unsigned absences = 0;     ///< lists of the runtime in a row that didn't have it
  std::optional<netns::Identity> netns{};  ///< of its sandbox, once it was opened
  /// Until then a sandbox that the runtime makes late is looked for.
  BootTime watchUntil{};
  /// The record's interfaces as the last picture has them.
  std::shared_ptr<const std::vector<InterfaceStatus>> shown{};
};
/// Shared between the table and the steps under way, which outlive any one call.
using EntryPtr = std::shared_ptr<Entry>;

/// Owned by the sandbox lane; snapshot() may be called from any thread.
class Table {
 public:
  explicit Table(std::string bootId) : bootId_(std::move(bootId)) { publish(); }

  EntryPtr add(journal::Record record);
  void remove(const IntentId& id);
  /// False, and nothing is changed, where another entry has the new ID.
  bool rename(const IntentId& from, const IntentId& to);
  [[nodiscard]] EntryPtr bySandbox(const SandboxId& id) const;
  [[nodiscard]] std::vector<EntryPtr> ofPod(const PodUid& uid) const;
  [[nodiscard]] std::vector<EntryPtr> all() const;
  /// No intent at all, quarantined ones included.
  [[nodiscard]] bool isEmpty() const { return entries_.empty() && quarantined_.empty(); }
  /// True while a run is under way whose sandbox has no ID yet.
  [[nodiscard]] bool anyUnbound() const;

  /// Remembers that an intent without an entry may be forgotten once its quarantine is over
  /// (quarantinedUntil, of this boot).
  void rest(journal::Record record) {
    const BootTime until = record.quarantinedUntil;
    quarantined_.emplace(until, std::move(record));
  }
  /// Interfaces that sandboxes of the pod had: those that are there, and those that rest.
  [[nodiscard]] std::vector<InterfacePlan> earlierOf(const PodUid& uid) const;
  /// Those whose time has come.
  [[nodiscard]] std::vector<IntentId> takeRested(BootTime now);

  /// From now on others may rely on what is missing here.
  void setRecovered();
  [[nodiscard]] bool recovered() const { return recovered_; }
  /// What recovery waits for.
  void setWaitsFor(Error what);
  /// After each change of an entry.
  void publish();
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;

 private:
  [[nodiscard]] SandboxView view(Entry& entry) const;

  std::string bootId_;
  bool recovered_ = false;
  Error waitsFor_ = Snapshot().waitsFor;
  std::map<IntentId, EntryPtr> entries_;
  std::multimap<BootTime, journal::Record> quarantined_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_;
};

}  // namespace multinet::agent::sandbox
