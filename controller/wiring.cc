#include "controller/wiring.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <utility>

#include "controller/caches.h"
#include "controller/certs/keeper.h"
#include "controller/lateness.h"
#include "controller/leading.h"
#include "controller/pass.h"
#include "controller/policies/tally.h"
#include "controller/reconcilers.h"
#include "controller/services/tally.h"
#include "controller/writer.h"
#include "lib/api/server.h"
#include "lib/async/loop.h"
#include "lib/base/log.h"
#include "lib/http/health.h"
#include "lib/http/server.h"
#include "lib/kube/discovery.h"
#include "lib/kube/events.h"
#include "lib/kube/leader.h"

namespace multinet::controller {
namespace {

constexpr auto kLeaseName = "multinet-controller";
/// Between two looks at what changed: each costs what changed, and a verdict waits for it.
constexpr Duration kPassSpacing = std::chrono::milliseconds(2);
/// Somebody who applies the configurations again gets the caBundle back within this.
constexpr Duration kCertificatePeriod = std::chrono::seconds(15);
/// At an installation they are applied last, and the webhook's replicas wait for the certificate.
/// Who has none after a minute has no webhook.
constexpr Duration kConfigurationPeriod = std::chrono::seconds(5);
constexpr int kConfigurationLooks = 12;

/// Unique to this process: the pod's name, and a part that a restart changes.
std::string identity() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {'?'};
  std::random_device device;
  return std::string(host.data()) + "_" + std::to_string(device()) + std::to_string(device());
}

/// From a pass on a quiet machine to the longest that a client should hear of a pod that is gone.
prometheus::Histogram::BucketBoundaries sliceBuckets() {
  return {0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};
}

struct Metrics {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& calls =
      prometheus::BuildCounter()
          .Name("multinet_controller_api_calls_total")
          .Help("Calls to the API server by verb, resource and HTTP status (0: no answer)")
          .Register(registry);
  prometheus::Counter& passes = prometheus::BuildCounter()
                                    .Name("multinet_controller_passes_total")
                                    .Help("Looks at what changed")
                                    .Register(registry)
                                    .Add({});
  prometheus::Counter& writingPasses = prometheus::BuildCounter()
                                           .Name("multinet_controller_writing_passes_total")
                                           .Help("Looks that found something to write")
                                           .Register(registry)
                                           .Add({});
  prometheus::Family<prometheus::Gauge>& reconciled =
      prometheus::BuildGauge()
          .Name("multinet_controller_reconciled_objects")
          .Help("Objects that each reconciler has looked at since the start")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& writes =
      prometheus::BuildGauge()
          .Name("multinet_controller_writes")
          .Help("Writes since the start by what became of them")
          .Register(registry);
  prometheus::Gauge& leading = prometheus::BuildGauge()
                                   .Name("multinet_controller_leading")
                                   .Help("1 while this replica leads")
                                   .Register(registry)
                                   .Add({});
  prometheus::Family<prometheus::Gauge>& lastTurn =
      prometheus::BuildGauge()
          .Name("multinet_controller_loop_last_turn_timestamp_seconds")
          .Help("When a loop's last turn ended that succeeded")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& notAfter =
      prometheus::BuildGauge()
          .Name("multinet_controller_certificate_not_after_timestamp_seconds")
          .Help("When a certificate ends, as the leader last saw it")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& services =
      prometheus::BuildGauge()
          .Name("multinet_controller_services")
          .Help("Services on networks by the reason of their condition Ready")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& endpoints =
      prometheus::BuildGauge()
          .Name("multinet_controller_service_endpoints")
          .Help("Endpoints of all services on networks by state")
          .Register(registry);
  prometheus::Histogram& sliceSeconds =
      prometheus::BuildHistogram()
          .Name("multinet_controller_slice_seconds")
          .Help("From a watch's word of a change until an EndpointSlice of it is written")
          .Register(registry)
          .Add({}, sliceBuckets());
  prometheus::Family<prometheus::Gauge>& policies =
      prometheus::BuildGauge()
          .Name("multinet_controller_policies")
          .Help("Policies on networks by what became of them")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& policyInterfaces =
      prometheus::BuildGauge()
          .Name("multinet_controller_policy_interfaces")
          .Help("Interfaces that policies select, once for each policy")
          .Register(registry);
  prometheus::Gauge& policySlices = prometheus::BuildGauge()
                                        .Name("multinet_controller_policy_slices")
                                        .Help("PodNetworkPolicySlices that there are")
                                        .Register(registry)
                                        .Add({});
  prometheus::Histogram& policySeconds =
      prometheus::BuildHistogram()
          .Name("multinet_controller_policy_slice_seconds")
          .Help("From a watch's word of a change until a PodNetworkPolicySlice of it is written")
          .Register(registry)
          .Add({}, sliceBuckets());
  prometheus::Family<prometheus::Gauge>& watchAge =
      prometheus::BuildGauge()
          .Name("multinet_controller_watch_age_seconds")
          .Help("Since the API server last said something of a resource")
          .Register(registry);
};

double secondsOf(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

kube::ClientOptions clientOptions(Metrics& metrics) {
  kube::ClientOptions options;
  options.fieldManager = "multinet-controller";
  options.observer = [&metrics](const kube::CallRecord& record) {
    metrics.calls
        .Add({{"verb", std::string(record.verb)},
              {"resource", std::string(record.resource)},
              {"code", std::to_string(record.code)}})
        .Increment();
  };
  return options;
}

}  // namespace

/// Members in the order in which they start; destroyed in reverse.
class Controller::Impl {
 public:
  Impl(std::unique_ptr<Metrics> metrics, std::unique_ptr<kube::Client> client,
       const Settings& settings)
      : settings_(settings),
        metrics_(std::move(metrics)),
        client_(std::move(client)),
        certificateStore_(*client_, settings.nameSpace),
        events_(*client_, clock_, eventOptions()),
        writer_(*client_, clock_, writerOptions()),
        pass_(allReconcilers(), writer_, clock_,
              [this](const Notice& notice) { tell(notice.about, notice.reason, notice.message); }),
        elector_(*client_, clock_, leaderOptions()),
        passes_({.name = "pass", .spacing = kPassSpacing}, clock_, [this] { return pass(); }),
        certificates_({.name = "certificates"}, clock_,
                      whileLeading(elector_, [this] { return certificates(); })),
        caches_(*client_, [this] {
          lateness_.noticed();
          passes_.wake();
        }) {
    for (const auto& [name, count] : pass_.planner().reconciled()) {
      reconciled_.push_back(&metrics_->reconciled.Add({{"reconciler", std::string(name)}}));
    }
  }

