// How often the agent has crashed of late, in a file that outlives it, so that one that crashes
// again and again can come up as a plain relay (docs/safe-mode.md).
//
// A start is written down when it begins. It is struck out when the agent ends as it was told to;
// once it has lived for a while all are. What is left are starts that ended early and by
// themselves.
#pragma once

#include <string>
#include <vector>

#include "lib/base/clock.h"

namespace multinet::agent {

struct CrashLimits {
  unsigned starts = 5;  ///< so many starts that ended early are too many
  Duration within = std::chrono::seconds(60);
  /// An agent that lived so long has not crashed at its start, and clears the count.
  Duration settled = std::chrono::seconds(10);
};

/// One thread at a time; calls read and write the file. A file that can't be read or written is
/// told in the log and counts as empty: no start depends on it.
class CrashCount {
 public:
  /// `clock` outlives it.
  CrashCount(std::string path, const Clock& clock, CrashLimits limits = {});

  /// Writes this start down. True where too many before it ended early.
  [[nodiscard]] bool begin();
  /// This process has lived for CrashLimits::settled. Without effect where begin() wasn't called,
  /// as end().
  void settle();
  /// This process ends as it was told to.
  void end();
  /// Safe mode ends: one crash within CrashLimits::within brings it back.
  void tryAgain();

  [[nodiscard]] const CrashLimits& limits() const { return limits_; }

 private:
  using Starts = std::vector<std::int64_t>;  // wall clock, milliseconds
  [[nodiscard]] std::int64_t now() const;
  /// Those that count still.
  [[nodiscard]] Starts read() const;
  void write(const Starts& starts) const;

  const std::string path_;
  const Clock& clock_;
  const CrashLimits limits_;
  std::int64_t own_ = 0;
};

}  // namespace multinet::agent
