// Any JSON as one policy or a list of them, of namespaces and of the cluster: what decodes never
// crashes evaluator or compiler, wrong as it may be, and both say the same.
#include <cstdint>
#include <cstdlib>

#include "lib/api/policy.h"
#include "lib/k8s/describe.h"
#include "lib/policy/program.h"
#include "lib/policy/test_worlds.h"

namespace {

using namespace multinet;          // NOLINT: a fuzzer's file
using namespace multinet::policy;  // NOLINT

void add(simdjson::dom::element element, World& world) {
  std::string_view kind;
  if (element["kind"].get(kind) == simdjson::SUCCESS &&
      kind == api::kClusterPodNetworkPolicyKind.kind) {
    auto policy = k8s::KindTraits<api::ClusterPodNetworkPolicy>::decode(element);
    if (policy) world.clusterPolicies.push_back(std::move(*policy));
    return;
  }
  auto policy = k8s::KindTraits<api::PodNetworkPolicy>::decode(element);
  if (!policy) return;
  (void)api::validate(*policy);
  world.policies.push_back(std::move(*policy));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(text).get(element) != simdjson::SUCCESS) return 0;
  using policy::testing::ip;
  World world;
  world.namespaces = {{"shop", {{"team", "ops"}}}, {"", {{"team", "ops"}}}};
  world.pods = {
      policy::testing::pod("shop", "db", {{"app", "db"}}, {ip("10.20.0.1")},
                           {{"pg", api::Protocol::TCP, 5432}}),
      policy::testing::pod("shop", "web", {{"app", "web"}}, {ip("fd00::1"), ip("10.20.0.2")}),
      policy::testing::pod("", "backup", {{"role", "backup"}}, {ip("10.20.9.1")})};
  simdjson::dom::array list;
  if (element.get(list) == simdjson::SUCCESS) {
    for (const auto one : list) add(one, world);
  } else {
    add(element, world);
  }
  const Network network{"blue", api::DefaultPolicy::SameNamespace};
  Numbers numbers;
  const Program program = compile(world, network, numbers);
  for (const char* source : {"10.20.0.1", "10.20.0.2", "10.20.9.1", "10.20.9.2", "fd00::1"}) {
    for (const char* destination : {"10.20.0.1", "10.20.0.2", "10.20.9.1", "192.0.2.1"}) {
      for (const std::uint16_t port :
           {std::uint16_t{0}, std::uint16_t{5432}, std::uint16_t{9000}}) {
        Packet packet{ip(source), ip(destination), api::Protocol::TCP, port};
        if (port == 0) packet.protocol.reset();
        const Pod* from = world.podAt("blue", packet.source);
        const Pod* to = world.podAt("blue", packet.destination);
        const bool passes = allows(program, packet, from == nullptr ? nullptr : &from->key,
                                   to == nullptr ? nullptr : &to->key);
        if (passes != evaluate(world, network, packet).allowed()) std::abort();
      }
    }
  }
  return 0;
}
