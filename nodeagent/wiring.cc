#include "nodeagent/wiring.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <exception>
#include <future>
#include <utility>

#include "lib/async/backoff.h"
#include "lib/async/lane.h"
#include "lib/async/watchdog.h"
#include "lib/base/calls.h"
#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/http/server.h"
#include "lib/kube/transport.h"
#include "nodeagent/crash_count.h"
#include "nodeagent/cri/interceptors.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/pod_networks.h"
#include "nodeagent/cri/server.h"
#include "nodeagent/drain/drain.h"
#include "nodeagent/metrics.h"
#include "nodeagent/node_name.h"
#include "nodeagent/parts.h"
#include "nodeagent/sandbox/sandboxes.h"

namespace multinet::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Once nobody accepts any more, what came in between may take so long: with the two below it is
/// the gap before the successor serves.
constexpr milliseconds kLastCalls(500);
/// Somebody else has the address of the metrics.
constexpr seconds kMetricsRetry(10);
/// How long the parts for networks may take to stop. What they leave is found by the successor, as
/// after a crash.
constexpr milliseconds kStop(300);
/// And where nobody waits for a successor: until all that is made for networks is gone.
constexpr seconds kLeave(10);
/// These never wait for the world.
constexpr seconds kRelayStuck(5);
/// It opens the kernel's dependencies.
constexpr seconds kStarterStuck(30);
constexpr seconds kTellStuck(1);

/// `60s`, `500ms`, `5m`.
Result<Duration> parseDuration(const char* flag, std::string_view text) {
  long long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error == std::errc() && number >= 0 && number < 1'000'000) {
    if (unit == "ms") return milliseconds(number);
    if (unit == "s") return seconds(number);
    if (unit == "m") return std::chrono::minutes(number);
  }
  return fail(Code::InvalidArgument, "InvalidFlag",
              std::string("flag ") + flag + " \"" + std::string(text) +
                  "\": must be like 60s, 500ms or 5m");
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

enum class SafeMode { Auto, On, Off };

Result<SafeMode> parseSafeMode(const std::string& text) {
  if (text == "auto") return SafeMode::Auto;
  if (text == "on") return SafeMode::On;
  if (text == "off") return SafeMode::Off;
  return fail(Code::InvalidArgument, "InvalidFlag",
              "flag --safe-mode \"" + text + "\": must be auto, on or off");
}

/// What was parsed of the settings.
struct Policy {
  NetworkParts::Policy parts;
  SafeMode safeMode = SafeMode::Auto;
  Duration safeModeFor{};
  Duration drain{};
};

// The diagram. Members are made from top to bottom; each needs only those above it. The relay comes
// first and needs neither kernel nor disk nor API server; the rest starts on a lane of its own and
// is opened to the kubelet's calls when it is there. Destruction never happens: the process leaves
// by `_exit` after stop().
class NodeAgent final : public Agent {
 public:
  NodeAgent(Fd socket, const Settings& settings, Policy policy)
      : settings_(settings),
        policy_(std::move(policy)),
        sandboxes_(timers_),
        drain_(
            timers_, clock_, [this] { return sandboxes_.snapshot(); },
            [this](drain::Why why, Duration held) { metrics_.stopped(name(why), held); }),
        podNetworks_(sandboxes_),
        server_(
            {.runtime = settings.runtimeEndpoint,
             .interceptorOf = cri::interceptors({.sandboxes = &sandboxes_,
                                                 .clock = &clock_,
                                                 .timers = &timers_,
                                                 .drain = &drain_}),
             .podNetworks = &podNetworks_,
             .called = [this](std::string_view method, int code) { metrics_.called(method, code); },
             .clock = &clock_}),
        // Plain pods are served from here on.
        listener_(std::move(socket), [this](Fd connection) { server_.add(std::move(connection)); }),
        crashes_(settings.stateDir + "/starts", clock_),
        backoff_(milliseconds(500), seconds(30)) {
    calls::observe([this](const calls::Call& call) {
      metrics_.passed(call.door, call.call, call.code, call.took);
    });
    watchdog_.watch([this] { return server_.health(); }, kRelayStuck);
    watchdog_.watch(timers_, kRelayStuck);
    watchdog_.watch(starter_, kStarterStuck);
    tellStuck();
    starter_.post([this] { begin(); });
    if (!settings_.metricsListen.empty()) starter_.post([this] { serveMetrics(); });
  }

  void stop() override {
    starter_.post([this] { crashes_.end(); });
    // The successor starts when this process has ended, and nobody is served in between: so serve
    // on until nobody waits, then be quick.
    server_.awaitQuiet(std::chrono::duration_cast<milliseconds>(policy_.drain));
    const bool leaving = isLeaving();
    listener_.stop();  // first, so that no call comes to a server that ends
    server_.stop(kLastCalls);
    // A start that hangs must not keep the process from ending.
    const auto stopped = std::make_shared<std::promise<void>>();
    starter_.post([this, stopped, leaving] {
      if (parts_ != nullptr) parts_->stop();
      if (parts_ != nullptr && leaving) leave();
      stopped->set_value();
    });
    stopped->get_future().wait_for(leaving ? Duration(kLeave) : Duration(kStop));
  }

 private:
  /// Taken off this node, as far as can be told: the kubelet speaks past the agent, and no pod has
  /// an interface. An agent that is only replaced has its kubelet's connection.
  bool isLeaving() const {
    const auto now = sandboxes_.snapshot();
    return server_.callers() == 0 && now->recovered && now->sandboxes.empty() &&
           now->running.empty();
  }

  void leave() {
    if (const Status left = parts_->leave(); !left) {
      log::error("can't clear the node of its networks", {{"error", left.error()}});
      return;
    }
    log::info("no kubelet and no pod with networks: cleared the node of them", {});
  }

