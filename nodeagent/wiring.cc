#include "nodeagent/wiring.h"

#include <grpcpp/channel.h>
#include <grpcpp/impl/codegen/service_type.h>

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <utility>

#include "lib/async/lane.h"
#include "lib/base/log.h"
#include "lib/kube/transport.h"
#include "nodeagent/addresses/kube_blocks.h"
#include "nodeagent/addresses/leasing_addresses.h"
#include "nodeagent/attach/kernel_attach_engine.h"
#include "nodeagent/cri/interceptors.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/pod_networks.h"
#include "nodeagent/cri/runtime_client.h"
#include "nodeagent/cri/server.h"
#include "nodeagent/feeder.h"
#include "nodeagent/journal/sqlite_journal.h"
#include "nodeagent/recover/recovery.h"
#include "nodeagent/report/api_reporter.h"
#include "nodeagent/report/kube_node_api.h"
#include "nodeagent/report/kube_report_api.h"
#include "nodeagent/report/node_reporter.h"
#include "nodeagent/resolve/catalog_resolver.h"
#include "nodeagent/sandbox/owner.h"
#include "nodeagent/watch/cluster.h"

namespace multinet::agent {
namespace {

/// How long calls under way may still take when the agent stops.
constexpr std::chrono::seconds kDrain(10);

/// `60s`, `500ms`, `5m`.
Result<Duration> parseQuarantine(std::string_view text) {
  long long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error == std::errc() && number >= 0 && number < 1'000'000) {
    if (unit == "ms") return std::chrono::milliseconds(number);
    if (unit == "s") return std::chrono::seconds(number);
    if (unit == "m") return std::chrono::minutes(number);
  }
  return fail(Code::InvalidArgument, "InvalidFlag",
              "flag --quarantine \"" + std::string(text) + "\": must be like 60s, 500ms or 5m");
}

Result<std::vector<IpPrefix>> parseClusterPrefixes(const std::vector<std::string>& texts) {
  std::vector<IpPrefix> prefixes;
  for (const std::string& text : texts) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix || prefix->length() == 0) {
      return fail(Code::InvalidArgument, "InvalidFlag",
                  "flag --cluster-prefix \"" + text + "\": must be a range such as 10.244.0.0/16");
    }
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

Result<std::string> readBootId() {
  MULTINET_TRY(std::string text, readFile("/proc/sys/kernel/random/boot_id"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// The diagram. Members are made from top to bottom; each needs only those above it. Destruction
// never happens: the process leaves by `_exit` after stop().
class Parts final : public Agent {
 public:
  struct Kernel {
    std::unique_ptr<attach::KernelAttachEngine> engine;
    std::string bootId;
    Duration quarantine;
    std::vector<IpPrefix> clusterPrefixes;
  };

  Parts(Fd socket, const Settings& settings, Kernel kernel)
      : node_(settings.nodeName),
        engine_(std::move(kernel.engine)),
        channel_(cri::runtimeChannel(settings.runtimeEndpoint)),
        runtime_(cri::makeRuntimeClient(channel_, clock_, files_, settings.runtimeStateDir)),
        journal_(settings.stateDir + "/journal.db"),
        cluster_({.kubeconfig = settings.kubeconfig, .node = node_}, clock_, [this] { changed(); }),
        client_([this] { return cluster_.client(); }),
        nodeApi_(client_),
        nodeReporter_(nodeApi_, clock_, node_),
        blocks_(client_, node_),
        addresses_(blocks_, clock_, {.node = node_, .quarantine = kernel.quarantine}),
        reportApi_(client_, clock_, node_),
        reporter_(reportApi_, clock_, node_) {
    startNetworks(settings);
    resolver_ = std::make_unique<resolve::CatalogResolver>(cluster_, *networks_, clock_,
                                                           std::move(kernel.clusterPrefixes));
    feeder_ = std::make_unique<Feeder>(cluster_, *networks_, addresses_, node_);
    feeding_ = true;
    const sandbox::Doors doors{*runtime_,  journal_,  *engine_, addresses_,
                               *resolver_, reporter_, clock_};
    owner_ = std::make_unique<sandbox::Owner>(
        doors, sandbox::Options{.bootId = kernel.bootId, .quarantine = kernel.quarantine});
    recovery_ = std::make_unique<recover::Recovery>(
        doors, *owner_, recover::Options{.bootId = kernel.bootId, .quarantine = kernel.quarantine});
    podNetworks_ = cri::makePodNetworks(*owner_);
    server_ =
        cri::makeServer({.runtime = channel_,
                         .interceptorOf = cri::interceptors(
                             {.sandboxes = owner_.get(), .clock = &clock_, .timers = &timers_}),
                         .podNetworks = podNetworks_.get()});
    // Plain pods are served from here on, before anything is recovered or any server answered.
    listener_ = std::make_unique<cri::Listener>(
        std::move(socket), [this](Fd connection) { server_->add(std::move(connection)); });
    cluster_.start();    // fail-open for plain pods: calls for networks wait, then Unavailable
    recovery_->start();  // fail-closed: until it is done no call for networks is served
  }

  void stop() override {
    listener_->stop();  // first, so that no call comes to a server that ends
    server_->stop(kDrain);
    owner_->stop();  // intents stay in the journal for the successor
    cluster_.stop();
  }

 private:
  void startNetworks(const Settings& settings) {
    networks::NetworksOptions options;
    options.node = node_;
    options.underlay = settings.underlayInterface;
    auto started = networks::startNetworks(
        options, [this](std::shared_ptr<const networks::Snapshot> snapshot) {
          nodeReporter_.update(std::move(snapshot));
        });
    if (!started) {
      // Root on a Linux with netlink always can; an agent that can't must not pretend.
      log::error("can't own the node's networks", {{"error", started.error()}});
      log::flush();
      _exit(1);
    }
    networks_ = std::move(*started);
  }

  void changed() {
    if (feeding_) feeder_->changed();
  }

  SystemClock clock_;
  NodeName node_;
  async::Lane timers_{"timers"};
  async::Lane files_{"files"};
  std::unique_ptr<attach::KernelAttachEngine> engine_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<sandbox::Runtime> runtime_;
  journal::SqliteJournal journal_;
  watch::Cluster cluster_;
  std::function<Result<kube::Client*>()> client_;
  report::KubeNodeApi nodeApi_;
  report::NodeReporter nodeReporter_;
  addresses::KubeBlocks blocks_;
  addresses::LeasingAddresses addresses_;
  report::KubeReportApi reportApi_;
  report::ApiReporter reporter_;
  std::unique_ptr<networks::Networks> networks_;
  std::unique_ptr<resolve::CatalogResolver> resolver_;
  std::unique_ptr<Feeder> feeder_;
  std::atomic<bool> feeding_{false};
  std::unique_ptr<sandbox::Owner> owner_;
  std::unique_ptr<recover::Recovery> recovery_;
  std::unique_ptr<grpc::Service> podNetworks_;
  std::unique_ptr<cri::Server> server_;
  std::unique_ptr<cri::Listener> listener_;
};

}  // namespace

Result<std::unique_ptr<Agent>> start(const Settings& settings) {
  kube::boundTransportThreads(1);  // before the first call
  Parts::Kernel kernel;
  MULTINET_TRY(kernel.quarantine, parseQuarantine(settings.quarantine));
  MULTINET_TRY(kernel.clusterPrefixes, parseClusterPrefixes(settings.clusterPrefixes));
  MULTINET_TRY(kernel.bootId, readBootId());
  static SystemClock clock;  // outlives the engine, which outlives this call
  MULTINET_TRY(kernel.engine, attach::KernelAttachEngine::start({}, clock));
  std::error_code error;
  std::filesystem::create_directories(settings.stateDir, error);
  Fd socket = cri::inheritedListener();  // first: a supervisor that holds it also holds the path
  if (!socket.valid()) {
    MULTINET_TRY(socket, cri::listenAt(settings.listen));
  }
  std::unique_ptr<Agent> agent =
      std::make_unique<Parts>(std::move(socket), settings, std::move(kernel));
  log::info("serving", {{"socket", settings.listen}, {"runtime", settings.runtimeEndpoint}});
  return agent;
}

}  // namespace multinet::agent
