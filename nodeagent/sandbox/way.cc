#include "nodeagent/sandbox/way.h"

#include <array>
#include <string>

#include "lib/base/failpoint.h"
#include "nodeagent/sandbox/rollback.h"
#include "nodeagent/sandbox/run_command.h"

namespace multinet::agent::sandbox {

std::span<const Step> way() {
  using Run = RunCommand;
  using Undo = Rollback;
  static constexpr std::string_view kDisk = "the journal: its disk doesn't answer";
  static constexpr auto kWay = std::to_array<Step>({
      {"older", &Run::settleOlder, "what an earlier sandbox of this attempt left"},
      {"resolve", &Run::resolve, "the definitions of its networks"},
      {"claim", &Run::claim, "addresses"},
      {"intent", &Run::writeIntent, kDisk, "rollback-release", &Undo::release},
      {"forward", &Run::forward, "", "rollback-remove", &Undo::removeSandbox},
      {"bound", &Run::bind, "", "rollback-stop", &Undo::stopSandbox},
      {"netns", &Run::openNetns, "the runtime to tell the sandbox's network namespace"},
      {"commit", &Run::awaitCommit, kDisk},
      {"policies", &Run::awaitPolicies, "what policies on its networks say"},
      {"attach", &Run::attach, "the kernel to make its links", "rollback-detach", &Undo::detach},
      {"answer", &Run::answer},
  });
  return kWay;
}

void passPlace(std::string_view name, std::string_view when) {
  if (!failpoint::anyArmed()) return;
  failpoint::pass("sandbox." + std::string(name) + "." + std::string(when));
}

}  // namespace multinet::agent::sandbox
