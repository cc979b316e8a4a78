// What a change of a service's endpoints costs the controller: from what it sees of pods to the
// encoded slices that it would write. Prints JSON: for so many endpoints of one service the
// milliseconds where none, one and a hundred change; for many services the time of a cold start
// and what the process holds then.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "controller/plan/planner.h"
#include "controller/reconcilers.h"
#include "lib/api/names.h"
#include "lib/api/service.h"

namespace multinet::controller {
namespace {

constexpr int kRounds = 40;
constexpr Moment kNow{WallTime(std::chrono::hours(1000)), BootTime(std::chrono::hours(1))};

struct Size {
  int services = 1;
  int endpoints = 5000;  ///< of each
};

class Bench {
 public:
  explicit Bench(const Size& size) : size_(size) {
    Namespace home;
    home.metadata.name = "default";
    put(home);
    Network network;
    network.metadata.name = "blue";
    network.spec.type = api::NetworkType::Vxlan;
    network.spec.vxlan = api::VxlanSpec{1, {}, {}};
    network.spec.ipam.subnets = {{"10.0.0.0/8", "10.0.0.1", {}, 26}};
    network.spec.access.namespaces.from = api::AccessFrom::All;
    network.status.conditions.items = {
        {"Ready", k8s::ConditionStatus::True, 0, std::nullopt, "Accepted", ""}};
    put(network);
    for (int s = 0; s < size.services; ++s) {
      const auto one = service(s);
      kept_[{std::string(api::kPodNetworkServiceKind.plural), keyOf(one)}] =
          k8s::KindTraits<api::PodNetworkService>::encode(one);
      put(NetworkService(one));
      for (int e = 0; e < size.endpoints; ++e) put(s, e, true);
    }
  }

  /// One endpoint, as its pod and its node tell of it.
  void put(int service, int endpoint, bool isReady) {
    put(pod(service, endpoint, isReady));
    if (isReady) put(set(service, endpoint));
  }
  /// A change that no slice shows.
  void touch(int service, int endpoint) {
    auto changed = pod(service, endpoint, true);
    changed.metadata.resourceVersion = "touched";
    put(changed);
  }

  /// What stands for the API server is no memory of the controller's.
  void forgetServer() { kept_.clear(); }

  struct Done {
    double milliseconds = 0;
    std::size_t writes = 0;
    std::size_t bytes = 0;
  };
  /// Until nothing is left to write; what the server would do with it isn't counted.
  Done converge() {
    Done done;
    for (;;) {
      const auto begin = std::chrono::steady_clock::now();
      planner_.note(world_, world_.changes());
      const auto planned = planner_.plan(world_, kNow);
      for (const auto& one : planned) done.bytes += one.write.body.dump().size();
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - begin;
      done.milliseconds += took.count();
      std::size_t slices = 0;
      for (const auto& one : planned) {
        planner_.ended(one.origin);
        slices += apply(one.write) ? 1 : 0;
      }
      done.writes += slices;
      if (planned.empty()) return done;
    }
  }

 private:
  template <class T>
  void put(T object) {
    if (object.metadata.uid.empty()) object.metadata.uid = "uid-" + object.metadata.name;
    const auto key = keyOf(object);
    world_.put<T>(key, std::make_shared<const T>(std::move(object)), kNow.boot);
  }

  /// As the server would; true for a slice.
  bool apply(const Write& write) {
    auto& kept = kept_[{std::string(write.kind.plural), write.key}];
    if (write.verb == Verb::Create) {
      kept = write.body;
      kept["metadata"]["uid"] = "uid-" + write.key.name;
    } else {
      kept.merge_patch(write.body);
    }
    kept["metadata"]["resourceVersion"] = std::to_string(++version_);
    const std::string text = kept.dump();
    if (write.kind.plural == k8s::kEndpointSliceKind.plural) {
      put(*k8s::decodeText<Slice>(text));
      return true;
    }
    if (write.kind.plural == k8s::kServiceKind.plural) put(*k8s::decodeText<Service>(text));
    if (write.kind.plural == api::kPodNetworkServiceKind.plural) {
      put(*k8s::decodeText<NetworkService>(text));
    }
    return false;
  }

