// Makes and ends pod sandboxes through several sockets in turn and prints how long each call to
// RunPodSandbox took. tools/bench says on standard input what to call:
//
//   {"rounds": 100, "seconds": 90, "warmUp": 2, "pauseMilliseconds": 50,
//    "relay": {"listen": "/run/relay.sock", "runtime": "unix:///run/containerd/containerd.sock"},
//    "cases": [{"name": "one", "endpoint": "unix:///...", "request": {RunPodSandboxRequest}}]}
//
// and gets a line for each call: {"case": "one", "round": 0, "milliseconds": 108.1,
// "behindRelay": 106.9}. With `relay` the program serves it; what passes there is timed too.
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "bench/cri_caller.h"
#include "bench/in_turn.h"
#include "bench/run_pod_sandbox.pb.h"
#include "bench/timed_relay.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::bench {
namespace {

namespace subset = multinet::cri::subset;
using Json = nlohmann::json;

/// How long networks may take to come up, and an agent to compare its journal with the runtime.
constexpr std::chrono::seconds kUntilServed(60);
constexpr std::chrono::milliseconds kAskAgain(200);

/// One pod on one way to the runtime.
class Case {
 public:
  static Result<Case> of(const Json& json) {
    Case made(json.at("name"), json.at("endpoint"));
    const auto parsed =
        google::protobuf::util::JsonStringToMessage(json.at("request").dump(), &made.request_);
    if (parsed.ok()) return made;
    return fail(Code::InvalidArgument, "Request",
                "read request of case " + made.name_ + ": " + std::string(parsed.message()));
  }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// A sandbox from its making to its removal; only the making is timed.
  Result<Steady::duration> cycle() {
    const auto bytes = request_.SerializeAsString();
    auto& metadata = *request_.mutable_config()->mutable_metadata();
    metadata.set_attempt(metadata.attempt() + 1);
    const auto begin = Steady::now();
    auto reply = caller_->call("RunPodSandbox", bytes);
    const auto took = Steady::now() - begin;
    if (!reply) return fail(reply.error().within("case " + name_));
    subset::RunPodSandboxResponse made;
    if (!made.ParseFromString(*reply)) {
      return fail(Code::Internal, "Malformed", "case " + name_ + ": read reply: no valid message");
    }
    subset::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(made.pod_sandbox_id());
    MULTINET_CHECK(caller_->call("StopPodSandbox", stop.SerializeAsString()));
    subset::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(made.pod_sandbox_id());
    MULTINET_CHECK(caller_->call("RemovePodSandbox", remove.SerializeAsString()));
    return took;
  }

  /// Until it works once.
  Status waitUntilServed() {
    const auto until = Steady::now() + kUntilServed;
    while (true) {
      const auto took = cycle();
      if (took) return {};
      if (Steady::now() > until) return fail(took.error());
      std::this_thread::sleep_for(kAskAgain);
    }
  }

 private:
  Case(std::string name, const std::string& endpoint)
      : name_(std::move(name)), caller_(std::make_unique<CriCaller>(endpoint)) {}

  std::string name_;
  std::unique_ptr<CriCaller> caller_;
  RunPodSandboxRequest request_;
};

Status measureAll(const Json& wanted) {
  std::unique_ptr<TimedRelay> relay;
  if (const auto found = wanted.find("relay"); found != wanted.end()) {
    MULTINET_TRY(relay, TimedRelay::start(found->at("listen"), found->at("runtime")));
  }
  std::vector<Case> cases;
  for (const Json& json : wanted.at("cases")) {
    MULTINET_TRY(Case made, Case::of(json));
    cases.push_back(std::move(made));
    MULTINET_CHECK(cases.back().waitUntilServed());
  }
  const std::chrono::milliseconds pause(wanted.at("pauseMilliseconds").get<int>());
  const Bounds bounds{wanted.at("rounds"), std::chrono::seconds(wanted.at("seconds").get<int>()),
                      wanted.at("warmUp")};
  return inTurn(cases.size(), bounds, [&](std::size_t which, std::optional<int> round) -> Status {
    MULTINET_TRY(const auto took, cases[which].cycle());
    if (round) {
      Json line = {
          {"case", cases[which].name()}, {"round", *round}, {"milliseconds", milliseconds(took)}};
      if (relay) line["behindRelay"] = milliseconds(relay->last());
      std::cout << line.dump() << "\n";
    }
    // What follows a call without anybody waiting (reports to the API, a dying namespace) ends
    // before the next one.
    std::this_thread::sleep_for(pause);
    return {};
  });
}

int run() {
  const Json wanted = Json::parse(std::cin, nullptr, false);
  if (wanted.is_discarded()) {
    std::cerr << "multinet-bench-sandbox: read standard input: it is no JSON\n";
    return 2;
  }
  const Status measured = measureAll(wanted);
  if (measured) return 0;
  std::cerr << "multinet-bench-sandbox: " << measured.error().message << "\n";
  return 1;
}

}  // namespace
}  // namespace multinet::bench

int main() {
  try {
    return multinet::bench::run();
  } catch (const nlohmann::json::exception& error) {
    std::cerr << "multinet-bench-sandbox: read standard input: " << error.what() << "\n";
    return 2;
  }
}
