// start: client -> caches -> certificate -> health -> webhook. Health serves before the caches are
// full, so that a probe can say what is missing; the webhook's port opens last. Until caches and
// certificate are there the pod isn't ready, so the Service doesn't lead to it.
// stop: the way back.
//
// The mutating half fails open (failurePolicy Ignore), the validating half closed (Fail): a pod
// that the first missed is refused by the second and by a policy in the API server.
#include "webhook/wiring.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>
#include <utility>

#include "lib/base/log.h"
#include "lib/http/health.h"
#include "lib/http/server.h"
#include "lib/kube/client.h"
#include "webhook/admission/validate.h"
#include "webhook/informer_view.h"
#include "webhook/mutate/mutate.h"
#include "webhook/reviews.h"

namespace multinet::webhook {
namespace {

/// Counts and times the verdicts of one path.
class Measured {
 public:
  Measured(prometheus::Registry& registry, const std::string& path)
      : Measured(prometheus::BuildCounter()
                     .Name("multinet_webhook_reviews_total")
                     .Help("Reviews answered, by path and outcome")
                     .Register(registry),
                 prometheus::BuildHistogram()
                     .Name("multinet_webhook_review_seconds")
                     .Help("Time to decide one review")
                     .Register(registry),
                 path) {}

  [[nodiscard]] Reviews::Observer observer() {
    return [this](const Review& review, const Verdict& verdict, Duration took) {
      seconds_.Observe(std::chrono::duration<double>(took).count());
      (verdict.allowed ? allowed_ : refused_).Increment();
      if (!verdict.allowed) {
        log::info("refused", {{"resource", review.resource}, {"message", verdict.message}});
      }
    };
  }

 private:
  using Buckets = prometheus::Histogram::BucketBoundaries;
  Measured(prometheus::Family<prometheus::Counter>& counts,
           prometheus::Family<prometheus::Histogram>& times, const std::string& path)
      : allowed_(counts.Add({{"path", path}, {"outcome", "allowed"}})),
        refused_(counts.Add({{"path", path}, {"outcome", "refused"}})),
        seconds_(times.Add({{"path", path}}, Buckets{1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0})) {}

  prometheus::Counter& allowed_;
  prometheus::Counter& refused_;
  prometheus::Histogram& seconds_;
};

}  // namespace

struct Webhook::Parts {
  Parts(std::unique_ptr<kube::Client> c, const Settings& s)
      : settings(s),
        client(std::move(c)),
        view(*client),
        mutateMeasure(registry, "mutate"),
        validateMeasure(registry, "validate"),
        connections(registry, "multinet_webhook"),
        notAfter(prometheus::BuildGauge()
                     .Name("multinet_webhook_certificate_not_after_timestamp_seconds")
                     .Help("When the certificate in service ends; 0 where there is none")
                     .Register(registry)
                     .Add({})),
        certificate({.directory = s.certificateDirectory, .clientCaFile = s.clientCa},
                    [](const Status& result) {
                      if (result)
                        log::info("certificate loaded");
                      else
                        log::warn("certificate not loaded", {{"error", result.error()}});
                    }),
        reviews(client->raw().transport(), view, kSystemClock) {}
  ~Parts() { reviews.stop(); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  Settings settings;
  prometheus::Registry registry;
  std::unique_ptr<kube::Client> client;
  InformerView view;
  Measured mutateMeasure;
  Measured validateMeasure;
  http::ServerMetrics connections;
  prometheus::Gauge& notAfter;
  tls::ReloadingCertificate certificate;
  Reviews reviews;
  std::atomic<bool> leaving{false};
  std::unique_ptr<http::Server> health;
  std::unique_ptr<http::Server> server;
  std::atomic<const http::Server*> counted{nullptr};  ///< server, once it is there
};

Webhook::Webhook(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Webhook::~Webhook() = default;

Result<std::unique_ptr<Webhook>> Webhook::start(const Settings& settings) {
  MULTINET_TRY(auto config, kube::loadConfig(settings.kubeconfig, ""));
  config.userAgent = "multinet-webhook";
  MULTINET_TRY(auto client, kube::connect(config));
  auto made = std::make_unique<Parts>(std::move(client), settings);
  Parts& parts = *made;
  parts.view.start();

  const http::Router ready = http::healthRouter(
      {{"serving",
        [&parts]() -> Status {
          if (!parts.leaving) return {};
          return fail(Code::Unavailable, "Leaving", "serve: this replica is going away");
        }},
       {"certificate",
        [&parts]() -> Status { return parts.certificate.usable(kSystemClock.wall()); }},
       {"caches", [&parts] { return parts.view.ready(); }}},
      parts.registry);
  const http::Handler health = [&parts, ready](const http::Request& request) {
    if (const http::Server* server = parts.counted) parts.connections.show(server->counts());
    parts.notAfter.Set(
        std::chrono::duration<double>(parts.certificate.notAfter().time_since_epoch()).count());
    return ready(request);
  };
  MULTINET_TRY(parts.health,
               http::Server::start({.listen = settings.healthListen, .threads = 1}, health));

  const Judge judge = settings.clientCa.empty() ? validate : validateForApiServer;
  const std::map<std::string, http::AsyncHandler> paths = {
      {"/mutate", parts.reviews.handler(mutate, parts.mutateMeasure.observer())},
      {"/validate", parts.reviews.handler(judge, parts.validateMeasure.observer())}};
  http::Router others;  // of the two only with another method
  for (const auto& [path, handler] : paths) {
    others.add("POST", path, [](const http::Request&) { return http::Response{}; });
  }
  const http::AsyncHandler route = [paths, others](const http::Request& request,
                                                   const http::Reply& reply) {
    const auto path = request.method == "POST" ? paths.find(request.path) : paths.end();
    if (path == paths.end()) return reply(others(request));
    path->second(request, reply);
  };
  MULTINET_TRY(parts.server,
               http::Server::startAsync(
                   {.listen = settings.listen, .certificate = &parts.certificate}, route));
  parts.counted = parts.server.get();
  log::info("webhook listens", {{"port", parts.server->port()}});
  return std::unique_ptr<Webhook>(new Webhook(std::move(made)));
}

void Webhook::stop() {
  parts_->leaving = true;
  std::this_thread::sleep_for(parts_->settings.leaveTime);
  const bool clean = parts_->server->drain(std::chrono::seconds(10));
  log::info("webhook drained", {{"clean", clean}});
  parts_->reviews.stop();
  parts_->health->drain(std::chrono::seconds(1));
  parts_->view.stop();
}

}  // namespace multinet::webhook
