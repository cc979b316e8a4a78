#include "nodeagent/cri/sandbox_list.h"

#include <algorithm>

#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;
using sandbox::Verdict;

Verdict verdictOn(const subset::PodSandbox& item, const sandbox::Snapshot& snapshot) {
  const auto known = snapshot.sandboxes.find(SandboxId(item.id()));
  if (known != snapshot.sandboxes.end()) return known->second.verdict;
  const auto& metadata = item.metadata();
  const bool running = snapshot.running.contains({PodUid(metadata.uid()), metadata.attempt()});
  return running ? Verdict::Hidden : Verdict::Pass;
}

}  // namespace

bool hasVerdicts(const sandbox::Snapshot& snapshot) {
  return !snapshot.running.empty() ||
         std::any_of(snapshot.sandboxes.begin(), snapshot.sandboxes.end(),
                     [](const auto& known) { return known.second.verdict != Verdict::Pass; });
}

Result<ListQuery> listQuery(const std::string& request, const sandbox::Snapshot& snapshot) {
  ListQuery query;
  if (!hasVerdicts(snapshot)) return query;
  subset::ListPodSandboxRequest decoded;
  if (!decoded.ParseFromString(request)) {
    return fail(Code::InvalidArgument, "Malformed",
                "decode ListPodSandboxRequest: it is no valid message");
  }
  if (!decoded.filter().has_state()) return query;
  query.wanted = decoded.filter().state().state() == subset::SANDBOX_READY ? SandboxState::Ready
                                                                           : SandboxState::NotReady;
  decoded.mutable_filter()->clear_state();
  query.rewritten = decoded.SerializeAsString();
  return query;
}

Result<std::string> judgeList(const std::string& reply, const sandbox::Snapshot& snapshot,
                              std::optional<SandboxState> wanted) {
  subset::ListPodSandboxResponse list;
  if (!list.ParseFromString(reply)) {
    return fail(Code::Internal, "Malformed",
                "decode the runtime's ListPodSandboxResponse: it is no valid message");
  }
  auto& items = *list.mutable_items();
  for (auto& item : items) {
    if (verdictOn(item, snapshot) == Verdict::NotReady) item.set_state(subset::SANDBOX_NOTREADY);
  }
  const auto leaves = [&](const subset::PodSandbox& item) {
    if (verdictOn(item, snapshot) == Verdict::Hidden) return true;
    return wanted && static_cast<int>(item.state()) != static_cast<int>(*wanted);
  };
  items.erase(std::remove_if(items.begin(), items.end(), leaves), items.end());
  return list.SerializeAsString();
}

}  // namespace multinet::agent::cri
