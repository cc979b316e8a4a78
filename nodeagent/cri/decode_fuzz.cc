// Everything that decodes bytes of the kubelet or of the runtime. Besides not crashing: a list that
// no verdict touches comes out byte for byte, and what was judged once isn't judged otherwise
// again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "nodeagent/cri/decode.h"
#include "nodeagent/cri/sandbox_list.h"

namespace {

using namespace multinet::agent;

void require(bool holds) {
  if (!holds) std::abort();
}

sandbox::Snapshot withVerdicts() {
  sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  snapshot.sandboxes[multinet::SandboxId("a")].verdict = sandbox::Verdict::Hidden;
  snapshot.sandboxes[multinet::SandboxId("b")].verdict = sandbox::Verdict::NotReady;
  snapshot.running.insert({multinet::PodUid("u"), 0});
  return snapshot;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sandbox::Snapshot kPlain{
      .recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  static const sandbox::Snapshot kJudging = withVerdicts();
  const std::string bytes(data, data + size);
  const auto run = cri::decodeRun(bytes);
  if (run) require(run->bytes == bytes);
  static_cast<void>(cri::decodeRestore(bytes));
  static_cast<void>(cri::decodeCreate(bytes));
  static_cast<void>(cri::listQuery(bytes, kJudging));
  const auto untouched = cri::judgeList(bytes, kPlain, {});
  if (untouched) require(*untouched == bytes);
  for (const auto wanted : {cri::SandboxState::Ready, cri::SandboxState::NotReady}) {
    const auto judged = cri::judgeList(bytes, kJudging, wanted);
    if (judged) require(cri::judgeList(*judged, kJudging, wanted) == judged);
  }
  return 0;
}
