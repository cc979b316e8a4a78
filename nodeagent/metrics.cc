#include "nodeagent/metrics.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/http/health.h"

namespace multinet::agent {
namespace {

using Seconds = std::chrono::duration<double>;

/// Of runtime.v1.RuntimeService, as far as a number of its own says something.
constexpr std::array<std::string_view, 12> kMethods = {
    "CreateContainer", "GetContainerEvents", "ListContainers",
    "ListPodSandbox",  "PodSandboxStatus",   "RemovePodSandbox",
    "RestorePod",      "RunPodSandbox",      "StartContainer",
    "Status",          "StopPodSandbox",     "Version"};

std::string methodLabel(std::string_view method) {
  constexpr std::string_view kService = "/runtime.v1.RuntimeService/";
  if (!method.starts_with(kService)) return "other";
  method.remove_prefix(kService.size());
  const bool known = std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
  return known ? std::string(method) : "other";
}

/// Around what an attach costs on a quiet machine (1 ms) up to the kubelet's patience.
prometheus::Histogram::BucketBoundaries attachBuckets() {
  return {0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30};
}

}  // namespace

Metrics::Metrics()
    : calls_(prometheus::BuildCounter()
                 .Name("multinet_agent_cri_calls_total")
                 .Help("Calls of the kubelet by method and gRPC code")
                 .Register(registry_)),
      intents_(prometheus::BuildGauge()
                   .Name("multinet_agent_intents")
                   .Help("Sandboxes with networks by the state of their intent in the journal")
                   .Register(registry_)),
      watches_(prometheus::BuildGauge()
                   .Name("multinet_agent_watch_age_seconds")
                   .Help("Time since the API server last said something about a resource")
                   .Register(registry_)),
      ready_(prometheus::BuildGauge()
                 .Name("multinet_agent_ready")
                 .Help("1 while calls for networks can be served")
                 .Register(registry_)
                 .Add({})),
      attachOk_(prometheus::BuildHistogram()
                    .Name("multinet_agent_attach_seconds")
                    .Help("Time of an attach, waiting for its turn included")
                    .Register(registry_)
                    .Add({{"result", "ok"}}, attachBuckets())),
      attachFailed_(prometheus::BuildHistogram()
                        .Name("multinet_agent_attach_seconds")
                        .Help("Time of an attach, waiting for its turn included")
                        .Register(registry_)
                        .Add({{"result", "error"}}, attachBuckets())) {}

void Metrics::called(std::string_view method, int code) {
  calls_
      .Add({{"method", methodLabel(method)}, {"code", std::string(name(static_cast<Code>(code)))}})
      .Increment();
}

void Metrics::attached(const Status& outcome, Duration took) {
  (outcome ? attachOk_ : attachFailed_).Observe(Seconds(took).count());
}

void Metrics::show(const Gauges& gauges) {
  using journal::State;
  ready_.Set(gauges.ready ? 1 : 0);
  for (const State state : {State::Intent, State::Bound, State::Attached, State::Detaching,
                            State::Detached, State::Rollback}) {
    const auto found = gauges.intents.find(state);
    const std::size_t count = found == gauges.intents.end() ? 0 : found->second;
    intents_.Add({{"state", std::string(name(state))}}).Set(static_cast<double>(count));
  }
  for (const watch::WatchAge& watch : gauges.watches) {
    watches_.Add({{"resource", watch.resource}}).Set(Seconds(watch.age).count());
  }
}

http::Handler Metrics::handler(std::function<Gauges()> look) {
  const http::Router router =
      http::healthRouter({{"networks", [look] { return look().ready; }}}, registry_);
  return [this, router, look](const http::Request& request) {
    if (request.path == "/metrics") show(look());
    return router(request);
  };
}

void MeasuredEngine::attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                            attach::AbortFlag abort, attach::AttachCallback done) {
  engine_.attach(std::move(intent), std::move(netns), std::move(plans), std::move(abort),
                 [this, begin = clock_.now(),
                  done = std::move(done)](Result<std::vector<InterfaceStatus>> result) {
                   const Status outcome = result ? Status() : fail(result.error());
                   metrics_.attached(outcome, clock_.now() - begin);
                   done(std::move(result));
                 });
}

void MeasuredEngine::detach(IntentId intent, std::optional<Fd> netns, attach::DetachCallback done) {
  engine_.detach(std::move(intent), std::move(netns), std::move(done));
}

Result<std::vector<attach::ObservedInterface>> MeasuredEngine::observe(
    const std::optional<Fd>& netns) {
  return engine_.observe(netns);
}

Result<std::vector<attach::ObservedInterface>> MeasuredEngine::observeAll() {
  return engine_.observeAll();
}

}  // namespace multinet::agent
