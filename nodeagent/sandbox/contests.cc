#include "nodeagent/sandbox/contests.h"

#include <algorithm>
#include <utility>

#include "lib/base/log.h"

namespace multinet::agent::sandbox {
namespace {

report::NodeCondition condition(const std::vector<addresses::Contest>& contests) {
  if (contests.empty()) {
    return {"AddressesContested", k8s::ConditionStatus::False, "NoContest",
            "no block of this node's is another's"};
  }
  return {"AddressesContested", k8s::ConditionStatus::True, "BlockLeasedByAnother",
          std::to_string(contests.size()) +
              " addresses of this node's pods are of blocks that another node has leased since, " +
              contests.front().address.str() + " of network \"" + contests.front().network.str() +
              "\" first; end these pods"};
}

}  // namespace

void Contests::are(std::vector<addresses::Contest> contests) {
  for (const addresses::Contest& one : contests) {
    const bool isNew = std::find(known_.begin(), known_.end(), one) == known_.end();
    if (isNew) tellPod(one);
  }
  known_ = std::move(contests);
  shared_.dependencies.tell(condition(known_));
}

void Contests::tellPod(const addresses::Contest& contest) const {
  for (const EntryPtr& entry : shared_.table.all()) {
    if (entry->record.id != contest.intent) continue;
    const PodRef& pod = entry->record.pod;
    log::error("address may be in use twice", {{"pod", pod.str()},
                                               {"network", contest.network},
                                               {"address", contest.address.str()},
                                               {"block", contest.block.str()}});
    shared_.dependencies.tell(
        report::PodEvent{pod,
                         {kube::Severity::Warning, "AddressContested",
                          "address " + contest.address.str() + " of network \"" +
                              contest.network.str() + "\": another node has leased its block " +
                              contest.block.str() + " and may give it to a pod; delete this pod"}});
  }
}

}  // namespace multinet::agent::sandbox
