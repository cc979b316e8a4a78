// What an agent costs the API server, at growing numbers of nodes: connections, what it is sent at
// its start and in a minute without work, what one pod more costs the others, and what an endpoint
// of a service costs that changes. Bytes and requests are counted at a server in memory, over TLS,
// before encryption.
//
// Agents are hollow (nodeagent/hollow_agent.h). One more is the program itself, for its memory: in
// a network namespace of the benchmark's own, without a runtime and without pods. Of more nodes
// than --agents the rest has no agent, but all that its agent, its pods and its users would have
// written. Prints a line of JSON for each size.
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/child.h"
#include "lib/base/log.h"
#include "lib/kube/transport.h"
#include "lib/netlink/link.h"
#include "lib/netlink/socket.h"
#include "nodeagent/hollow_cluster_fixture.h"

namespace multinet::agent {
namespace {

using std::chrono::seconds;

struct Arguments {
  std::vector<int> nodes{10, 100, 1000};
  int agents = 20;
  int networks = 10;
  int attachmentsPerNode = 20;
  int podsPerNode = 20;
  int idleSeconds = 60;
  std::string program;  ///< path of the agent; empty: its memory isn't measured
};

constexpr seconds kLimit(900);
constexpr int kEndpoints = 100;  // as many as the controller puts into a slice
constexpr int kChanges = 10;

/// Of all agents but the first, on which the pods are.
class Others {
 public:
  Others(const HollowCluster& cluster, int agents) {
    for (int i = 1; i < agents; ++i) all_.push_back(cluster.trafficOf(i));
  }
  [[nodiscard]] double bytes() const {
    return median([](const auto& one) { return static_cast<double>(one.bytes); });
  }
  [[nodiscard]] double requests() const {
    return median([](const auto& one) { return static_cast<double>(one.requests.size()); });
  }
  [[nodiscard]] double connections() const {
    return median([](const auto& one) { return static_cast<double>(one.connections); });
  }
  [[nodiscard]] double open() const {
    return median([](const auto& one) { return static_cast<double>(one.open); });
  }
  [[nodiscard]] std::uint64_t sum() const {
    std::uint64_t bytes = 0;
    for (const auto& one : all_) bytes += one.bytes;
    return bytes;
  }

