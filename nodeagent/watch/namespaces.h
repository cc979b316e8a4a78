// Labels of namespaces, which decide access: fetched ahead of the call that needs them, refreshed
// beside it, never waited for longer than they are worth.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/async/lane.h"
#include "lib/async/workers.h"
#include "lib/base/clock.h"
#include "lib/k8s/metadata.h"

namespace multinet::agent::watch {

struct NamespaceOptions {
  /// Labels older than this are fetched again before they decide,
  Duration fresh = std::chrono::seconds(30);
  /// but they do decide where that takes longer: a server that hangs is no server that refuses.
  Duration patience = std::chrono::milliseconds(500);
  /// Fetches at a time. One that hangs holds up no other namespace.
  int workers = 4;
};

class Namespaces {
 public:
  /// Blocks, with a deadline of its own; called on the workers. NotFound: there is none.
  using Fetch = std::function<Result<k8s::StringMap>(const std::string& name)>;

  /// `clock` outlives it. Starts its threads.
  Namespaces(NamespaceOptions options, const Clock& clock, Fetch fetch);
  ~Namespaces() { stop(); }
  Namespaces(const Namespaces&) = delete;
  Namespaces& operator=(const Namespaces&) = delete;

  /// What is known, however old. Any thread; never waits.
  [[nodiscard]] std::optional<k8s::StringMap> labels(const std::string& name) const;
  /// `done` comes once, as soon as the labels are good enough to decide by: at once where they are
  /// fresh, after `patience` at the latest where they are known, with the fetch where they aren't.
  /// Its error: NotFound, or Unavailable where nothing is known. On any thread.
  void need(const std::string& name, std::function<void(Status)> done);
  /// Those who still wait get no answer.
  void stop();

 private:
  struct Known {
    k8s::StringMap labels;
    BootTime fetched;
  };
  struct Waiter {
    std::uint64_t id = 0;
    std::function<void(Status)> done;
  };

  void fetch(const std::string& name);
  /// Answers one waiter of a name, unless it has its answer.
  void answer(const std::string& name, std::uint64_t id);

  const NamespaceOptions options_;
  const Clock& clock_;
  const Fetch fetch_;

  mutable std::mutex mutex_;
  std::map<std::string, Known, std::less<>> known_;
  std::map<std::string, std::vector<Waiter>> waiting_;
  std::uint64_t waiters_ = 0;

  async::Workers<std::string> workers_;
  async::Lane timers_;  // never blocks
};

}  // namespace multinet::agent::watch