  /// Health first, so that a start that hangs can be seen; caches before the election, so that a
  /// new leader works at once.
  Status start() {
    const http::Router router = http::healthRouter(
        {{"caches", [this] { return caches_.ready(kube::kOldCache); }}}, metrics_->registry);
    const http::Handler health = [this, router](const http::Request& request) {
      show();
      return router(request);
    };
    MULTINET_TRY(server_, http::Server::start({.listen = settings_.healthListen}, health));
    caches_.start();
    passes_.start();
    certificates_.start();
    elector_.start();
    return {};
  }

  /// Work ends before the lease is given back: two never write at once. The server goes last.
  void stop() {
    stopping_ = true;  // a turn that is under way writes no more
    passes_.stop();
    writer_.wait();
    certificates_.stop();
    elector_.stop();
    caches_.stop();
    server_.reset();
  }

 private:
  kube::LeaderOptions leaderOptions() {
    kube::LeaderOptions options;
    options.nameSpace = settings_.nameSpace;
    options.name = kLeaseName;
    options.identity = identity();
    options.started = [this] {
      passes_.wake();
      certificates_.wake();
    };
    return options;
  }

  /// Before each look at the metrics. Any thread.
  void show() {
    metrics_->leading.Set(elector_.leading() ? 1 : 0);
    for (const async::Loop* loop : {&passes_, &certificates_}) {
      const auto last = loop->lastTurn();
      if (last) metrics_->lastTurn.Add({{"loop", loop->name()}}).Set(secondsOf(*last));
    }
    for (std::size_t i = 0; i < kWriteOutcomes; ++i) {
      const auto outcome = static_cast<WriteOutcome>(i);
      metrics_->writes.Add({{"outcome", std::string(name(outcome))}})
          .Set(static_cast<double>(writer_.count(outcome)));
    }
    showServices();
    showPolicies();
    for (const auto& [resource, age] : caches_.ages()) {
      metrics_->watchAge.Add({{"resource", resource}})
          .Set(std::chrono::duration<double>(age).count());
    }
  }
  void showServices() {
    const ServiceTally tally = tallyOf(caches_.list<NetworkService>());
    for (std::size_t i = 0; i < kServiceReasons.size(); ++i) {
      metrics_->services.Add({{"reason", std::string(kServiceReasons.at(i))}})
          .Set(static_cast<double>(tally.byReason.at(i)));
    }
    const auto show = [this](const char* state, std::uint64_t count) {
      metrics_->endpoints.Add({{"state", state}}).Set(static_cast<double>(count));
    };
    show("ready", tally.ready);
    show("serving", tally.serving);
    show("terminating", tally.terminating);
  }
  void showPolicies() {
    const PolicyTally tally = policyTallyOf(caches_.list<Policy>(), caches_.list<ClusterPolicy>());
    for (std::size_t i = 0; i < kPolicyStates.size(); ++i) {
      metrics_->policies.Add({{"state", std::string(kPolicyStates.at(i))}})
          .Set(static_cast<double>(tally.byState.at(i)));
    }
    metrics_->policyInterfaces.Add({{"state", "selected"}})
        .Set(static_cast<double>(tally.selected));
    metrics_->policyInterfaces.Add({{"state", "enforced"}})
        .Set(static_cast<double>(tally.enforced));
    metrics_->policySlices.Set(static_cast<double>(caches_.list<PolicySlice>().size()));
  }
  void showEnd(const char* certificate, const std::optional<WallTime>& end) {
    if (end) metrics_->notAfter.Add({{"certificate", certificate}}).Set(secondsOf(*end));
  }

