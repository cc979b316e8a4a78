// start: client -> caches -> certificate -> health -> webhook. Health serves before the caches are
// full, so that a probe can say what is missing; the webhook's port opens last. Until caches and
// certificate are there the pod isn't ready, so the Service doesn't lead to it.
// stop: the way back.
//
// The mutating half fails open (failurePolicy Ignore), the validating half closed (Fail): a pod
// that the first missed is refused by the second and by a policy in the API server.
#include "webhook/wiring.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <thread>
#include <utility>

#include "lib/base/log.h"
#include "lib/http/health.h"
#include "lib/http/server.h"
#include "lib/kube/client.h"
#include "webhook/admission/validate.h"
#include "webhook/informer_view.h"
#include "webhook/live_view.h"
#include "webhook/mutate/mutate.h"

namespace multinet::webhook {
namespace {

/// Well under the three seconds that the API server waits for a verdict, with one retry.
constexpr Duration kAskDeadline = std::chrono::milliseconds(700);

/// Counts and times what `inner` decides, under the name of its path.
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

  Decide wrap(Decide inner) {
    return [this, inner = std::move(inner)](const Review& review) {
      const auto began = std::chrono::steady_clock::now();
      Verdict verdict = inner(review);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
      seconds_.Observe(took.count());
      (verdict.allowed ? allowed_ : refused_).Increment();
      if (!verdict.allowed) {
        log::info("refused", {{"resource", review.resource}, {"message", verdict.message}});
      }
      return verdict;
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
  Parts(std::unique_ptr<kube::Client> c, std::unique_ptr<kube::Client> a, const Settings& s)
      : settings(s),
        client(std::move(c)),
        asking(std::move(a)),
        view(*client),
        mutateMeasure(registry, "mutate"),
        validateMeasure(registry, "validate"),
        connections(registry, "multinet_webhook"),
        certificate({.directory = s.certificateDirectory}, [](const Status& result) {
          if (result)
            log::info("certificate loaded");
          else
            log::warn("certificate not loaded", {{"error", result.error()}});
        }) {}

  Settings settings;
  prometheus::Registry registry;
  std::unique_ptr<kube::Client> client;
  std::unique_ptr<kube::Client> asking;  // for reviews: its calls end soon
  InformerView view;
  Measured mutateMeasure;
  Measured validateMeasure;
  http::ServerMetrics connections;
  tls::ReloadingCertificate certificate;
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
  kube::ClientOptions quick;
  quick.deadline = kAskDeadline;
  MULTINET_TRY(auto asking, kube::connect(config, std::move(quick)));
  auto made = std::make_unique<Parts>(std::move(client), std::move(asking), settings);
  Parts& parts = *made;
  parts.view.start();

  const http::Router ready = http::healthRouter(
      {{"serving",
        [&parts]() -> Status {
          if (!parts.leaving) return {};
          return fail(Code::Unavailable, "Leaving", "serve: this replica is going away");
        }},
       {"certificate",
        [&parts]() -> Status {
          if (parts.certificate.loaded()) return {};
          return parts.certificate.lastResult();
        }},
       {"caches", [&parts] { return parts.view.synced(); }}},
      parts.registry);
  const http::Handler health = [&parts, ready](const http::Request& request) {
    if (const http::Server* server = parts.counted) parts.connections.show(server->counts());
    return ready(request);
  };
  MULTINET_TRY(parts.health,
               http::Server::start({.listen = settings.healthListen, .threads = 1}, health));

  http::Router router;
  router.add("POST", "/mutate", reviewHandler(parts.mutateMeasure.wrap([&parts](const Review& r) {
               return judgeFreshly(mutate, r, parts.view, *parts.asking);
             })));
  router.add("POST", "/validate",
             reviewHandler(parts.validateMeasure.wrap([&parts](const Review& r) {
               return judgeFreshly(validate, r, parts.view, *parts.asking);
             })));
  MULTINET_TRY(parts.server,
               http::Server::start({.listen = settings.listen, .certificate = &parts.certificate},
                                   std::move(router)));
  parts.counted = parts.server.get();
  log::info("webhook listens", {{"port", parts.server->port()}});
  return std::unique_ptr<Webhook>(new Webhook(std::move(made)));
}

void Webhook::stop() {
  parts_->leaving = true;
  std::this_thread::sleep_for(parts_->settings.leaveTime);
  const bool clean = parts_->server->drain(std::chrono::seconds(10));
  log::info("webhook drained", {{"clean", clean}});
  parts_->health->drain(std::chrono::seconds(1));
  parts_->view.stop();
}

}  // namespace multinet::webhook
