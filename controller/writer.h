// Carries out writes: several at a time, each for itself, while their owner goes on. Every write
// has a precondition (a name that must be free, a UID, a resourceVersion), and what deletes is
// confirmed by reading from the API server first, so that a leader who was replaced, or whose
// caches lag, loses.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
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
};
inline constexpr std::size_t kWriteOutcomes = 7;
/// `done`, `lost`, `contradicted`, `heals`, `refused`, `held-back`, `not-leading`.
[[nodiscard]] std::string_view name(WriteOutcome outcome);
/// How a failed call sorts.
[[nodiscard]] WriteOutcome sorted(const Error& error);

struct Written {
  Origin origin;
  WriteOutcome outcome = WriteOutcome::Done;
  std::optional<Duration> again;  ///< when its origin is to be asked again; absent: not by us
  Subject about = {};
  std::string item = {};     ///< of a write that is about something
  std::string refusal = {};  ///< the server's words, where it refused that
};

/// How long what was done isn't done again: whoever takes it away at once has it back after this.
inline constexpr Duration kEchoPatience = std::chrono::seconds(3);

struct WriterOptions {
  int parallel = 8;
  /// Of these one reconciler has so many at most: where the server hangs for its resource (an
  /// admission webhook of somebody else's), the others' writes go on.
  int ofOne = 4;
  /// Asked before each write, from several threads.
  std::function<bool()> leading;
  /// Told of each write that was carried out, on several threads; must not block.
  std::function<void(const PlannedWrite&)> done = [](const auto&) {};
  /// Told of each refusal, by ended(); must not block.
  std::function<void(const Write&, const Error&)> refused = [](const auto&, const auto&) {};
  /// Told when ended() has something to say that can't wait, on several threads; must not block.
  std::function<void()> ended = [] {};
};

/// Makes threads; its calls are for one thread, but count() for any.
class Writer {
 public:
  Writer(kube::Client& client, const Clock& clock, WriterOptions options);
  /// Waits likewise.
  ~Writer() { wait(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Begins them in this order, each as soon as a thread is free. A write that failed is tried
  /// again by its own time, which doubles, and holds up no other: it is returned here until then.
  /// What was refused, or lost, is tried at once where it was decided anew, on another version of
  /// the object. So is what was done: the same decision again comes of caches that haven't seen it
  /// yet, and waits kEchoPatience for them.
  [[nodiscard]] std::vector<Written> begin(std::vector<PlannedWrite> writes);
  /// What has ended since the last call. Waits for nothing.
  [[nodiscard]] std::vector<Written> ended();
  /// Whether somebody waits for the next write that is carried out; of others `ended` is told
  /// anyway. True where one has ended already.
  [[nodiscard]] bool tellNext(bool awaited);
  /// Waits for all that was begun.
  void wait();
  /// How many writes came to each outcome since the start.
  [[nodiscard]] std::uint64_t count(WriteOutcome outcome) const {
    return counts_[static_cast<std::size_t>(outcome)];
  }

 private:
  /// Of one item that failed.
  struct Setback {
    WriteOutcome outcome = WriteOutcome::Heals;
    BootTime until;
    Duration wait{};
    std::string version;  ///< of the object that was decided on
  };
  /// What was done, and may not have come to the caches.
  struct Echo {
    BootTime until;
    std::string version;  ///< as a setback has it
  };
  /// A write under way.
  struct Try;
  struct Read;
  /// What a lane does next.
  struct Job {
    std::size_t reconciler = 0;
    std::function<void()> run;
  };

  /// Under the lock: a lane takes it when it comes to it.
  void push(const Origin& origin, std::function<void()> run);
  /// On a lane, until nothing is left that it may take.
  void work(async::Lane& lane);
  void look(const Read& read);
  /// Those of its writes that it speaks against, and as what they end then.
  [[nodiscard]] std::vector<std::pair<Try*, WriteOutcome>> against(const Read& read,
                                                                   std::optional<Error>& error);
  void execute(const std::shared_ptr<Try>& attempt);
  /// Takes its body, unless it creates.
  [[nodiscard]] Status call(Write& write);
  void end(std::shared_ptr<Try> attempt);
  [[nodiscard]] std::optional<Duration> heldBack(const Write& write) const;
  [[nodiscard]] Written settle(const Try& attempt);
  void forgetOld();
  void counted(WriteOutcome outcome) { ++counts_[static_cast<std::size_t>(outcome)]; }

  kube::Client& client_;
  const Clock& clock_;
  const WriterOptions options_;
  std::map<std::string, Setback> setbacks_;  ///< by item; the owner's, as the next
  std::unordered_map<std::string, Echo> echoes_;
  BootTime forgetAt_{};
  std::array<std::atomic<std::uint64_t>, kWriteOutcomes> counts_{};
  std::mutex mutex_;
  std::condition_variable quiet_;
  std::deque<Job> jobs_;
  std::map<std::size_t, int> working_;  ///< lanes of each reconciler
  std::vector<async::Lane*> resting_;
  std::vector<std::shared_ptr<Try>> ended_;
  bool awaited_ = false;
  std::vector<std::unique_ptr<async::Lane>> lanes_;  // last: they use all of the above
};

}  // namespace multinet::controller
