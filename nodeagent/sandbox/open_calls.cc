#include "nodeagent/sandbox/open_calls.h"

#include <algorithm>
#include <utility>

#include "lib/base/log.h"

namespace multinet::agent::sandbox {
namespace {

Error tooSlow(const RunCall& call) {
  return {Code::Unavailable, "TooSlow",
          "a call for it waits too long for " + std::string(call.waitsFor) + "; try again"};
}

}  // namespace

bool OpenCalls::add(const RunCallPtr& call) {
  const auto hangs = std::find_if(calls_.begin(), calls_.end(), [&](const RunCallPtr& older) {
    return older->late && older->request.pod.uid == call->request.pod.uid;
  });
  if (hangs != calls_.end()) {
    refuse(*call, tooSlow(**hangs));
    return false;
  }
  calls_.push_back(call);
  return true;
}

void OpenCalls::addWaiting(const RunCallPtr& call) {
  waiting_.push_back(call);
}

std::vector<RunCallPtr> OpenCalls::takeWaiting() {
  return std::exchange(waiting_, {});
}

void OpenCalls::ended(const RunCallPtr& call) {
  std::erase(calls_, call);
}

void OpenCalls::answerLate() {
  const BootTime now = shared_.dependencies.clock.now();
  const auto isLate = [now](const RunCallPtr& call) {
    return call->answerBy && now >= *call->answerBy;
  };
  for (const RunCallPtr& call : waiting_) {
    if (isLate(call)) refuse(*call, shared_.table.snapshot()->waitsFor);
  }
  std::erase_if(waiting_, isLate);
  for (const RunCallPtr& call : calls_) {
    if (!isLate(call)) continue;
    call->answerBy.reset();
    call->request.abort->store(true);
    call->late = true;
    refuse(*call, tooSlow(*call));
  }
}

void OpenCalls::refuse(const RunCall& call, const Error& error) const {
  const PodRef& pod = call.request.pod;
  const Error told = attachError(pod, error);
  log::warn("call not served", {{"pod", pod.str()}, {"intent", call.request.id}, {"error", told}});
  shared_.dependencies.tell(report::Refused{pod, error});
  call.answer(fail(told));
}

}  // namespace multinet::agent::sandbox
