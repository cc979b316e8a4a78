// Takes back what a run left: links, then the sandbox, then the addresses. Each step may find
// nothing to do, so it can run twice and die half-way.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

class Rollback : public std::enable_shared_from_this<Rollback> {
 public:
  /// On the lane. `done` comes there too: success when nothing is left, or when all that may be
  /// left is a sandbox that the runtime hasn't made yet (the entry then waits until `watchUntil`);
  /// an error when it must be tried again, and then the sandbox shows as NOTREADY.
  static void start(const Shared& shared, EntryPtr entry, const std::string& why,
                    std::function<void(Status)> done);

 private:
  Rollback(const Shared& shared, EntryPtr entry, std::function<void(Status)> done)
      : shared_(shared), entry_(std::move(entry)), done_(std::move(done)) {}
  void findSandbox();
  void openNetns();
  void detach(std::optional<Fd> netns);
  void stopSandbox();
  void removeSandbox();
  void finish();
  void watchForLateSandbox();
  void giveUp(Error error);
  [[nodiscard]] BootTime deadline() const;

  Shared shared_;
  EntryPtr entry_;
  std::function<void(Status)> done_;
};

}  // namespace multinet::agent::sandbox
