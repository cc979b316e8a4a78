// Carries out writes: several at a time, each for itself. Every write has a precondition (a name
// that must be free, a UID, a resourceVersion), and what deletes is confirmed by reading from the
// API server first, so that a leader who was replaced, or whose caches lag, loses.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/plan/planner.h"
#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/kube/client.h"

namespace multinet::controller {

/// What became of a write.
enum class WriteOutcome : std::uint8_t {
  Done,
  Lost,          ///< another was faster: its change is seen before the next try
  Contradicted,  ///< the API server's own objects speak against it: the caches lag
  Heals,         ///< by itself: the server is away, or too busy
  Refused,       ///< for what the object is: hopeless until that changes
  HeldBack,      ///< it failed before, and its time hasn't come
  NotLeading,    ///< another replica writes by now
  NotBegun,      ///< the turn's time was over
};
inline constexpr std::size_t kWriteOutcomes = 8;
/// `done`, `lost`, `contradicted`, `heals`, `refused`, `held-back`, `not-leading`, `not-begun`.
[[nodiscard]] std::string_view name(WriteOutcome outcome);
/// How a failed call sorts.
[[nodiscard]] WriteOutcome sorted(const Error& error);

struct Written {
  Origin origin;
  WriteOutcome outcome = WriteOutcome::Done;
  std::optional<Duration> again;  ///< when its origin is to be asked again; absent: not by us
};

struct WriterOptions {
  int parallel = 8;
  /// No write of a turn begins later, but for the first `parallel`: what changed meanwhile waits.
  Duration turn = std::chrono::milliseconds(20);
  /// Asked before each write, from several threads.
  std::function<bool()> leading;
  /// Told of each write that was carried out, on several threads; must not block.
  std::function<void(const Write&)> done = [](const auto&) {};
  /// Told of each refusal; must not block.
  std::function<void(const Write&, const Error&)> refused = [](const auto&, const auto&) {};
};

/// Makes threads; its calls are for one thread, but outcomes() for any.
class Writer {
 public:
  Writer(kube::Client& client, const Clock& clock, WriterOptions options);

  /// Begins them in this order, and returns when all that were begun have ended. A write that
  /// failed is tried again by its own time, which doubles, and holds up no other. What was refused,
  /// or lost, is tried at once where it was decided anew, on another version of the object.
  [[nodiscard]] std::vector<Written> send(std::vector<PlannedWrite> writes);
  /// How many writes came to each outcome since the start.
  [[nodiscard]] std::uint64_t count(WriteOutcome outcome) const {
    return counts_[static_cast<std::size_t>(outcome)];
  }
  /// How many were sent, or would have been but for what was read first.
  [[nodiscard]] std::uint64_t tried() const;

 private:
  /// Of one item that failed.
  struct Setback {
    WriteOutcome outcome = WriteOutcome::Heals;
    BootTime until;
    Duration wait{};
    std::string version;  ///< of the object that was decided on
  };
  struct Read;
  struct Try;
  struct Finding;

  void confirm(std::vector<Try>& tries);
  [[nodiscard]] std::vector<Finding> look(const Read& read);
  void execute(Try& attempt);
  /// Takes its body, unless it creates.
  [[nodiscard]] Status call(Write& write);
  [[nodiscard]] std::optional<Duration> heldBack(const Write& write) const;
  [[nodiscard]] Written settle(const Try& attempt);
  /// On all lanes; returns when all are done.
  void inParallel(std::size_t count, const std::function<void(std::size_t)>& work);

  kube::Client& client_;
  const Clock& clock_;
  const WriterOptions options_;
  std::map<std::string, Setback> setbacks_;  ///< by item
  std::array<std::atomic<std::uint64_t>, kWriteOutcomes> counts_{};
  std::vector<std::unique_ptr<async::Lane>> lanes_;  // last: they use all of the above
};

}  // namespace multinet::controller
