#include "lib/http/health.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace multinet::http {

Handler checksHandler(std::vector<std::pair<std::string, Check>> checks) {
  return [checks = std::move(checks)](const Request&) {
    Response response;
    for (const auto& [name, check] : checks) {
      const Status status = check();
      if (status) {
        response.body += "ok " + name + "\n";
      } else {
        response.status = 503;
        response.body += "failed " + name + ": " + status.error().message + "\n";
      }
    }
    if (checks.empty()) response.body = "ok\n";
    return response;
  };
}

Handler metricsHandler(const prometheus::Registry& registry) {
  return [&registry](const Request&) {
    return Response{200, "text/plain; version=0.0.4; charset=utf-8",
                    prometheus::TextSerializer().Serialize(registry.Collect())};
  };
}

Router healthRouter(std::vector<std::pair<std::string, Check>> ready,
                    const prometheus::Registry& registry) {
  Router router;
  router.add("GET", "/healthz", checksHandler({}));
  router.add("GET", "/readyz", checksHandler(std::move(ready)));
  router.add("GET", "/metrics", metricsHandler(registry));
  return router;
}

ServerMetrics::ServerMetrics(prometheus::Registry& registry, const std::string& prefix)
    : connections_(prometheus::BuildCounter()
                       .Name(prefix + "_connections_total")
                       .Help("Connections by what became of them")
                       .Register(registry)),
      answers_(prometheus::BuildCounter()
                   .Name(prefix + "_answers_total")
                   .Help("Requests answered")
                   .Register(registry)
                   .Add({})),
      open_(prometheus::BuildGauge()
                .Name(prefix + "_open_connections")
                .Help("Connections that are open")
                .Register(registry)
                .Add({})) {}

void ServerMetrics::show(const ServerCounts& counts) {
  const std::lock_guard lock(mutex_);
  const auto add = [this](const char* outcome, std::uint64_t before, std::uint64_t now) {
    // Two scrapes at once may come in either order.
    if (now >= before) {
      connections_.Add({{"outcome", outcome}}).Increment(static_cast<double>(now - before));
    }
  };
  add("accepted", shown_.accepted, counts.accepted);
  add("refused-by-cap", shown_.refusedByCap, counts.refusedByCap);
  add("evicted", shown_.evicted, counts.evicted);
  add("handshake-failed", shown_.handshakeFailed, counts.handshakeFailed);
  add("timed-out", shown_.timedOut, counts.timedOut);
  add("malformed", shown_.malformed, counts.malformed);
  if (counts.answered >= shown_.answered) {
    answers_.Increment(static_cast<double>(counts.answered - shown_.answered));
  }
  open_.Set(static_cast<double>(counts.open));
  if (counts.answered >= shown_.answered && counts.accepted >= shown_.accepted) shown_ = counts;
}

}  // namespace multinet::http
