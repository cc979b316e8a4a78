#include "nodeagent/metrics.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/http/health.h"

namespace multinet::agent {
namespace {

using Seconds = std::chrono::duration<double>;

/// Of runtime.v1.RuntimeService, as far as a number of its own says something.
constexpr std::array<std::string_view, 13> kMethods = {
    "CreateContainer", "GetContainerEvents", "ListContainers",
    "ListPodSandbox",  "PodSandboxStatus",   "RemovePodSandbox",
    "RestorePod",      "RunPodSandbox",      "StartContainer",
    "Status",          "StopContainer",      "StopPodSandbox",
    "Version"};

std::string methodLabel(std::string_view method) {
  constexpr std::string_view kService = "/runtime.v1.RuntimeService/";
  if (!method.starts_with(kService)) return "other";
  method.remove_prefix(kService.size());
  const bool known = std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
  return known ? std::string(method) : "other";
}

/// From a commit or an attach on a quiet machine (1 ms and less) up to the kubelet's patience.
prometheus::Histogram::BucketBoundaries buckets() {
  return {0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30};
}

/// From those that aren't held up to the longest hold.
prometheus::Histogram::BucketBoundaries heldBuckets() {
  return {0.01, 0.1, 1, 2, 3, 3.5, 5, 6, 6.5, 10, 15, 30};
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
      doubts_(prometheus::BuildGauge()
                  .Name("multinet_agent_doubted_sandboxes")
                  .Help("Sandboxes that run and get no container, by why their record is doubted")
                  .Register(registry_)),
      watches_(prometheus::BuildGauge()
                   .Name("multinet_agent_watch_age_seconds")
                   .Help("Time since the API server last said something about a resource")
                   .Register(registry_)),
      laneDepth_(prometheus::BuildGauge()
                     .Name("multinet_agent_lane_depth")
                     .Help("Tasks that wait for a thread of the agent")
                     .Register(registry_)),
      laneBusy_(prometheus::BuildGauge()
                    .Name("multinet_agent_lane_busy_seconds")
                    .Help("How long a thread of the agent has been at its present task")
                    .Register(registry_)),
      laneLongest_(prometheus::BuildGauge()
                       .Name("multinet_agent_lane_longest_task_seconds")
                       .Help("The longest task of a thread of the agent since its start")
                       .Register(registry_)),
      laneRefused_(prometheus::BuildGauge()
                       .Name("multinet_agent_lane_refused")
                       .Help("Tasks since the start that a thread's queue had no room or time for")
                       .Register(registry_)),
      ready_(prometheus::BuildGauge()
                 .Name("multinet_agent_ready")
                 .Help("1 while calls for networks can be served")
                 .Register(registry_)
                 .Add({})),
      reportsWaiting_(prometheus::BuildGauge()
                          .Name("multinet_agent_reports_waiting")
                          .Help("Pods of which something isn't written to the API yet")
                          .Register(registry_)
                          .Add({})),
      serviceFrontends_(
          prometheus::BuildGauge()
              .Name("multinet_agent_service_frontends")
              .Help("Addresses and ports of services on networks that are translated here")
              .Register(registry_)
              .Add({})),
      serviceEndpoints_(prometheus::BuildGauge()
                            .Name("multinet_agent_service_endpoints")
                            .Help("Endpoints of all of them in the map")
                            .Register(registry_)
                            .Add({})),
      serviceWrites_(prometheus::BuildGauge()
                         .Name("multinet_agent_service_map_writes")
                         .Help("Changes of an entry of the maps since the start")
                         .Register(registry_)
                         .Add({})),
      serviceEnded_(prometheus::BuildGauge()
                        .Name("multinet_agent_service_sockets_ended")
                        .Help("UDP sockets ended since the start, whose endpoint went")
                        .Register(registry_)
                        .Add({})),
      drops_(prometheus::BuildGauge()
                 .Name("multinet_agent_port_security_drops")
                 .Help("Frames that pods' ports dropped since the start, by reason")
                 .Register(registry_)),
      policies_(prometheus::BuildGauge()
                    .Name("multinet_agent_policies")
                    .Help("PodNetworkPolicies of namespaces that have pods with networks here, and "
                          "policies of the cluster that select one of these")
                    .Register(registry_)
                    .Add({})),
      policiesStale_(prometheus::BuildGauge()
                         .Name("multinet_agent_policies_stale")
                         .Help("1 while nothing was heard of policies for five minutes")
                         .Register(registry_)
                         .Add({})),
      isolated_(prometheus::BuildGauge()
                    .Name("multinet_agent_policy_interfaces")
                    .Help("Interfaces that policies are about, by how far they are held to them")
                    .Register(registry_)),
      denied_(prometheus::BuildGauge()
                  .Name("multinet_agent_policy_denied")
                  .Help("Packets that policies denied since the start, by direction")
                  .Register(registry_)),
      flows_(prometheus::BuildGauge()
                 .Name("multinet_agent_policy_flows")
                 .Help("Connections that the node's switch follows, and the most that it can")
                 .Register(registry_)),
      apiCalls_(prometheus::BuildCounter()
                    .Name("multinet_agent_api_calls_total")
                    .Help("Calls to the API server by HTTP status; 0: no answer")
                    .Register(registry_)),
      apiSeconds_(prometheus::BuildHistogram()
                      .Name("multinet_agent_api_seconds")
                      .Help("Time of a call to the API server, watches left out")
                      .Register(registry_)),
      doorCalls_(prometheus::BuildCounter()
                     .Name("multinet_agent_door_calls_total")
                     .Help("Calls to what the agent depends on, by outcome")
                     .Register(registry_)),
      doorSeconds_(prometheus::BuildHistogram()
                       .Name("multinet_agent_door_seconds")
                       .Help("Time of such a call, waiting for its turn included")
                       .Register(registry_)),
      looksOk_(prometheus::BuildCounter()
                   .Name("multinet_agent_looks_total")
                   .Help("Comparisons of a pod's attached interfaces with the kernel")
                   .Register(registry_)
                   .Add({{"result", "ok"}})),
      looksFailed_(prometheus::BuildCounter()
                       .Name("multinet_agent_looks_total")
                       .Help("Comparisons of a pod's attached interfaces with the kernel")
                       .Register(registry_)
                       .Add({{"result", "error"}})),
      repairs_(prometheus::BuildCounter()
                   .Name("multinet_agent_repairs_total")
                   .Help("Steps that put an attached interface right that differed from its plan")
                   .Register(registry_)
                   .Add({})),
      stops_(
          prometheus::BuildCounter()
              .Name("multinet_agent_stops_total")
              .Help("Stops of containers of pods with networks by why they went on when they did")
              .Register(registry_)),
      heldSeconds_(prometheus::BuildHistogram()
                       .Name("multinet_agent_stop_held_seconds")
                       .Help("How long such a stop was held")
                       .Register(registry_)
                       .Add({}, heldBuckets())) {}

void Metrics::called(std::string_view method, int code) {
  calls_
      .Add({{"method", methodLabel(method)}, {"code", std::string(name(static_cast<Code>(code)))}})
      .Increment();
}

void Metrics::apiCalled(const kube::CallRecord& call) {
  const std::string verb(call.verb);
  apiCalls_
      .Add({{"verb", verb},
            {"resource", std::string(call.resource)},
            {"code", std::to_string(call.code)}})
      .Increment();
  // A watch lasts for minutes when all is well.
  if (verb == "watch") return;
  apiSeconds_.Add({{"verb", verb}}, buckets()).Observe(Seconds(call.duration).count());
}

void Metrics::passed(const char* door, const char* call, Code code, Duration took) {
  doorCalls_.Add({{"door", door}, {"call", call}, {"code", std::string(name(code))}}).Increment();
  doorSeconds_.Add({{"door", door}, {"call", call}}, buckets()).Observe(Seconds(took).count());
}

void Metrics::maintained(const Status& outcome, std::size_t repairs) {
  (outcome ? looksOk_ : looksFailed_).Increment();
  repairs_.Increment(static_cast<double>(repairs));
}

void Metrics::stopped(std::string_view why, Duration held) {
  stops_.Add({{"why", std::string(why)}}).Increment();
  heldSeconds_.Observe(Seconds(held).count());
}

void Metrics::show(const Gauges& gauges) {
  using journal::State;
  ready_.Set(gauges.ready ? 1 : 0);
  reportsWaiting_.Set(static_cast<double>(gauges.reportsWaiting));
  serviceFrontends_.Set(static_cast<double>(gauges.services.frontends));
  serviceEndpoints_.Set(static_cast<double>(gauges.services.endpoints));
  serviceWrites_.Set(static_cast<double>(gauges.services.writes));
  serviceEnded_.Set(static_cast<double>(gauges.services.ended));
  for (const State state : {State::Intent, State::Bound, State::Attached, State::Detaching,
                            State::Detached, State::Rollback}) {
    const auto found = gauges.intents.find(state);
    const std::size_t count = found == gauges.intents.end() ? 0 : found->second;
    intents_.Add({{"state", std::string(name(state))}}).Set(static_cast<double>(count));
  }
  using journal::Doubt;
  for (const Doubt doubt : {Doubt::Unseen, Doubt::NoLinks, Doubt::Unconfirmed}) {
    const auto found = gauges.doubts.find(doubt);
    const std::size_t count = found == gauges.doubts.end() ? 0 : found->second;
    doubts_.Add({{"reason", std::string(name(doubt))}}).Set(static_cast<double>(count));
  }
  for (const watch::WatchAge& watch : gauges.watches) {
    watches_.Add({{"resource", watch.resource}}).Set(Seconds(watch.age).count());
  }
  for (const auto& [reason, frames] : gauges.drops) {
    drops_.Add({{"reason", reason}}).Set(static_cast<double>(frames));
  }
  const policing::PolicingCounts& policies = gauges.policies;
  policies_.Set(static_cast<double>(policies.policies));
  policiesStale_.Set(policies.stale ? 1 : 0);
  const std::size_t held =
      policies.isolated - policies.pending - policies.undoable - policies.notEnforced;
  isolated_.Add({{"state", "Enforced"}}).Set(static_cast<double>(held));
  isolated_.Add({{"state", "PeersPending"}}).Set(static_cast<double>(policies.pending));
  isolated_.Add({{"state", "PodMayChangeRules"}}).Set(static_cast<double>(policies.undoable));
  isolated_.Add({{"state", "NotEnforced"}}).Set(static_cast<double>(policies.notEnforced));
  denied_.Add({{"direction", "egress"}}).Set(static_cast<double>(gauges.denied.egress));
  denied_.Add({{"direction", "ingress"}}).Set(static_cast<double>(gauges.denied.ingress));
  flows_.Add({{"state", "held"}}).Set(gauges.flows.held);
  flows_.Add({{"state", "most"}}).Set(gauges.flows.most);
  for (const async::LaneHealth& lane : gauges.lanes) {
    const prometheus::Labels labels{{"lane", lane.name}};
    laneDepth_.Add(labels).Set(static_cast<double>(lane.depth));
    laneBusy_.Add(labels).Set(Seconds(lane.busy).count());
    laneLongest_.Add(labels).Set(Seconds(lane.longest).count());
    laneRefused_.Add(labels).Set(static_cast<double>(lane.refused));
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

}  // namespace multinet::agent
