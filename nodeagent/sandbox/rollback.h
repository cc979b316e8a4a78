// Takes back what a run left: its steps in reverse (way.h). Each may find nothing to do, so a
// rollback can run twice and die half-way.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "nodeagent/sandbox/shared.h"
#include "nodeagent/sandbox/way.h"

namespace multinet::agent::sandbox {

class Rollback : public std::enable_shared_from_this<Rollback> {
 public:
  /// On the lane. `done` comes there too: success when nothing is left, or when all that may be
  /// left is a sandbox that the runtime hasn't made yet (the entry then waits until `watchUntil`);
  /// an error when it must be tried again, and then the sandbox shows as NOTREADY.
  static void start(const Shared& shared, EntryPtr entry, const std::string& why,
                    async::Answer<void> done);

 private:
  friend std::span<const Step> way();

  Rollback(const Shared& shared, EntryPtr entry, async::Answer<void> done)
      : shared_(shared), entry_(std::move(entry)), done_(std::move(done)) {}

  // What takes a step back. Each ends with undone() or giveUp().
  void detach();
  void stopSandbox();
  void removeSandbox();
  void release();

  /// Goes on with the step before.
  void back();
  void undone();
  void giveUp(Error error);

  void findSandbox(const std::function<void()>& found);
  void detachIn(std::optional<Fd> netns);
  void watchForLateSandbox();
  [[nodiscard]] BootTime deadline() const;

  Shared shared_;
  EntryPtr entry_;
  async::Answer<void> done_;
  std::size_t at_ = way().size();  ///< the step that is being taken back
};

}  // namespace multinet::agent::sandbox
