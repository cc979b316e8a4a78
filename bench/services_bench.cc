// What services on a network cost a node, beside what kube-proxy's nftables mode makes the kernel
// do. Prints a line of JSON for each measurement:
// {"what": "connect", "case": "service", "round": 0, "value": 0.0431} in the unit of tools/bench.
//
// To be run as root. All of it is in namespaces, a control group and a bpffs that the program makes
// and that end with it.
#include <malloc.h>
#include <simdjson.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <future>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/in_turn.h"
#include "bench/service_client.h"
#include "bench/service_site.h"
#include "lib/base/log.h"
#include "lib/k8s/core.h"
#include "lib/netns/cookie.h"
#include "lib/netns/netns.h"
#include "lib/nft/committer.h"
#include "nodeagent/services/joining_engine.h"
#include "nodeagent/watch/caches.h"

namespace multinet::bench {
namespace {

using namespace agent::services;  // NOLINT(google-build-using-namespace): what is measured

constexpr NetworkKey kNetwork = 7;

struct Arguments {
  std::string part = "traffic";
  int rounds = 60;
  int seconds = 60;
  int connects = 200;
  int roundTrips = 500;
  int mebibytes = 32;
  int services = 1000;
  int endpoints = 100;
};

void print(const std::string& what, const std::string& name, int round, double value) {
  std::cout
      << nlohmann::json{{"what", what}, {"case", name}, {"round", round}, {"value", value}}.dump()
      << "\n";
}

// Traffic

struct Way {
  std::string name;
  ServiceClient client;
};

class Traffic {
 public:
  Status run(const Arguments& arguments) {
    MULTINET_CHECK(build());
    const Bounds bounds{arguments.rounds, std::chrono::seconds(arguments.seconds), 4};
    return inTurn(ways_.size(), bounds, [&](std::size_t which, std::optional<int> round) {
      return measure(arguments, ways_[which], round);
    });
  }

 private:
  Status build() {
    MULTINET_TRY(bare_, site());
    MULTINET_TRY(proxied_, site());
    MULTINET_TRY(ground_, ServiceGround::make());
    std::vector<std::string> addresses;
    for (int i = 0; i < kServerAddresses; ++i) addresses.push_back(ServiceSite::serverAddress(i));
    for (const auto* site : {bare_.get(), proxied_.get()}) {
      MULTINET_TRY(auto server, ServiceServer::start(site->server(), addresses, kServerPort));
      servers_.push_back(std::move(server));
    }
    const auto services = makeServices(100, kServerAddresses);
    const std::string vip = services.front().frontend.address.str();
    const std::string direct = ServiceSite::serverAddress(0);
    // Before any thread is there.
    MULTINET_CHECK(add("direct", bare_->pod(), "", direct, kServerPort));
    MULTINET_CHECK(add("plain", bare_->plainPod(), ground_->cgroup(), direct, kServerPort));
    MULTINET_CHECK(add("service", bare_->pod(), ground_->cgroup(), vip, kServicePort));
    MULTINET_CHECK(add("nftables", proxied_->pod(), "", vip, kServicePort));
    MULTINET_CHECK(translate(services));
    MULTINET_TRY(const auto scope, netns::Scope::enter(proxied_->node()));
    MULTINET_TRY(nft::Committer committer, nft::Committer::open());
    return committer.commit(proxyTable(services) + proxyTableOfUdp(services));
  }

  static Result<std::unique_ptr<ServiceSite>> site() {
    MULTINET_TRY(ServiceSite made, ServiceSite::make());
    return std::make_unique<ServiceSite>(std::move(made));
  }

  Status add(std::string name, const Fd& netns, const std::string& cgroup,
             const std::string& address, std::uint16_t port) {
    MULTINET_TRY(auto client, ServiceClient::start({netns, cgroup}, {address, port}));
    ways_.push_back({std::move(name), std::move(client)});
    return {};
  }

  Status translate(const std::vector<BenchService>& services) {
    plane_ = std::make_unique<KernelPlane>(ground_->options());
    MULTINET_CHECK(plane_->ensure());
    ServiceTable table(plane_->maps());
    MULTINET_CHECK(table.adopt());
    std::vector<Ended> ended;
    for (const BenchService& one : services) {
      MULTINET_CHECK(table.put(one.frontend, {kNetwork}, one.targets, ended));
      Frontend udp = one.frontend;
      udp.transport = Transport::Udp;
      MULTINET_CHECK(table.put(udp, {kNetwork}, one.targets, ended));
    }
    MULTINET_CHECK(members_.open(plane_->members()));
    MULTINET_TRY(const netns::Home home, netns::openHome());
    MULTINET_TRY(const auto cookie, netns::cookie(bare_->pod(), home));
    return members_.joined(IntentId("bench"), cookie, {kNetwork});
  }

