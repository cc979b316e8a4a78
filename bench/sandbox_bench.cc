// Makes and ends pod sandboxes through several sockets in turn and prints how long each call to
// RunPodSandbox took. tools/bench says on standard input what to call:
//
//   {"rounds": 100, "seconds": 90, "warmUp": 2, "pauseMilliseconds": 50,
//    "relay": {"listen": "/run/relay.sock", "runtime": "unix:///run/containerd/containerd.sock"},
//    "floors": [{"listen": "/run/floor.sock", "runtime": "unix:///run/relay.sock",
//                "commits": "/var/lib/floor.db", "links": ["veth"], "pods": 0}],
//    "cases": [{"name": "one", "endpoint": "unix:///...", "requests": [{RunPodSandboxRequest}]}]}
//
// and gets a line for each call: {"case": "one", "round": 0, "milliseconds": 108.1,
// "behindRelay": 106.9}. With `relay` the program serves it; what passes there is timed too. With
// `floors` it serves these as well (bench/floor.h). With
// `"storm": true` all requests of a case are sent at once, and a line tells of all of them.
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "bench/cri_caller.h"
#include "bench/floor.h"
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

struct Times {
  Steady::duration run{};
  Steady::duration stop{};
};

/// One pod on one way to the runtime.
class Pod {
 public:
  static Result<Pod> of(CriCaller& caller, const Json& request) {
    Pod made(caller);
    const auto parsed = google::protobuf::util::JsonStringToMessage(request.dump(), &made.request_);
    if (parsed.ok()) return made;
    return fail(Code::InvalidArgument, "Request", "read request: " + std::string(parsed.message()));
  }

  /// Makes its next sandbox.
  Result<Steady::duration> run() {
    const auto bytes = request_.SerializeAsString();
    auto& metadata = *request_.mutable_config()->mutable_metadata();
    metadata.set_attempt(metadata.attempt() + 1);
    const auto begin = Steady::now();
    MULTINET_TRY(const auto reply, caller_->call("RunPodSandbox", bytes));
    const auto took = Steady::now() - begin;
    subset::RunPodSandboxResponse made;
    if (!made.ParseFromString(reply)) {
      return fail(Code::Internal, "Malformed", "read reply: no valid message");
    }
    sandbox_ = made.pod_sandbox_id();
    return took;
  }
  Result<Steady::duration> stop() {
    subset::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(sandbox_);
    const auto begin = Steady::now();
    MULTINET_CHECK(caller_->call("StopPodSandbox", stop.SerializeAsString()));
    return Steady::now() - begin;
  }
  Result<Steady::duration> remove() {
    subset::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(sandbox_);
    const auto begin = Steady::now();
    MULTINET_CHECK(caller_->call("RemovePodSandbox", remove.SerializeAsString()));
    return Steady::now() - begin;
  }
  /// A sandbox from its making to its removal.
  Result<Times> cycle() {
    Times times;
    MULTINET_TRY(times.run, run());
    MULTINET_TRY(times.stop, stop());
    MULTINET_CHECK(remove());
    return times;
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
  explicit Pod(CriCaller& caller) : caller_(&caller) {}

  CriCaller* caller_;
  RunPodSandboxRequest request_;
  std::string sandbox_;
};

/// One way to the runtime, and the pods that are made on it.
struct Case {
  std::string name;
  std::unique_ptr<CriCaller> caller;
  std::vector<Pod> pods;
  Floor* floor = nullptr;  ///< where it goes through one

