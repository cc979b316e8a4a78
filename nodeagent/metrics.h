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

#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/journal/record.h"
#include "nodeagent/watch/cluster.h"

namespace multinet::agent {

/// What is looked up when somebody asks, not counted as it happens.
struct Gauges {
  Status ready;  ///< whether calls for networks can be served
  std::map<journal::State, std::size_t> intents;
  std::vector<watch::WatchAge> watches;
};

/// Any thread.
class Metrics {
 public:
  Metrics();

  /// A call of the kubelet's ended: `/runtime.v1.RuntimeService/Status` and gRPC's code. Methods
  /// that the agent doesn't know count as `other`, so that no caller makes series.
  void called(std::string_view method, int code);
  /// An attach of the engine's took so long.
  void attached(const Status& outcome, Duration took);

  /// `/healthz`, `/readyz` (whether networks are served) and `/metrics`. It outlives the handler.
  [[nodiscard]] http::Handler handler(std::function<Gauges()> look);

 private:
  void show(const Gauges& gauges);

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Family<prometheus::Gauge>& intents_;
  prometheus::Family<prometheus::Gauge>& watches_;
  prometheus::Gauge& ready_;
  prometheus::Histogram& attachOk_;
  prometheus::Histogram& attachFailed_;
};

/// Counts the attaches of another engine; both outlive it.
class MeasuredEngine final : public attach::AttachEngine {
 public:
  MeasuredEngine(attach::AttachEngine& engine, Metrics& metrics, const Clock& clock)
      : engine_(engine), metrics_(metrics), clock_(clock) {}

  void attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans, attach::AbortFlag abort,
              attach::AttachCallback done) override;
  void detach(IntentId intent, std::optional<Fd> netns, attach::DetachCallback done) override;
  [[nodiscard]] Result<std::vector<attach::ObservedInterface>> observe(
      const std::optional<Fd>& netns) override;
  [[nodiscard]] Result<std::vector<attach::ObservedInterface>> observeAll() override;

 private:
  attach::AttachEngine& engine_;
  Metrics& metrics_;
  const Clock& clock_;
};

}  // namespace multinet::agent
