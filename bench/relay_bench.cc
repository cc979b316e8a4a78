// What a relay adds to a call, and what it costs: the agent's, a peer's, and one that only copies
// bytes, between a caller and a runtime, and the same calls without any. Prints lines of JSON:
//
//   {"call": "Version", "way": "agent", "round": 0, "milliseconds": 0.31}        one call at a time
//   {"call": "Version", "way": "agent", "round": 0, "calls": 480, "cpu": 0.06}   seconds of the
//   relay
//   {"way": "agent", "when": "afterwards", "rssKiB": 20480, "anonymousKiB": 6000, "highestKiB":
//   21000}
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <future>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "bench/child.h"
#include "bench/in_turn.h"
#include "bench/pump.h"
#include "bench/relay_runtime.h"
#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/server.h"
#include "test/support/cri/channel.h"

namespace multinet::bench {
namespace {

using Json = nlohmann::json;

constexpr int kWarmUp = 3;
/// So that what a way leaves behind has an end before the next one's processors are counted.
constexpr std::chrono::milliseconds kPause(2);
constexpr std::chrono::seconds kUntilServed(20);
constexpr std::chrono::milliseconds kAskAgain(20);

/// Reads one answer to its end.
class Reader final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Reader(grpc::GenericStub& stub, const char* method) : request_(agent::cri::bufferOf("")) {
    stub.PrepareBidiStreamingCall(&context_, method, {}, this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&reply_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    ++messages_;
    StartRead(&reply_);
  }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }
  /// OK only where all messages came.
  grpc::Status wait(int messages) {
    auto status = done_.get_future().get();
    if (!status.ok() || messages_ == messages) return status;
    return {grpc::StatusCode::DATA_LOSS, "an answer isn't whole"};
  }

 private:
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
  int messages_ = 0;
  std::promise<grpc::Status> done_;
};

/// One way to the runtime: itself, or through a relay.
struct Way {
  std::string name;
  std::unique_ptr<grpc::GenericStub> stub;
  std::optional<Child> relay;

