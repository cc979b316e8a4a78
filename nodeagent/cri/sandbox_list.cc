#include "nodeagent/cri/sandbox_list.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <limits>

#include "nodeagent/cri/extension.h"
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

enum class Listed { Stays, NotReady, Leaves };

Result<Listed> judgeItem(const std::string& bytes, const sandbox::Snapshot& snapshot,
                         std::optional<SandboxState> wanted) {
  subset::PodSandbox item;
  if (!item.ParseFromString(bytes)) {
    return fail(Code::Internal, "Malformed",
                "decode a PodSandbox of the runtime's list: it is no valid message");
  }
  const auto verdict = verdictOn(item, snapshot);
  if (verdict == Verdict::Hidden) return Listed::Leaves;
  const bool changes = verdict == Verdict::NotReady && item.state() != subset::SANDBOX_NOTREADY;
  const auto state = changes ? subset::SANDBOX_NOTREADY : item.state();
  if (wanted && static_cast<int>(state) != static_cast<int>(*wanted)) return Listed::Leaves;
  return changes ? Listed::NotReady : Listed::Stays;
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
  using Wire = google::protobuf::internal::WireFormatLite;
  constexpr auto kItem = Wire::MakeTag(subset::ListPodSandboxResponse::kItemsFieldNumber,
                                       Wire::WIRETYPE_LENGTH_DELIMITED);
  const auto malformed = [] {
    return fail(Code::Internal, "Malformed",
                "decode the runtime's ListPodSandboxResponse: it is no valid message");
  };
  if (reply.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return malformed();
  google::protobuf::io::ArrayInputStream array(reply.data(), static_cast<int>(reply.size()));
  google::protobuf::io::CodedInputStream input(&array);
  std::string judged;
  judged.reserve(reply.size());
  while (true) {
    const auto begin = static_cast<std::size_t>(input.CurrentPosition());
    const auto tag = input.ReadTag();
    if (tag == 0) break;
    if (tag == kItem) {
      std::string item;
      if (!Wire::ReadBytes(&input, &item)) return malformed();
      MULTINET_TRY(const auto listed, judgeItem(item, snapshot, wanted));
      if (listed == Listed::Leaves) continue;
      if (listed == Listed::NotReady) {
        judged += wireField(
            subset::ListPodSandboxResponse::kItemsFieldNumber,
            item + wireVarint(subset::PodSandbox::kStateFieldNumber, subset::SANDBOX_NOTREADY));
        continue;
      }
    } else if (!Wire::SkipField(&input, tag)) {
      return malformed();
    }
    judged.append(reply, begin, static_cast<std::size_t>(input.CurrentPosition()) - begin);
  }
  if (!input.ConsumedEntireMessage()) return malformed();
  return judged;
}

}  // namespace multinet::agent::cri