 private:
  template <class Value>
  double median(const Value& value) const {
    std::vector<double> values;
    for (const auto& one : all_) values.push_back(value(one));
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
  }
  std::vector<HollowCluster::Traffic> all_;
};

int writesIn(const std::vector<std::string>& requests, std::size_t from) {
  return static_cast<int>(
      std::count_if(requests.begin() + static_cast<std::ptrdiff_t>(from), requests.end(),
                    [](const std::string& request) { return !request.starts_with("GET "); }));
}

/// What the program does may touch links and rules: none of the machine's.
Status leaveTheMachine() {
  if (::unshare(CLONE_NEWNET) != 0) {
    return fail(errnoError("measure the agent's memory: make a network namespace", errno));
  }
  MULTINET_TRY(auto socket, netlink::Socket::open());
  return socket.run(netlink::setUp({0, "lo"}));
}

Result<bench::Child> startProgram(const Arguments& arguments, HollowCluster& cluster, int node) {
  const std::string directory = cluster.directory().string();
  MULTINET_TRY(
      auto child,
      bench::Child::start(
          {arguments.program, "--node-name=" + HollowCluster::node(node),
           "--kubeconfig=" + cluster.kubeconfig(node), "--listen=" + directory + "/cri.sock",
           "--runtime-endpoint=unix://" + directory + "/no-runtime.sock",
           "--state-dir=" + directory + "/state", "--switch-netns=none", "--log-level=error"}));
  if (!HollowCluster::until(kLimit, [&] { return cluster.reports(node); })) {
    return fail(Code::DeadlineExceeded, "NotServing",
                "measure agents: " + arguments.program + " doesn't come to report");
  }
  return child;
}

Status measure(const Arguments& arguments, int nodes) {
  const int programs = arguments.program.empty() ? 0 : 1;
  const int agents = std::min(nodes - programs, arguments.agents);
  HollowCluster cluster({nodes, agents, arguments.networks, arguments.attachmentsPerNode,
                         arguments.podsPerNode, programs},
                        std::filesystem::temp_directory_path() /
                            ("multinet-bench-agents-" + std::to_string(::getpid())));
  const auto settled = [&]() -> Status {
    if (cluster.settle(kLimit)) return {};
    return fail(Code::DeadlineExceeded, "NotSettled", "measure agents: they don't come to rest");
  };
  if (!cluster.start(kLimit)) {
    return fail(Code::DeadlineExceeded, "NotServing", "measure agents: one doesn't come to serve");
  }
  MULTINET_CHECK(settled());
  const Others started(cluster, agents);
  std::optional<bench::Child> program;
  if (programs > 0) {
    MULTINET_TRY(auto child, startProgram(arguments, cluster, agents));
    program.emplace(std::move(child));
  }
  std::this_thread::sleep_for(seconds(arguments.idleSeconds));
  const Others idled(cluster, agents);
  nlohmann::json memory;
  if (program) {
    MULTINET_TRY(const bench::ChildMemory measured, program->memory());
    memory = {{"program_resident_kib", measured.resident},
              {"program_anonymous_kib", measured.anonymous},
              {"program_connections", cluster.trafficOf(agents).open},
              {"program_start_bytes", cluster.trafficOf(agents).bytes}};
    program.reset();
  }
  // The first pod of a network leases a block for those after it.
  MULTINET_CHECK(cluster.run(0, "first", HollowCluster::networkName(0)));
  MULTINET_CHECK(settled());
  const Others before(cluster, agents);
  const auto own = cluster.trafficOf(0).requests.size();
  MULTINET_CHECK(cluster.run(0, "second", HollowCluster::networkName(0)));
  MULTINET_CHECK(settled());
  const Others after(cluster, agents);
  const int writes = writesIn(cluster.trafficOf(0).requests, own);
  cluster.count(0, 2);
  MULTINET_CHECK(settled());
  const Others counted(cluster, agents);
  // A service of the network that one agent's node has joined.
  cluster.serve(0, kEndpoints);
  MULTINET_CHECK(settled());
  const auto joined = cluster.trafficOf(0).bytes;
  const Others served(cluster, agents);
  for (int i = 0; i < kChanges; ++i) {
    cluster.endpointChanges();
    MULTINET_CHECK(settled());
  }
  const auto told = cluster.trafficOf(0).bytes - joined;
  const Others changed(cluster, agents);
  nlohmann::json line = {
      {"nodes", nodes},
      {"agents", agents},
      {"networks", arguments.networks},
      {"start_connections", started.connections()},
      {"idle_connections", idled.open()},
      {"start_requests", started.requests()},
      {"start_bytes", started.bytes()},
      {"idle_seconds", arguments.idleSeconds},
      {"idle_requests", idled.requests() - started.requests()},
      {"idle_bytes", idled.bytes() - started.bytes()},
      {"pod_writes", writes},
      {"pod_bytes_to_all_others", after.sum() - before.sum()},
      {"count_bytes_to_each_other", (counted.bytes() - after.bytes())},
      {"endpoint_bytes_to_a_joined_node", told / kChanges},
      {"endpoint_bytes_to_all_others", changed.sum() - served.sum()},
  };
  line.update(memory.is_null() ? nlohmann::json::object() : memory);
  std::cout << line.dump() << std::endl;
  return {};
}

}  // namespace
}  // namespace multinet::agent

int main(int argc, char** argv) {
  using multinet::agent::Arguments;
  Arguments arguments;
  CLI::App app("Measures what agents cost the API server.");
  app.add_option("--nodes", arguments.nodes, "sizes of the cluster")->capture_default_str();
  app.add_option("--agents", arguments.agents, "that run, at most; two at least")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  app.add_option("--networks", arguments.networks, "VXLAN networks")->capture_default_str();
  app.add_option("--attachments-per-node", arguments.attachmentsPerNode, "")->capture_default_str();
  app.add_option("--pods-per-node", arguments.podsPerNode, "with networks")->capture_default_str();
  app.add_option("--idle-seconds", arguments.idleSeconds, "how long nothing happens")
      ->capture_default_str();
  app.add_option("--program", arguments.program,
                 "a multinet-nodeagent, whose memory is measured too; needs root");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.program.empty()) {
    if (const auto left = multinet::agent::leaveTheMachine(); !left) {
      std::cerr << left.error().message << "\n";
      return 1;
    }
  }
  multinet::kube::boundTransportThreads(2);
  for (const int nodes : arguments.nodes) {
    if (const auto done = multinet::agent::measure(arguments, nodes); !done) {
      std::cerr << done.error().message << "\n";
      return 1;
    }
  }
  return 0;
}