  [[nodiscard]] Status call(const CallKind& kind) const {
    const auto status = Reader(*stub, kind.method).wait(kind.messages);
    if (status.ok()) return {};
    return fail(Code::Internal, "Failed",
                "call " + std::string(kind.name) + ", " + name + ": " + status.error_message());
  }
  [[nodiscard]] Status awaitServed() const {
    const auto until = Steady::now() + kUntilServed;
    while (true) {
      auto served = call(kCallKinds.front());
      if (served || Steady::now() > until) return served;
      std::this_thread::sleep_for(kAskAgain);
    }
  }
  /// As many callers at once as the kind says.
  [[nodiscard]] Status load(const CallKind& kind) const {
    std::vector<std::future<Status>> callers;
    for (int caller = 0; caller < kind.atOnce; ++caller) {
      callers.push_back(std::async(std::launch::async, [&]() -> Status {
        for (int i = 0; i < kind.calls; ++i) MULTINET_CHECK(call(kind));
        return {};
      }));
    }
    Status all;
    for (auto& caller : callers) {
      if (auto one = caller.get(); !one) all = std::move(one);
    }
    return all;
  }
};

struct Arguments {
  std::string agent;
  std::string proxy;
  std::string only;
  int rounds = 200;
  int loads = 20;
  int seconds = 15;
};

Result<std::vector<Way>> start(const Arguments& arguments, const std::string& directory) {
  const auto stubAt = [&](const std::string& name) {
    return std::make_unique<grpc::GenericStub>(
        support::criChannel("unix:" + directory + "/" + name));
  };
  std::vector<Way> ways;
  ways.push_back({"direct", stubAt("runtime"), std::nullopt});
  MULTINET_TRY(Child pump, Child::start({"/proc/self/exe", "pump", directory + "/pump",
                                         directory + "/runtime"}));
  ways.push_back({"pump", stubAt("pump"), std::move(pump)});
  if (!arguments.proxy.empty()) {
    MULTINET_TRY(Child proxy, Child::start({arguments.proxy, "-listen", directory + "/proxy",
                                            "-runtime", directory + "/runtime"}));
    ways.push_back({"proxy", stubAt("proxy"), std::move(proxy)});
  }
  MULTINET_TRY(Child agent, Child::start({arguments.agent, "--node-name=bench", "--safe-mode=on",
                                          "--log-level=error", "--listen=" + directory + "/agent",
                                          "--runtime-endpoint=unix:" + directory + "/runtime",
                                          "--state-dir=" + directory + "/state"}));
  ways.push_back({"agent", stubAt("agent"), std::move(agent)});
  for (const Way& way : ways) MULTINET_CHECK(way.awaitServed());
  return ways;
}

Status measureLatency(const std::vector<Way>& ways, const CallKind& kind,
                      const Arguments& arguments) {
  const Bounds bounds{arguments.rounds, std::chrono::seconds(arguments.seconds), kWarmUp};
  return inTurn(ways.size(), bounds, [&](std::size_t which, std::optional<int> round) -> Status {
    const auto begin = Steady::now();
    MULTINET_CHECK(ways[which].call(kind));
    const auto took = Steady::now() - begin;
    if (round) {
      std::cout << Json{{"call", kind.name},
                        {"way", ways[which].name},
                        {"round", *round},
                        {"milliseconds", milliseconds(took)}}
                << "\n";
    }
    return {};
  });
}

/// Of the relays only: what nobody stands between has nobody whose processors are counted.
Status measureLoad(const std::vector<Way>& ways, const CallKind& kind, const Arguments& arguments) {
  const Bounds bounds{arguments.loads, std::chrono::seconds(arguments.seconds), kWarmUp};
  return inTurn(ways.size(), bounds, [&](std::size_t which, std::optional<int> round) -> Status {
    const Way& way = ways[which];
    if (!way.relay) return {};
    std::this_thread::sleep_for(kPause);
    const auto before = way.relay->used();
    MULTINET_CHECK(way.load(kind));
    std::this_thread::sleep_for(kPause);
    const auto used = std::chrono::duration<double>(way.relay->used() - before).count();
    if (round) {
      std::cout << Json{{"call", kind.name},
                        {"way", way.name},
                        {"round", *round},
                        {"calls", kind.atOnce * kind.calls},
                        {"cpu", used}}
                << "\n";
    }
    return {};
  });
}

Status tellMemory(const std::vector<Way>& ways, const char* when) {
  for (const Way& way : ways) {
    if (!way.relay) continue;
    MULTINET_TRY(const ChildMemory memory, way.relay->memory());
    std::cout << Json{{"way", way.name},
                      {"when", when},
                      {"rssKiB", memory.resident},
                      {"anonymousKiB", memory.anonymous},
                      {"highestKiB", memory.highest}}
              << "\n";
  }
  return {};
}

Status measureAll(const Arguments& arguments, const std::string& directory) {
  MULTINET_TRY(const Child runtime,
               Child::start({"/proc/self/exe", "runtime", "unix:" + directory + "/runtime"}));
  MULTINET_TRY(const auto ways, start(arguments, directory));
  MULTINET_CHECK(tellMemory(ways, "idle"));
  for (const CallKind& kind : kCallKinds) {
    if (!arguments.only.empty() && arguments.only != kind.name) continue;
    MULTINET_CHECK(measureLatency(ways, kind, arguments));
    MULTINET_CHECK(measureLoad(ways, kind, arguments));
  }
  return tellMemory(ways, "afterwards");
}

int measure(const Arguments& arguments) {
  std::string directory = "/tmp/multinet-bench-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return 1;
  const auto measured = measureAll(arguments, directory);
  std::filesystem::remove_all(directory);
  std::cout.flush();
  if (measured) return 0;
  std::cerr << "multinet-bench-relay: " << measured.error().message << "\n";
  return 1;
}

}  // namespace
}  // namespace multinet::bench

int main(int argc, char** argv) {
  CLI::App app("What a relay adds to a call, and what it costs");
  app.require_subcommand(1);
  std::string endpoint;
  auto* runtime = app.add_subcommand("runtime", "The runtime that answers at once");
  runtime->add_option("endpoint", endpoint)->required();
  std::string listen;
  auto* pump = app.add_subcommand("pump", "Copies bytes between sockets: what no relay is below");
  pump->add_option("listen", listen)->required();
  pump->add_option("runtime", endpoint)->required();
  multinet::bench::Arguments arguments;
  auto* measure = app.add_subcommand("measure", "Starts everything and measures it");
  measure->add_option("agent", arguments.agent, "multinet-nodeagent")
      ->required()
      ->check(CLI::ExistingFile);
  measure->add_option("--proxy", arguments.proxy, "The peer: grpcproxy")->check(CLI::ExistingFile);
  measure->add_option("--only", arguments.only, "One kind of call");
  measure->add_option("--rounds", arguments.rounds, "One call at a time, of each kind and way")
      ->capture_default_str();
  measure->add_option("--loads", arguments.loads, "Rounds of many callers")->capture_default_str();
  measure->add_option("--seconds", arguments.seconds, "Bound of each part")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (*runtime) {
    multinet::bench::RelayRuntime(endpoint).wait();
    return 0;
  }
  if (*pump) return multinet::bench::pump(listen, endpoint) ? 0 : 1;
  _exit(multinet::bench::measure(arguments));  // gRPC's own end may wait
}
