#include "lib/http/health.h"

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

}  // namespace multinet::http
