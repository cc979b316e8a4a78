// What one change costs the controller at growing sizes: a pod with a network comes, is attached,
// and goes; each is noted, looked at, and its writes are made and dropped. Prints JSON: the median
// of a change at each size, and the exponent that fits them (0: the size doesn't matter).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "controller/plan/planner.h"
#include "controller/reconcilers.h"
#include "lib/api/names.h"

namespace multinet::controller {
namespace {

struct Size {
  int networks = 0;
  int attachments = 0;
  int pods = 0;
};

class Bench {
 public:
  explicit Bench(const Size& size) : size_(size) {
    for (int i = 0; i < kNodes; ++i) {
      Node node;
      node.metadata.name = "node-" + std::to_string(i);
      put(node);
    }
    for (int i = 0; i < size.networks; ++i) put(network(i));
    for (int i = 0; i < size.attachments; ++i) {
      Attachment attachment;
      attachment.metadata.nameSpace = "default";
      attachment.metadata.name = "a" + std::to_string(i);
      attachment.spec.podNetworkName = "n" + std::to_string(i % size.networks);
      put(attachment);
    }
    for (int i = 0; i < size.pods; ++i) {
      put(pod(i));
      put(set(i));
    }
    work();
  }

  /// A pod comes, is attached, goes: three changes.
  void cycle(int i) {
    const int number = size_.pods + i;
    put(pod(number));
    work();
    put(set(number));
    work();
    world_.put<InterfaceSet>(keyOf(set(number)), nullptr, kNow.boot);
    world_.put<Pod>(keyOf(pod(number)), nullptr, kNow.boot);
    work();
  }

 private:
  static constexpr int kNodes = 100;
  static constexpr Moment kNow{WallTime(std::chrono::hours(1000)), BootTime(std::chrono::hours(1))};

  template <class T>
  void put(T object) {
    object.metadata.uid = "0d7d7a5e-0000-4000-8000-" + object.metadata.name;
    const auto key = keyOf(object);
    world_.put<T>(key, std::make_shared<const T>(std::move(object)), kNow.boot);
  }
  void work() {
    planner_.note(world_, world_.changes());
    for (const auto& one : planner_.plan(world_, kNow)) planner_.ended(one.origin);
  }
  static Network network(int i) {
    Network made;
    made.metadata.name = "n" + std::to_string(i);
    made.spec.type = api::NetworkType::Vxlan;
    made.spec.vxlan = api::VxlanSpec{i + 1, {}, {}};
    made.spec.ipam.subnets = {{"10.20.0.0/16", "10.20.0.1", {}, 26}};
    made.spec.access.namespaces.from = api::AccessFrom::All;
    return made;
  }
  Pod pod(int i) const {
    Pod made;
    made.metadata.nameSpace = "default";
    made.metadata.name = "p" + std::to_string(i);
    made.metadata.annotations[api::kNetworksAnnotation] = "n" + std::to_string(i % size_.networks);
    made.spec.nodeName = "node-" + std::to_string(i % kNodes);
    made.status.phase = "Running";
    return made;
  }
  InterfaceSet set(int i) const {
    const Pod of = pod(i);
    InterfaceSet made;
    made.metadata.nameSpace = "default";
    made.metadata.name = of.metadata.name + "-set";
    made.pod = {of.metadata.name, "0d7d7a5e-0000-4000-8000-" + of.metadata.name};
    made.nodeName = of.spec.nodeName;
    made.interfaces.emplace_back().podNetworkName = "n" + std::to_string(i % size_.networks);
    return made;
  }

  Size size_;
  World world_;
  Planner planner_{allReconcilers()};
};

/// Of one change.
double medianMicroseconds(const Size& size) {
  constexpr int kCycles = 2000;
  Bench bench(size);
  std::vector<double> times;
  for (int i = 0; i < kCycles; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    bench.cycle(i);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    times.push_back(took.count() / 3);
  }
  std::ranges::nth_element(times, times.begin() + kCycles / 2);
  return times[kCycles / 2];
}

/// Slope of the line through the logarithms (least squares).
double exponent(const std::vector<double>& sizes, const std::vector<double>& costs) {
  double x = 0;
  double y = 0;
  double xx = 0;
  double xy = 0;
  const auto count = static_cast<double>(sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const double a = std::log(sizes[i]);
    const double b = std::log(costs[i]);
    x += a;
    y += b;
    xx += a * a;
    xy += a * b;
  }
  return (count * xy - x * y) / (count * xx - x * x);
}

int run() {
  nlohmann::json out;
  std::vector<double> sizes;
  std::vector<double> costs;
  for (const Size& size : {Size{10, 10, 100}, Size{100, 100, 1000}, Size{1000, 1000, 10000},
                           Size{1000, 10000, 100000}}) {
    costs.push_back(medianMicroseconds(size));
    sizes.push_back(size.pods);
    out["sizes"].push_back({{"networks", size.networks},
                            {"attachments", size.attachments},
                            {"pods", size.pods},
                            {"microseconds_a_change", costs.back()}});
  }
  out["exponent"] = exponent(sizes, costs);
  std::cout << out.dump(2) << "\n";
  return 0;
}

}  // namespace
}  // namespace multinet::controller

int main() {
  return multinet::controller::run();
}
