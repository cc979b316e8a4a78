#include "nodeagent/report/events.h"

namespace multinet::agent::report {
namespace {

constexpr std::size_t kMostEarly = 100;

}  // namespace

void Events::onPod(const PodRef& pod, const Notice& notice) {
  record({"v1", "Pod", {pod.namespaceName, pod.name}, pod.uid.str()}, notice);
}

// Events about nodes carry the name as UID, as the kubelet's do: `kubectl describe node` looks for
// both.
void Events::onNode(const Notice& notice) {
  record({"v1", "Node", {"", node_.str()}, node_.str()}, notice);
}

void Events::record(kube::ObjectReference about, const Notice& notice) {
  {
    const std::lock_guard lock(mutex_);
    early_.emplace_back(std::move(about), notice);
    if (early_.size() > kMostEarly) early_.pop_front();
  }
  if (const auto client = client_()) connected(**client);
}

void Events::connected(kube::Client& client) {
  const std::lock_guard lock(mutex_);
  if (recorder_ == nullptr) {
    recorder_ = std::make_unique<kube::EventRecorder>(
        client, clock_, kube::EventOptions{.component = "multinet-nodeagent", .host = node_.str()});
  }
  for (const auto& [about, notice] : early_) {
    recorder_->record(about, notice.severity, notice.reason, notice.message);
  }
  early_.clear();
}

}  // namespace multinet::agent::report
