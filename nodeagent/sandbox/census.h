// Compares, again and again, the sandboxes that the agent knows with what the runtime, the kernel
// and the API say of them. One witness alone decides nothing:
//
//   gone       the runtime hasn't listed it twice, and no namespace of the node holds its links
//   unknown    the runtime lists it twice, it runs and asks for networks, and nobody knows it: it
//              is adopted in doubt, and what the kernel shows of it is held
//   in doubt   its links and its set in the API say the same: believed again
//   bypassed   it has no link of ours, and the API no set: it was made without the agent
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/async/lane.h"
#include "nodeagent/sandbox/look.h"
#include "nodeagent/sandbox/shared.h"

namespace multinet::agent::sandbox {

/// All of it on the sandbox lane, but for what blocks: that has a lane of its own.
class Census {
 public:
  /// `gone` takes back what is left of a sandbox. `shared` outlives it.
  Census(const Shared& shared, std::function<void(const EntryPtr&)> gone);
  ~Census() { stop(); }
  Census(const Census&) = delete;
  Census& operator=(const Census&) = delete;
  /// Whether recovery found out all that is held.
  void begin(addresses::Books books) { books_ = books; }
  /// When it is time for a round. Without effect while one is under way.
  void tick();
  /// Rounds that have ended. Any thread.
  [[nodiscard]] std::uint64_t rounds() const { return rounds_; }
  /// Before the sandbox lane ends.
  void stop() { lane_.stop(); }

 private:
  void compare();
  void roundEnds();
  /// Nobody here has or may get networks: lists of the runtime would be in vain.
  [[nodiscard]] bool isQuiet() const;
  /// What a round asks the kernel.
  struct Questions {
    std::vector<RuntimeSandbox> look;
    bool everywhere = false;
  };
  struct Answers {
    std::vector<RuntimeSandbox> looked;
    Seen seen;
    std::optional<Result<Links>> everywhere;
  };

  [[nodiscard]] Questions questions(const std::vector<RuntimeSandbox>& list);
  void ask(Questions questions);
  void hear(const Answers& answers);
  void hearOfMissing(const Links& everywhere);
  /// The holdings of what is known now that wasn't.
  [[nodiscard]] std::vector<addresses::Holding> hearOf(const RuntimeSandbox& sandbox,
                                                       const Result<Links>& links);
  void replace(const EntryPtr& entry, journal::Record judged);
  void tellBypass(Entry& entry);
  void tellCondition();
  void askApi();

  const Shared& shared_;
  std::function<void(const EntryPtr&)> gone_;
  addresses::Books books_ = addresses::Books::Incomplete;
  bool underWay_ = false;
  std::atomic<std::uint64_t> rounds_ = 0;
  std::optional<BootTime> last_;     // when the last round began
  std::set<SandboxId> seenUnknown_;  // by the last list
  bool askingApi_ = false;
  BootTime nextAsk_{};
  std::optional<std::vector<KnownSet>> sets_;  // while anything is in doubt
  std::optional<std::size_t> toldBypassed_;
  async::Lane lane_;
};

}  // namespace multinet::agent::sandbox
