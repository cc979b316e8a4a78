#include "nodeagent/report/api_reporter.h"

#include <algorithm>
#include <utility>

namespace multinet::agent::report {
namespace {

constexpr BootTime::duration kFirstRetry = std::chrono::milliseconds(200);
constexpr BootTime::duration kMostRetry = std::chrono::seconds(15);

bool gone(const Status& status) {
  return !status && status.error().code == Code::NotFound;
}

}  // namespace

ApiReporter::ApiReporter(ReportApi& api, NodeConditions& conditions, const Clock& clock,
                         NodeName node)
    : api_(api),
      conditions_(conditions),
      clock_(clock),
      node_(std::move(node)),
      queue_(clock, {.first = kFirstRetry, .most = kMostRetry}),
      workers_("report", queue_, [this](const PodUid& uid) { return write(uid); }) {
  workers_.start(1);
}

ApiReporter::~ApiReporter() {
  queue_.shutDown();
  workers_.stop();
}

void ApiReporter::starting(const PodRef& pod) {
  Wanted wanted;
  wanted.readiness = {false, "Attaching", "the pod's networks are being attached"};
  want(pod, std::move(wanted));
}

void ApiReporter::attached(const PodRef& pod, const SandboxId& sandbox,
                           std::vector<InterfaceStatus> interfaces) {
  Wanted wanted;
  wanted.sandbox = sandbox;
  wanted.set = interfaceSet(pod, node_, sandbox, interfaces, clock_.wall());
  wanted.readiness = {true, "Attached",
                      std::to_string(interfaces.size()) + " interfaces are attached"};
  {
    const std::lock_guard lock(mutex_);
    current_.insert_or_assign(pod.uid, sandbox);
  }
  want(pod, std::move(wanted));
}

void ApiReporter::detached(const PodRef& pod, const SandboxId& sandbox) {
  {
    const std::lock_guard lock(mutex_);
    const auto current = current_.find(pod.uid);
    // A later sandbox of the pod has its own set under the same name: that one stays.
    if (current != current_.end() && current->second != sandbox) return;
    if (current != current_.end()) current_.erase(current);
  }
  Wanted wanted;
  wanted.deleteSet = true;
  wanted.readiness = {false, "SandboxStopped", "the pod's sandbox was stopped"};
  want(pod, std::move(wanted));
}

void ApiReporter::refused(const PodRef& pod, const Error& error) {
  event(pod, {kube::Severity::Warning, error.reason.empty() ? "NetworksRefused" : error.reason,
              error.message});
  Wanted wanted;
  wanted.readiness = {false, error.reason.empty() ? "Refused" : error.reason, error.message};
  want(pod, std::move(wanted));
}

void ApiReporter::event(const PodRef& pod, Notice notice) {
  api_.recordEvent(pod, notice);
}

void ApiReporter::nodeEvent(Notice notice) {
  api_.recordNodeEvent(notice);
}

void ApiReporter::setNodeCondition(NodeCondition condition) {
  conditions_.setNodeCondition(std::move(condition));
}

std::size_t ApiReporter::waiting() const {
  const std::lock_guard lock(mutex_);
  return wanted_.size();
}

void ApiReporter::want(const PodRef& pod, Wanted wanted) {
  wanted.pod = pod;
  {
    const std::lock_guard lock(mutex_);
    wanted.version = ++version_;
    // A deletion that wasn't carried out yet survives news that say nothing of a set.
    if (const auto old = wanted_.find(pod.uid); old != wanted_.end() && !wanted.set) {
      wanted.deleteSet = wanted.deleteSet || old->second.deleteSet;
    }
    wanted_.insert_or_assign(pod.uid, std::move(wanted));
  }
  queue_.add(pod.uid);
}

Result<kube::Outcome> ApiReporter::write(const PodUid& uid) {
  Wanted wanted;
  {
    const std::lock_guard lock(mutex_);
    const auto found = wanted_.find(uid);
    if (found == wanted_.end()) return kube::Outcome{};
    wanted = found->second;
  }
  if (wanted.set) {
    // A namespace that is being deleted takes no new object, and the pod goes with it.
    const Status status = api_.putSet(*wanted.set);
    if (!status && !gone(status)) return fail(status.error());
  } else if (wanted.deleteSet) {
    const Status status =
        api_.deleteSet(wanted.pod.namespaceName, api::interfaceSetName(wanted.pod.name, uid));
    if (!status && !gone(status)) return fail(status.error());
  }
  const Status status = api_.putReadiness(wanted.pod, wanted.readiness);
  if (!status && !gone(status)) return fail(status.error());
  const std::lock_guard lock(mutex_);
  const auto found = wanted_.find(uid);
  if (found != wanted_.end() && found->second.version == wanted.version) wanted_.erase(found);
  return kube::Outcome{};
}

}  // namespace multinet::agent::report
