// `/healthz`, `/readyz` and `/metrics` of a program.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/http/message.h"
#include "lib/http/router.h"
#include "lib/http/server.h"

namespace prometheus {
class Counter;
class Gauge;
class Registry;
template <typename T>
class Family;
}  // namespace prometheus

namespace multinet::http {

/// A part's own word on whether it is fit. Called on I/O threads; must not block.
using Check = std::function<Status()>;

/// 200 with `ok <name>` lines, or 503 with `failed <name>: reason` for each that isn't.
[[nodiscard]] Handler checksHandler(std::vector<std::pair<std::string, Check>> checks);

/// Prometheus text exposition. The registry must outlive the server.
[[nodiscard]] Handler metricsHandler(const prometheus::Registry& registry);

/// The router that every program serves on its health port: `/healthz` (the process answers),
/// `/readyz` (`ready` all pass) and `/metrics`.
[[nodiscard]] Router healthRouter(std::vector<std::pair<std::string, Check>> ready,
                                  const prometheus::Registry& registry);

/// Shows what a server counts as PREFIX_connections_total{outcome}, PREFIX_answers_total and
/// PREFIX_open_connections. Thread-safe.
class ServerMetrics {
 public:
  /// `registry` outlives it.
  ServerMetrics(prometheus::Registry& registry, const std::string& prefix);
  /// Call it before the registry is read.
  void show(const ServerCounts& counts);

 private:
  prometheus::Family<prometheus::Counter>& connections_;
  prometheus::Counter& answers_;
  prometheus::Gauge& open_;
  std::mutex mutex_;
  ServerCounts shown_;
};

}  // namespace multinet::http