  /// The first service's UDP port, which leads to the same endpoints.
  static std::string proxyTableOfUdp(const std::vector<BenchService>& services) {
    std::string text =
        "add chain ip kube-proxy datagrams\nadd rule ip kube-proxy datagrams meta l4proto udp "
        "dnat to numgen random mod " +
        std::to_string(kServerAddresses) + " map { ";
    const auto& targets = services.front().targets;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (i > 0) text += ", ";
      text += std::to_string(i) + " : " + targets[i].address.str();
    }
    text += " } : " + std::to_string(kServerPort) + "\n";
    return text + "add element ip kube-proxy service-ips { " +
           services.front().frontend.address.str() + " . udp . " + std::to_string(kServicePort) +
           " : goto datagrams }\n";
  }

  static Status measure(const Arguments& arguments, Way& way, std::optional<int> round) {
    MULTINET_TRY(const double connects, way.client.connects(arguments.connects));
    MULTINET_TRY(const double trips, way.client.roundTrips(arguments.roundTrips));
    MULTINET_TRY(const double named, way.client.unconnectedRoundTrips(arguments.roundTrips));
    MULTINET_TRY(const double stream, way.client.stream(arguments.mebibytes));
    MULTINET_TRY(const double streams, way.client.streams(arguments.mebibytes));
    if (!round) return {};
    print("connect", way.name, *round, connects / arguments.connects * 1000);
    print("datagram", way.name, *round, trips / arguments.roundTrips * 1000);
    print("datagram by name", way.name, *round, named / arguments.roundTrips * 1000);
    print("stream", way.name, *round, stream);
    print("8 streams", way.name, *round, streams);
    return {};
  }

  std::unique_ptr<ServiceSite> bare_;
  std::unique_ptr<ServiceSite> proxied_;
  std::unique_ptr<ServiceGround> ground_;
  std::unique_ptr<KernelPlane> plane_;
  Members members_;
  std::vector<ServiceServer> servers_;
  std::vector<Way> ways_;
};

// Size, change, restart

/// KiB of a line of a file in /proc, `name` with its colon.
long kibibytes(const char* file, const std::string& name) {
  std::ifstream lines(file);
  std::string word;
  while (lines >> word) {
    if (word != name) continue;
    long value = 0;
    lines >> value;
    return value;
  }
  return 0;
}
long resident() {
  ::malloc_trim(0);
  return kibibytes("/proc/self/status", "VmRSS:");
}
/// What the kernel holds that no process has: slabs, per-CPU areas, large allocations.
long kernel() {
  return kibibytes("/proc/meminfo", "Slab:") + kibibytes("/proc/meminfo", "Percpu:") +
         kibibytes("/proc/meminfo", "VmallocUsed:");
}

/// As the API server sends it.
std::string sliceOf(const BenchService& service) {
  k8s::EndpointSlice slice;
  slice.metadata.name = "bench-4-0";
  slice.metadata.nameSpace = "default";
  slice.metadata.labels["endpointslice.kubernetes.io/managed-by"] = "multinet.dev";
  slice.metadata.labels["kubernetes.io/service-name"] = "bench";
  slice.addressType = "IPv4";
  slice.ports.push_back({"", "TCP", kServerPort, ""});
  for (const Target& target : service.targets) {
    k8s::Endpoint one;
    one.addresses = {target.address.str()};
    one.conditions = {true, true, false};
    one.nodeName = "node-a";
    one.targetRef = {"Pod", "default", "pod-" + target.address.str(), "uid"};
    slice.endpoints.push_back(std::move(one));
  }
  return k8s::KindTraits<k8s::EndpointSlice>::encode(slice).dump();
}

class State {
 public:
  Status run(const Arguments& arguments) {
    const auto services = makeServices(arguments.services, arguments.endpoints);
    MULTINET_TRY(ground_, ServiceGround::make());
    MULTINET_CHECK(fill(services));
    MULTINET_CHECK(restart(arguments, services));
    MULTINET_CHECK(proxyFill(services));
    MULTINET_CHECK(change(arguments, services.front()));
    return proxyRestart(arguments, services);
  }

 private:
  Status fill(const std::vector<BenchService>& services) {
    const long before = kernel();
    const long mine = resident();
    plane_ = std::make_unique<KernelPlane>(ground_->options());
    MULTINET_CHECK(plane_->ensure());
    table_ = std::make_unique<ServiceTable>(plane_->maps());
    MULTINET_CHECK(table_->adopt());
    MULTINET_CHECK(putAll(*table_, services));
    print("kernel memory", "maps", 0, static_cast<double>(kernel() - before) / 1024);
    print("agent memory", "maps", 0, static_cast<double>(resident() - mine) / 1024);
    return {};
  }

