// Events on pods and on the node, from before there is a connection, too.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/kube/client_source.h"
#include "lib/kube/events.h"
#include "nodeagent/report/reporter.h"

namespace multinet::agent::report {

/// Any thread; returns at once. Those that come before the first connection wait for it, at most a
/// hundred, the newest: without one the kubelet's own Event tells a refusal.
class Events {
 public:
  /// `clock` outlives it.
  Events(kube::ClientSource client, const Clock& clock, NodeName node)
      : client_(std::move(client)), clock_(clock), node_(std::move(node)) {}

  void onPod(const PodRef& pod, const Notice& notice);
  void onNode(const Notice& notice);
  /// There is a connection: what waited for it goes.
  void connected(kube::Client& client);

 private:
  void record(kube::ObjectReference about, const Notice& notice);

  const kube::ClientSource client_;
  const Clock& clock_;
  const NodeName node_;
  std::mutex mutex_;
  std::unique_ptr<kube::EventRecorder> recorder_;               ///< made with the first client
  std::deque<std::pair<kube::ObjectReference, Notice>> early_;  ///< before that
};

}  // namespace multinet::agent::report