  static kube::EventOptions eventOptions() {
    kube::EventOptions options;
    options.component = "multinet-controller";
    return options;
  }
  WriterOptions writerOptions() {
    WriterOptions options;
    options.leading = [this] { return !stopping_ && elector_.leading(); };
    options.done = [this](const PlannedWrite& planned) {
      const auto& kind = planned.write.kind.plural;
      const double waited = std::chrono::duration<double>(clock_.now() - planned.since).count();
      if (kind == k8s::kEndpointSliceKind.plural) metrics_->sliceSeconds.Observe(waited);
      if (kind == api::kPodNetworkPolicySliceKind.plural) metrics_->policySeconds.Observe(waited);
    };
    options.ended = [this] { passes_.wake(); };
    options.refused = [this](const Write& write, const Error& error) {
      tell(write.about, "WriteRefused",
           "The API server refuses to " + write.item() + ": " + error.message);
    };
    return options;
  }
  void tell(const Subject& about, const std::string& reason, const std::string& message) {
    events_.record({about.kind.apiVersion(), std::string(about.kind.kind), about.key, about.uid},
                   kube::Severity::Warning, reason, message);
  }

  Result<std::optional<Duration>> pass() {
    // A view of which a part is missing would delete what that part protects.
    if (!seesAll_) seesAll_ = caches_.synced().has_value();
    if (!seesAll_) return Duration(std::chrono::seconds(1));
    const BootTime since = lateness_.take();
    caches_.drainInto(pass_.world(), clock_.now());
    if (!elector_.leading()) {
      pass_.follow();
      return kLookAgain;
    }
    if (!serverFits_) {
      MULTINET_CHECK(kube::requireServer(*client_, {1, api::kOldestMinor}, api::kWhyOldest));
      serverFits_ = true;
    }
    metrics_->passes.Increment();
    const auto before = pass_.planned();
    const auto idle = pass_.lead(since);
    if (pass_.planned() != before) metrics_->writingPasses.Increment();
    auto gauge = reconciled_.begin();
    for (const auto& [name, count] : pass_.planner().reconciled()) {
      (*gauge++)->Set(static_cast<double>(count));
    }
    return idle;
  }

  Result<std::optional<Duration>> certificates() {
    const auto service = "multinet-webhook." + settings_.nameSpace;
    MULTINET_TRY(
        const Kept kept,
        keepCertificates(certificateStore_, {service + ".svc", service + ".svc.cluster.local"},
                         clock_, [this] { return elector_.leading(); }));
    showEnd("ca", kept.authorityEnds);
    showEnd("webhook", kept.servingEnds);
    if (kept.waitsFor.empty()) return kCertificatePeriod;
    if (++waitingLooks_ > kConfigurationLooks) return kCertificatePeriod;
    log::info("the webhook gets its certificate once its configuration is there: apply deploy/",
              {{"missing", kept.waitsFor}});
    return kConfigurationPeriod;
  }

  Settings settings_;
  SystemClock clock_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<kube::Client> client_;
  CertificateStore certificateStore_;
  std::atomic<bool> stopping_ = false;
  kube::EventRecorder events_;
  Lateness lateness_{clock_};
  Writer writer_;
  Pass pass_;                                   // the loop's thread only
  bool serverFits_ = false;                     // likewise
  bool seesAll_ = false;                        // likewise: caches that were filled stay so
  int waitingLooks_ = 0;                        ///< of the certificates' loop alone
  std::vector<prometheus::Gauge*> reconciled_;  ///< by reconciler
  kube::LeaderElector elector_;
  async::Loop passes_;
  async::Loop certificates_;
  Caches caches_;
  std::unique_ptr<http::Server> server_;
};

Controller::Controller(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Controller::~Controller() {
  impl_->stop();
}

Result<std::unique_ptr<Controller>> Controller::start(const Settings& settings) {
  MULTINET_TRY(auto config, kube::loadConfig(settings.kubeconfig, ""));
  config.userAgent = "multinet-controller";
  auto metrics = std::make_unique<Metrics>();
  auto options = clientOptions(*metrics);
  MULTINET_TRY(auto client, kube::connect(config, std::move(options)));
  auto impl = std::make_unique<Impl>(std::move(metrics), std::move(client), settings);
  MULTINET_CHECK(impl->start());
  return std::unique_ptr<Controller>(new Controller(std::move(impl)));
}

}  // namespace multinet::controller
