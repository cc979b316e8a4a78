// Sandboxes as a test wants them: answers what it was told, remembers what it was asked.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent::sandbox {

/// Any thread.
class FakeSandboxes final : public Sandboxes {
 public:
  /// How run() answers; by default it never does.
  std::function<void(RunRequest, async::Answer<RunResult>)> onRun;
  /// While true, beforeStop() and afterStop() never answer: the owner hangs.
  bool hangs = false;

  void run(RunRequest request, async::Answer<RunResult> done) override {
    note("run " + request.pod.str());
    {
      const std::lock_guard lock(mutex_);
      aborts_.push_back(request.abort);
    }
    if (onRun) {
      onRun(std::move(request), std::move(done));
    } else {
      const std::lock_guard lock(mutex_);
      unanswered_.push_back(std::move(done));
    }
  }
  void beforeStop(const SandboxId& id, async::Answer<void> done) override {
    note("beforeStop " + id.str());
    if (!hangs) done({});
  }
  void afterStop(const SandboxId& id, async::Answer<void> done) override {
    note("afterStop " + id.str());
    if (!hangs) done({});
  }
  void afterRemove(const SandboxId& id) override { note("afterRemove " + id.str()); }
  [[nodiscard]] Status mayCreateContainer(const SandboxId& id,
                                          const RunRequest& config) const override {
    if (!asksForNetworks(config)) return {};
    const auto view = snapshot()->sandboxes.find(id);
    if (view != snapshot()->sandboxes.end() && view->second.attached) return {};
    return fail(Code::FailedPrecondition, "NotAttached",
                "create container in sandbox " + id.str() + ": its networks aren't attached");
  }
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const override {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }

  [[nodiscard]] Status ready() const override {
    const auto now = snapshot();
    return now->recovered ? Status() : fail(now->waitsFor);
  }

  void publish(Snapshot snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::make_shared<const Snapshot>(std::move(snapshot));
  }
  /// How many of the runs were aborted since.
  [[nodiscard]] std::size_t aborted() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::count_if(aborts_.begin(), aborts_.end(),
                                                  [](const auto& abort) { return abort->load(); }));
  }
  /// What it was asked, in order, for example `beforeStop 4f1c`.
  [[nodiscard]] std::vector<std::string> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  void note(std::string call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
  }

  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<const Snapshot>();
  std::vector<std::string> calls_;
  std::vector<attach::AbortFlag> aborts_;
  std::vector<async::Answer<RunResult>> unanswered_;
};

}  // namespace multinet::agent::sandbox