  static Status putAll(ServiceTable& table, const std::vector<BenchService>& services) {
    std::vector<Ended> ended;
    for (const BenchService& one : services) {
      MULTINET_CHECK(table.put(one.frontend, {kNetwork}, one.targets, ended));
    }
    return {};
  }

  Status restart(const Arguments& arguments, const std::vector<BenchService>& services) {
    const int rounds = std::min(arguments.rounds, 10);
    for (int round = 0; round < rounds; ++round) {
      table_.reset();
      plane_.reset();
      const auto begin = Steady::now();
      plane_ = std::make_unique<KernelPlane>(ground_->options());
      MULTINET_CHECK(plane_->ensure());
      table_ = std::make_unique<ServiceTable>(plane_->maps());
      MULTINET_CHECK(table_->adopt());
      MULTINET_CHECK(putAll(*table_, services));
      print("restart", "maps", round, milliseconds(Steady::now() - begin));
      print("restart writes", "maps", round, static_cast<double>(table_->writes()));
    }
    return {};
  }

  Status proxyFill(const std::vector<BenchService>& services) {
    MULTINET_TRY(node_, netns::make());
    MULTINET_TRY(const auto scope, netns::Scope::enter(node_));
    MULTINET_TRY(auto opened, nft::Committer::open());
    committer_ = std::make_unique<nft::Committer>(std::move(opened));
    const long before = kernel();
    // In one transaction, as its first sync.
    const auto begin = Steady::now();
    MULTINET_CHECK(committer_->commit(proxyTable(services)));
    print("restart", "nftables", 0, milliseconds(Steady::now() - begin));
    print("kernel memory", "nftables", 0, static_cast<double>(kernel() - before) / 1024);
    return {};
  }

  Status change(const Arguments& arguments, const BenchService& service) {
    BenchService other = service;
    other.targets.back() = {*IpAddress::parse("10.255.0.1"), kServerPort};
    std::ranges::sort(other.targets);
    const std::string texts[] = {sliceOf(other), sliceOf(service)};
    const BenchService* states[] = {&other, &service};
    k8s::Service core;
    core.metadata.name = "bench";
    core.spec.clusterIPs = {service.frontend.address.str()};
    core.spec.ports.push_back({"", "TCP", kServicePort, {}, ""});
    MULTINET_TRY(const auto scope, netns::Scope::enter(node_));
    const Bounds bounds{arguments.rounds, std::chrono::seconds(arguments.seconds), 4};
    int turn = 0;
    const auto measureMaps = [&](std::optional<int> round) -> Status {
      const auto next = static_cast<std::size_t>(turn % 2);
      const auto begin = Steady::now();
      simdjson::dom::parser parser;
      const simdjson::padded_string text(texts[next]);
      const auto slice =
          k8s::KindTraits<k8s::EndpointSlice>::decode(parser.parse(text).value_unsafe());
      MULTINET_CHECK(slice);
      const auto leads = endpoints::frontendsOf(
          core, {std::make_shared<const k8s::EndpointSlice>(*slice)}, {NodeName("node-a"), ""});
      const auto decided = Steady::now();
      std::vector<Ended> ended;
      for (const auto& [frontend, targets] : leads) {
        MULTINET_CHECK(table_->put(frontend, {kNetwork}, targets, ended));
      }
      const auto done = Steady::now();
      if (!round) return {};
      print("change", "maps", *round, milliseconds(done - begin) * 1000);
      print("change, kernel", "maps", *round, milliseconds(done - decided) * 1000);
      return {};
    };
    const auto measureProxy = [&](std::optional<int> round) -> Status {
      const auto next = static_cast<std::size_t>(turn % 2);
      const std::string text = proxyChange(*states[1 - next], *states[next]);
      const auto begin = Steady::now();
      MULTINET_CHECK(committer_->commit(text));
      if (round) print("change", "nftables", *round, milliseconds(Steady::now() - begin) * 1000);
      return {};
    };
    return inTurn(1, bounds, [&](std::size_t, std::optional<int> round) -> Status {
      MULTINET_CHECK(measureMaps(round));
      MULTINET_CHECK(measureProxy(round));
      ++turn;
      return {};
    });
  }