  /// On a lane that never waits.
  void tellStuck() {
    timers_.postAfter(kTellStuck, [this] {
      watchdog_.tell();
      tellStuck();
    });
  }

  // All that follows runs on the starter's lane.

  void begin() {
    const char* why = policy_.safeMode == SafeMode::On ? "--safe-mode=on" : nullptr;
    // A process that is told to fail may well die young.
    if (policy_.safeMode == SafeMode::Auto && !failpoint::anyArmed()) {
      if (crashes_.begin()) why = "the agent crashed again and again";
    }
    if (why == nullptr) return startParts();
    drain_.close();
    const bool ends = policy_.safeMode == SafeMode::Auto;
    sandboxes_.close({Code::FailedPrecondition, "SafeMode",
                      std::string("the agent is in safe mode (") + why +
                          "): plain pods start, pods with networks don't; see docs/safe-mode.md"});
    log::error("safe mode: a plain relay, pods with networks are refused",
               {{"why", why}, {"seconds", ends ? policy_.safeModeFor / seconds(1) : -1}});
    if (!ends) return;
    starter_.postAfter(policy_.safeModeFor, [this] {
      log::info("safe mode ends", {});
      crashes_.tryAgain();
      startParts();
    });
  }

  void startParts() {
    if (const Status started = makeParts(); !started) {
      const Duration wait = backoff_.next();
      log::error("can't serve pods with networks yet",
                 {{"retryMs", wait / milliseconds(1)}, {"error", started.error()}});
      sandboxes_.close(started.error());
      starter_.postAfter(wait, [this] { startParts(); });
      return;
    }
    sandboxes_.open(parts_->owner());
    started_ = parts_.get();
    starter_.postAfter(crashes_.limits().settled, [this] { crashes_.settle(); });
  }

  /// What the standard library throws where the system has no thread or memory left must not end
  /// the relay with it.
  Status makeParts() {
    try {
      if (parts_ == nullptr) {
        parts_ = std::make_unique<NetworkParts>(settings_, policy_.parts, clock_, metrics_,
                                                watchdog_, drain_);
      }
      return parts_->start();
    } catch (const std::exception& error) {
      return fail(Code::Unavailable, "OutOfResources",
                  std::string("start the parts for networks: ") + error.what() +
                      "; raise TasksMax or MemoryMax of multinet-nodeagent.service (pids.max, "
                      "memory.max of its cgroup) or kernel.threads-max, it is tried again");
    }
  }

  /// No call of the kubelet's depends on who watches.
  void serveMetrics() {
    auto served = http::Server::start({.listen = settings_.metricsListen, .threads = 1},
                                      metrics_.handler([this] { return gauges(); }));
    if (served) {
      metricsServer_ = std::move(*served);
      return;
    }
    log::error("can't serve metrics yet", {{"error", served.error()}});
    starter_.postAfter(kMetricsRetry, [this] { serveMetrics(); });
  }

  /// Any thread.
  Gauges gauges() const {
    const auto snapshot = sandboxes_.snapshot();
    Gauges gauges{sandboxes_.ready(), snapshot->intents, snapshot->doubts, {}, 0,
                  watchdog_.healths()};
    if (const NetworkParts* parts = started_) {
      gauges.watches = parts->watches();
      gauges.reportsWaiting = parts->reportsWaiting();
      gauges.services = parts->services();
      gauges.drops = parts->drops();
      gauges.policies = parts->policies();
      gauges.denied = parts->denied();
      gauges.flows = parts->flows();
    }
    return gauges;
  }

  const Settings settings_;
  const Policy policy_;
  SystemClock clock_;
  Metrics metrics_;
  async::Watchdog watchdog_;
  async::Lane timers_{"timers", clock_};
  sandbox::Sandboxes sandboxes_;
  drain::Drain drain_;
  cri::PodNetworksService podNetworks_;
  cri::Server server_;
  cri::Listener listener_;
  CrashCount crashes_;
  async::Backoff backoff_;
  std::unique_ptr<NetworkParts> parts_;
  std::atomic<const NetworkParts*> started_{nullptr};
  std::unique_ptr<http::Server> metricsServer_;
  async::Lane starter_{"starter", clock_};
};

}  // namespace

Result<std::unique_ptr<Agent>> start(const Settings& settings) {
  kube::boundTransportThreads(1);  // before the first call
  Policy policy{};
  Settings named = settings;
  MULTINET_TRY(named.nodeName, nodeNameOf(settings.nodeName));
  MULTINET_TRY(policy.parts.quarantine, parseDuration("--quarantine", settings.quarantine));
  MULTINET_TRY(policy.parts.clusterPrefixes, parseClusterPrefixes(settings.clusterPrefixes));
  MULTINET_TRY(policy.safeMode, parseSafeMode(settings.safeMode));
  MULTINET_TRY(policy.safeModeFor, parseDuration("--safe-mode-for", settings.safeModeFor));
  MULTINET_TRY(policy.drain, parseDuration("--drain", settings.drain));
  // First: a supervisor that holds it also holds the path.
  MULTINET_TRY(Fd socket, cri::inheritedListener());
  if (!socket.valid()) {
    MULTINET_TRY(socket, cri::listenAt(settings.listen));
  }
  std::unique_ptr<Agent> agent;
  try {
    agent = std::make_unique<NodeAgent>(std::move(socket), std::move(named), std::move(policy));
  } catch (const std::exception& error) {  // not even the relay's threads
    return fail(Code::Unavailable, "OutOfResources",
                std::string("start the relay: ") + error.what());
  }
  log::info("serving", {{"socket", settings.listen}, {"runtime", settings.runtimeEndpoint}});
  return agent;
}

}  // namespace multinet::agent
