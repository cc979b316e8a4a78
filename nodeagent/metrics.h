// What the agent counts of itself, for `--metrics-listen`. docs/metrics.md lists all of it.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "lib/kube/client.h"
#include "nodeagent/journal/record.h"
#include "nodeagent/policy/guard.h"
#include "nodeagent/policy/policing.h"
#include "nodeagent/services/translator.h"
#include "nodeagent/watch/cluster.h"

namespace multinet::agent {

/// What is looked up when somebody asks, not counted as it happens.
struct Gauges {
  Status ready;  ///< whether calls for networks can be served
  std::map<journal::State, std::size_t> intents;
  std::map<journal::Doubt, std::size_t> doubts;
  std::vector<watch::WatchAge> watches;
  std::size_t reportsWaiting = 0;  ///< pods of which something isn't written to the API yet
  std::vector<async::LaneHealth> lanes{};
  services::TranslatorCounts services{};
  std::map<std::string, std::uint64_t> drops{};  ///< frames of pods, by reason
  policing::PolicingCounts policies{};
  policing::Denied denied{};
  policing::FlowTable flows{};
};

/// Any thread.
class Metrics {
 public:
  Metrics();

  /// A call of the kubelet's ended: `/runtime.v1.RuntimeService/Status` and gRPC's code. Methods
  /// that the agent doesn't know count as `other`, so that no caller makes series.
  void called(std::string_view method, int code);
  /// A call to the API server ended.
  void apiCalled(const kube::CallRecord& call);
  /// A call through another of the agent's doors ended: both words are the program's own.
  void passed(const char* door, const char* call, Code code, Duration took);
  /// A look at attached interfaces ended: `repairs` steps put something right.
  void maintained(const Status& outcome, std::size_t repairs);
  /// A container of a pod with networks was told to stop; `why` it was then, a word of the
  /// program's.
  void stopped(std::string_view why, Duration held);

  /// `/healthz`, `/readyz` (whether networks are served) and `/metrics`. It outlives the handler.
  [[nodiscard]] http::Handler handler(std::function<Gauges()> look);

 private:
  void show(const Gauges& gauges);

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Family<prometheus::Gauge>& intents_;
  prometheus::Family<prometheus::Gauge>& doubts_;
  prometheus::Family<prometheus::Gauge>& watches_;
  prometheus::Family<prometheus::Gauge>& laneDepth_;
  prometheus::Family<prometheus::Gauge>& laneBusy_;
  prometheus::Family<prometheus::Gauge>& laneLongest_;
  prometheus::Family<prometheus::Gauge>& laneRefused_;
  prometheus::Gauge& ready_;
  prometheus::Gauge& reportsWaiting_;
  prometheus::Gauge& serviceFrontends_;
  prometheus::Gauge& serviceEndpoints_;
  prometheus::Gauge& serviceWrites_;
  prometheus::Gauge& serviceEnded_;
  prometheus::Family<prometheus::Gauge>& drops_;
  prometheus::Gauge& policies_;
  prometheus::Gauge& policiesStale_;
  prometheus::Family<prometheus::Gauge>& isolated_;
  prometheus::Family<prometheus::Gauge>& denied_;
  prometheus::Family<prometheus::Gauge>& flows_;
  prometheus::Family<prometheus::Counter>& apiCalls_;
  prometheus::Family<prometheus::Histogram>& apiSeconds_;
  prometheus::Family<prometheus::Counter>& doorCalls_;
  prometheus::Family<prometheus::Histogram>& doorSeconds_;
  prometheus::Counter& looksOk_;
  prometheus::Counter& looksFailed_;
  prometheus::Counter& repairs_;
  prometheus::Family<prometheus::Counter>& stops_;
  prometheus::Histogram& heldSeconds_;
};

}  // namespace multinet::agent