  /// kube-proxy's first sync after it was started: the table anew, in one transaction.
  Status proxyRestart(const Arguments& arguments, const std::vector<BenchService>& services) {
    MULTINET_TRY(const auto scope, netns::Scope::enter(node_));
    const std::string text = "delete table ip kube-proxy\n" + proxyTable(services);
    for (int round = 1; round < std::min(arguments.rounds, 3); ++round) {
      const auto begin = Steady::now();
      MULTINET_CHECK(committer_->commit(text));
      print("restart", "nftables", round, milliseconds(Steady::now() - begin));
    }
    return {};
  }

  std::unique_ptr<ServiceGround> ground_;
  std::unique_ptr<KernelPlane> plane_;
  std::unique_ptr<ServiceTable> table_;
  Fd node_;
  std::unique_ptr<nft::Committer> committer_;
};

// What a pod's start pays

/// Answers at once.
class NoEngine final : public agent::attach::AttachEngine {
 public:
  void attach(IntentId /*intent*/, Fd /*netns*/, std::vector<agent::InterfacePlan> /*plans*/,
              agent::attach::AbortFlag /*abort*/,
              async::Answer<std::vector<agent::InterfaceStatus>> done) override {
    done(std::vector<agent::InterfaceStatus>{});
  }
  void maintain(IntentId /*intent*/, Fd /*netns*/, std::vector<agent::InterfacePlan> /*plans*/,
                agent::attach::AbortFlag /*abort*/,
                async::Answer<agent::attach::Upkeep> done) override {
    done(agent::attach::Upkeep{});
  }
  void detach(IntentId /*intent*/, std::optional<Fd> /*netns*/, async::Answer<void> done) override {
    done({});
  }
  Result<std::vector<agent::attach::ObservedInterface>> observe(
      const std::optional<Fd>& /*netns*/) override {
    return std::vector<agent::attach::ObservedInterface>{};
  }
  Result<std::vector<agent::attach::ObservedInterface>> observeAll() override {
    return std::vector<agent::attach::ObservedInterface>{};
  }
};

class Join {
 public:
  Status run(const Arguments& arguments) {
    MULTINET_TRY(ground_, ServiceGround::make());
    KernelPlane plane(ground_->options());
    MULTINET_CHECK(plane.ensure());
    MULTINET_CHECK(members_.open(plane.members()));
    const SystemClock clock;
    NoEngine none;
    JoiningEngine joining(none, members_, clock);
    agent::InterfacePlan plan;
    plan.networkUid = NetworkUid("6f9619ff-8b86-d011-b42d-00cf4fc964ff");
    const Bounds bounds{arguments.rounds, std::chrono::seconds(arguments.seconds), 4};
    int pod = 0;
    return inTurn(2, bounds, [&](std::size_t which, std::optional<int> round) -> Status {
      auto& engine = which == 0 ? static_cast<agent::attach::AttachEngine&>(none) : joining;
      MULTINET_TRY(Fd netns, netns::make());
      const IntentId intent("pod-" + std::to_string(pod++));
      std::promise<Steady::time_point> answer;
      auto future = answer.get_future();
      const auto begin = Steady::now();
      engine.attach(intent, std::move(netns), {plan}, nullptr,
                    [&](const auto&) { answer.set_value(Steady::now()); });
      const auto end = future.get();
      if (round) {
        print("join", which == 0 ? "none" : "services", *round, milliseconds(end - begin) * 1000);
      }
      return {};
    });
  }

 private:
  std::unique_ptr<ServiceGround> ground_;
  Members members_;
};

Status measure(const Arguments& arguments) {
  if (arguments.part == "traffic") return Traffic().run(arguments);
  if (arguments.part == "state") return State().run(arguments);
  return Join().run(arguments);
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("Services on a network: what they cost a node");
  multinet::bench::Arguments arguments;
  app.add_option("part", arguments.part, "What is measured")
      ->check(CLI::IsMember({"traffic", "state", "join"}))
      ->capture_default_str();
  app.add_option("--rounds", arguments.rounds, "Of each case")->capture_default_str();
  app.add_option("--seconds", arguments.seconds, "Of the whole")->capture_default_str();
  app.add_option("--connects", arguments.connects, "TCP a round")->capture_default_str();
  app.add_option("--round-trips", arguments.roundTrips, "UDP a round")->capture_default_str();
  app.add_option("--mebibytes", arguments.mebibytes, "TCP a round")->capture_default_str();
  app.add_option("--services", arguments.services, "In the maps")->capture_default_str();
  app.add_option("--endpoints", arguments.endpoints, "Of each service")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  multinet::log::init(multinet::log::Format::Text, multinet::log::Level::Error);
  const auto measured = multinet::bench::measure(arguments);
  if (measured) return 0;
  std::cerr << "multinet-bench-services: " << measured.error().message << "\n";
  return 1;
}