  static api::PodNetworkService service(int s) {
    api::PodNetworkService made;
    made.metadata.nameSpace = "default";
    made.metadata.name = "s" + std::to_string(s);
    made.metadata.uid = "uid-" + made.metadata.name;
    made.spec.podNetworkName = "blue";
    made.spec.selector = {{"app", "s" + std::to_string(s)}};
    made.spec.clusterIP = "None";
    made.spec.ipFamilies = {api::AddressFamily::IPv4};
    made.spec.ports.push_back({"", api::Protocol::TCP, 80, {}, ""});
    return made;
  }
  static std::string nameOf(int s, int e) {
    return "s" + std::to_string(s) + "-6d4cf56db6-" + std::to_string(e);
  }
  static Pod pod(int s, int e, bool isReady) {
    Pod made;
    made.metadata.nameSpace = "default";
    made.metadata.name = nameOf(s, e);
    made.metadata.labels = {{"app", "s" + std::to_string(s)}};
    made.metadata.annotations[api::kNetworksAnnotation] = "blue";
    made.spec.nodeName = "node-" + std::to_string(e % 100);
    made.status.phase = "Running";
    made.status.conditions.items = {
        {"Ready", isReady ? k8s::ConditionStatus::True : k8s::ConditionStatus::False, 0,
         std::nullopt, "", ""}};
    return made;
  }
  InterfaceSet set(int s, int e) const {
    InterfaceSet made;
    made.metadata.nameSpace = "default";
    made.metadata.name = nameOf(s, e) + "-set";
    made.pod = {nameOf(s, e), "uid-" + nameOf(s, e)};
    made.nodeName = "node-" + std::to_string(e % 100);
    auto& interface = made.interfaces.emplace_back();
    interface.name = "net1";
    interface.podNetworkName = "blue";
    interface.podNetworkUID = "uid-blue";
    const int number = (s * size_.endpoints) + e + 256;
    interface.ips = {{"10." + std::to_string(number >> 16) + "." +
                          std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255) +
                          "/8",
                      "", api::AddressFamily::IPv4}};
    interface.conditions.items = {{"Ready", k8s::ConditionStatus::True, 0, std::nullopt, "", ""}};
    return made;
  }

  Size size_;
  World world_;
  Planner planner_{allReconcilers()};
  std::map<std::pair<std::string, k8s::ObjectKey>, nlohmann::json> kept_;
  std::uint64_t version_ = 0;
};

long residentKiB() {
  ::malloc_trim(0);
  std::ifstream lines("/proc/self/status");
  std::string word;
  while (lines >> word) {
    long value = 0;
    if (word == "VmRSS:" && lines >> value) return value;
  }
  return 0;
}

nlohmann::json toJson(const std::string& what, int round, const Bench::Done& done) {
  return {{"what", what},          {"case", "multinet"},
          {"round", round},        {"milliseconds", done.milliseconds},
          {"writes", done.writes}, {"bytes", done.bytes}};
}

void measureChanges(const Size& size) {
  Bench bench(size);
  bench.converge();
  for (int round = 0; round < kRounds; ++round) {
    bench.touch(0, round);
    std::cout << toJson("none", round, bench.converge()).dump() << "\n";
    for (const int changed : {1, 100}) {
      const bool isReady = round % 2 == 1;
      // Spread as a roll-out's are.
      for (int i = 0; i < changed; ++i) {
        bench.put(0, changed == 1 ? 7 : i * (size.endpoints / changed), isReady);
      }
      const auto done = bench.converge();
      std::cout << toJson(changed == 1 ? "one" : "hundred", round, done).dump() << "\n";
    }
  }
}

void measureStart(const Size& size) {
  const long before = residentKiB();
  Bench bench(size);
  const auto done = bench.converge();
  bench.forgetServer();
  auto line = toJson("cold", 0, done);
  line["kib"] = residentKiB() - before;
  std::cout << line.dump() << "\n";
}

}  // namespace
}  // namespace multinet::controller

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "cold") {
    multinet::controller::measureStart({std::stoi(words[1]), std::stoi(words[2])});
    return 0;
  }
  if (words.size() == 2 && words[0] == "change") {
    multinet::controller::measureChanges({1, std::stoi(words[1])});
    return 0;
  }
  std::cerr << "usage: multinet-bench-endpoints change ENDPOINTS | cold SERVICES ENDPOINTS\n";
  return 2;
}