  static Result<Case> of(const Json& json) {
    Case made{json.at("name"), std::make_unique<CriCaller>(json.at("endpoint")), {}};
    for (const Json& request : json.at("requests")) {
      MULTINET_TRY(Pod pod, Pod::of(*made.caller, request));
      made.pods.push_back(std::move(pod));
    }
    return made;
  }
};

/// What all pods of a case did at once.
struct Storm {
  Steady::duration wall{};
  std::size_t failed = 0;
};

Storm atOnce(std::vector<Pod>& pods, Result<Steady::duration> (Pod::*act)()) {
  Storm storm;
  std::vector<std::future<Result<Steady::duration>>> calls;
  const auto begin = Steady::now();
  for (Pod& pod : pods) {
    calls.push_back(std::async(std::launch::async, [&pod, act] { return (pod.*act)(); }));
  }
  for (auto& call : calls) {
    const auto took = call.get();
    if (!took && storm.failed++ == 0) {
      std::cerr << "the first that failed: " << took.error().message << "\n";
    }
  }
  storm.wall = Steady::now() - begin;
  return storm;
}

/// All pods of a case at once: made, stopped, removed.
Status measureStorm(Case& storming, std::optional<int> round) {
  const Storm made = atOnce(storming.pods, &Pod::run);
  const Storm stopped = atOnce(storming.pods, &Pod::stop);
  const Storm removed = atOnce(storming.pods, &Pod::remove);
  if (storming.floor != nullptr) MULTINET_CHECK(storming.floor->refill());
  if (!round) return {};
  std::cout << Json{{"case", storming.name},
                    {"round", *round},
                    {"milliseconds", milliseconds(made.wall)},
                    {"stopMilliseconds", milliseconds(stopped.wall)},
                    {"failed", made.failed + stopped.failed + removed.failed}}
                   .dump()
            << "\n";
  return {};
}

Status measureOne(Case& one, std::optional<int> round, const TimedRelay* relay) {
  auto took = one.pods.front().cycle();
  if (!took) return fail(std::move(took).error().within("case " + one.name));
  if (!round) return {};
  Json line = {{"case", one.name},
               {"round", *round},
               {"milliseconds", milliseconds(took->run)},
               {"stopMilliseconds", milliseconds(took->stop)}};
  if (relay != nullptr) {
    line["behindRelay"] = milliseconds(relay->lastRun());
    line["stopBehindRelay"] = milliseconds(relay->lastStop());
  }
  std::cout << line.dump() << "\n";
  return {};
}

Result<std::unique_ptr<Floor>> floorOf(const Json& json) {
  std::vector<LinkKind> links;
  for (const Json& link : json.at("links")) {
    links.push_back(link == "veth" ? LinkKind::Veth : LinkKind::Macvlan);
  }
  return Floor::start({json.at("listen"), json.at("runtime"), json.value("commits", ""), links,
                       json.value("pods", 0U)});
}

Status measureAll(const Json& wanted) {
  std::unique_ptr<TimedRelay> relay;
  if (const auto found = wanted.find("relay"); found != wanted.end()) {
    MULTINET_TRY(relay, TimedRelay::start(found->at("listen"), found->at("runtime")));
  }
  std::map<std::string, std::unique_ptr<Floor>> floors;  // by where they are called
  for (const Json& json : wanted.value("floors", Json::array())) {
    MULTINET_TRY(auto floor, floorOf(json));
    floors.emplace("unix://" + json.at("listen").get<std::string>(), std::move(floor));
  }
  std::vector<Case> cases;
  for (const Json& json : wanted.at("cases")) {
    MULTINET_TRY(Case made, Case::of(json));
    const auto floor = floors.find(json.at("endpoint").get<std::string>());
    if (floor != floors.end()) made.floor = floor->second.get();
    cases.push_back(std::move(made));
    MULTINET_CHECK(cases.back().pods.front().waitUntilServed());
    if (cases.back().floor != nullptr) MULTINET_CHECK(cases.back().floor->refill());
  }
  const bool storms = wanted.value("storm", false);
  const std::chrono::milliseconds pause(wanted.at("pauseMilliseconds").get<int>());
  const Bounds bounds{wanted.at("rounds"), std::chrono::seconds(wanted.at("seconds").get<int>()),
                      wanted.at("warmUp")};
  return inTurn(cases.size(), bounds, [&](std::size_t which, std::optional<int> round) -> Status {
    MULTINET_CHECK(storms ? measureStorm(cases[which], round)
                          : measureOne(cases[which], round, relay.get()));
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
