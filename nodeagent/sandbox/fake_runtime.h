// A runtime in memory that does what a test scripts.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent::sandbox {

/// Answers on the caller's thread, or when release() is called for a run that is held. Errors have
/// the reason that the real client gives them. Thread-safe.
class FakeRuntime final : public Runtime {
 public:
  void runPodSandbox(const RunRequest& request, const std::vector<InterfacePlan>& /*interfaces*/,
                     async::Answer<RunReply> done) override {
    std::function<void()> finish = [this, request, done = std::move(done)] {
      done(makeSandbox(request));
    };
    {
      const std::lock_guard lock(mutex_);
      ++runs_;
      if (holding_) {
        held_.push_back(std::move(finish));
        return;
      }
    }
    finish();
  }
  void stopPodSandbox(const SandboxId& id, BootTime /*deadline*/,
                      async::Answer<void> done) override {
    done(change(id, [](auto& sandboxes, auto at) {
      at->second.ready = false;
      (void)sandboxes;
    }));
  }
  void removePodSandbox(const SandboxId& id, BootTime /*deadline*/,
                        async::Answer<void> done) override {
    done(change(id, [](auto& sandboxes, auto at) { sandboxes.erase(at); }));
  }
  void sandboxNetns(const SandboxId& id, BootTime /*deadline*/, async::Answer<Fd> done) override {
    std::optional<Error> error;
    {
      const std::lock_guard lock(mutex_);
      error = netnsError_;
      const auto at = sandboxes_.find(id);
      if (!error.has_value() && (at == sandboxes_.end() || !at->second.ready)) {
        error = Error{Code::NotFound, "SandboxGone", "sandbox " + id.str() + ": is gone"};
      }
    }
    if (error.has_value()) return done(fail(*error));
    if (shared_) return done(Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)));
    Fd fd(::memfd_create("netns", MFD_CLOEXEC));
    if (::pwrite(fd.get(), id.str().data(), id.str().size(), 0) < 0) return;
    done(std::move(fd));
  }
  void listPodSandboxes(BootTime /*deadline*/,
                        async::Answer<std::vector<RuntimeSandbox>> done) override {
    std::optional<Error> error;
    std::vector<RuntimeSandbox> list;
    {
      const std::lock_guard lock(mutex_);
      ++lists_;
      error = listError_;
      for (const auto& [id, sandbox] : sandboxes_) list.push_back(sandbox);
    }
    if (error.has_value()) return done(fail(*error));
    done(std::move(list));
  }

  /// What a run answers beside the ID.
  std::function<std::string(const SandboxId&)> replyBytes = [](const SandboxId& id) {
    return "reply " + id.str();
  };

  /// Runs are answered, and made, when release() is called.
  void hold() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void release() {
    std::vector<std::function<void()>> held;
    {
      const std::lock_guard lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (const auto& finish : held) finish();
  }
  /// The next run makes a sandbox and then answers this instead of its ID.
  void loseReply(Error error) { set(lostReply_, std::move(error)); }
  void failRun(std::optional<Error> error) { set(runError_, std::move(error)); }
  void failTeardown(std::optional<Error> error) { set(teardownError_, std::move(error)); }
  void failNetns(std::optional<Error> error) { set(netnsError_, std::move(error)); }
  /// All sandboxes have one network namespace.
  void shareNetns() { shared_ = true; }
  void failList(std::optional<Error> error) { set(listError_, std::move(error)); }
  /// The next run answers with this ID.
  void repeatId(SandboxId id) {
    const std::lock_guard lock(mutex_);
    nextId_ = std::move(id);
  }
  /// A sandbox that appears, or is replaced, without a call.
  void put(RuntimeSandbox sandbox) {
    const std::lock_guard lock(mutex_);
    const SandboxId id = sandbox.id;
    sandboxes_.insert_or_assign(id, std::move(sandbox));
  }
  void vanish(const SandboxId& id) {
    const std::lock_guard lock(mutex_);
    sandboxes_.erase(id);
  }
  [[nodiscard]] std::map<SandboxId, RuntimeSandbox> sandboxes() const {
    const std::lock_guard lock(mutex_);
    return sandboxes_;
  }
  [[nodiscard]] int lists() const {
    const std::lock_guard lock(mutex_);
    return lists_;
  }
  [[nodiscard]] int runs() const {
    const std::lock_guard lock(mutex_);
    return runs_;
  }

 private:
  using Sandboxes = std::map<SandboxId, RuntimeSandbox>;

  void set(std::optional<Error>& where, std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    if (error.has_value() && error->reason.empty()) error->reason = "Runtime";
    where = std::move(error);
  }

  template <class Change>
  Status change(const SandboxId& id, Change apply) {
    const std::lock_guard lock(mutex_);
    if (teardownError_.has_value()) return fail(*teardownError_);
    if (const auto at = sandboxes_.find(id); at != sandboxes_.end()) apply(sandboxes_, at);
    return {};
  }

  Result<RunReply> makeSandbox(const RunRequest& request) {
    const std::lock_guard lock(mutex_);
    if (runError_.has_value()) return fail(*runError_);
    const SandboxId id = nextId_.value_or(SandboxId("s" + std::to_string(++last_)));
    if (!nextId_.has_value()) {
      sandboxes_[id] = {id, request.pod, true, WallTime(std::chrono::seconds(1000 + last_)),
                        request.annotations};
    }
    nextId_.reset();
    if (lostReply_.has_value()) return fail(*std::exchange(lostReply_, std::nullopt));
    return RunReply{id, replyBytes(id)};
  }

  std::atomic<bool> shared_ = false;
  mutable std::mutex mutex_;
  Sandboxes sandboxes_;
  bool holding_ = false;
  std::vector<std::function<void()>> held_;
  std::optional<Error> runError_;
  std::optional<Error> lostReply_;
  std::optional<Error> teardownError_;
  std::optional<Error> netnsError_;
  std::optional<Error> listError_;
  std::optional<SandboxId> nextId_;
  int last_ = 0;
  int runs_ = 0;
  int lists_ = 0;
};

}  // namespace multinet::agent::sandbox
