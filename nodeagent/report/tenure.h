// Which agent works under a node's name, where two machines believe that it is theirs: a disk was
// copied, a node was made again while the old machine still runs.
//
// The set of the node says who holds the name. Another that comes asks, by a word of its own in the
// same object; whoever holds the name and lives takes that word away, which is the answer. Where
// nobody answers the name is free, as after each reboot. The server's order of writes decides
// alone, and no clock is compared with another's: see docs/decisions/0090.
#pragma once

#include <optional>

#include "lib/api/node_network_set.h"
#include "lib/base/clock.h"

namespace multinet::agent::report {

struct TenureOptions {
  /// So long an answer is waited for: the other hears of the question by a watch.
  Duration patience = std::chrono::seconds(5);
  /// Between two questions while another answers.
  Duration askAgain = std::chrono::seconds(30);
};

/// Pure; one thread at a time.
class Tenure {
 public:
  explicit Tenure(TenureOptions options = {}) : options_(options) {}

  enum class Step : std::uint8_t {
    Hold,  ///< the name is ours, and the set is ours to write
    Ask,   ///< it is another's: the question is written, and nothing else
    Take,  ///< nobody answered: as Hold, from now on
    Wait,  ///< nothing is written
  };
  struct Move {
    Step step = Step::Wait;
    /// As the set shall say.
    std::optional<api::NodeAgent> agent{};
    std::optional<api::NodeAgent> claimant{};
    std::optional<Duration> again{};  ///< look again after this
  };

  /// What `self` is to do about what stands there. Of another's word only the server's own answer
  /// is good enough, not a watch's.
  [[nodiscard]] Move next(const api::NodeNetworkSetStatus& there, const api::NodeAgent& self,
                          BootTime now);
  /// The move was written, or needed no write.
  void done(const Move& move, BootTime now);

  /// Who answered that the name is his.
  [[nodiscard]] const std::optional<api::NodeAgent>& holder() const { return holder_; }
  /// Who asked for our name, within the last two questions' time.
  [[nodiscard]] std::optional<api::NodeAgent> rival(BootTime now) const;

 private:
  const TenureOptions options_;
  std::optional<BootTime> askedAt_;  // our question stands, as far as we know
  std::optional<BootTime> nextAsk_;
  std::optional<api::NodeAgent> holder_;
  std::optional<api::NodeAgent> rival_;
  BootTime rivalAt_{};
};

}  // namespace multinet::agent::report
