#include <array>

#include "cli/listing.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "cli/views.h"

namespace multinet::cli {
namespace {

constexpr std::array kFlags = {kNamespace, kAllNamespaces, kSelector, kOutput, kWatch};
constexpr std::array kExamples = {
    Example{"kubectl multinet services -A", "services on networks, and whether they work"},
    Example{"kubectl multinet services web -o wide", "one, with the messages and its selector"}};

Result<int> run(Call& call) {
  MULTINET_TRY(const auto nameSpace, call.nameSpace());
  return runListing(call, {kinds::kServices,
                           "podnetworkservice",
                           servicesTable,
                           nameOf,
                           {nameSpace, call.arguments().value("selector"), ""},
                           {}});
}

}  // namespace

Verb servicesVerb() {
  return {
      .name = "services",
      .operands = "[SERVICE...]",
      .most = kAny,
      .names = Names::Services,
      .summary = "Services on networks, whether they work, and why not",
      .text =
          "A row for each PodNetworkService: network, type, cluster IP, where its load balancer "
          "is reached, ports (with their node port), endpoints that are ready, serve and "
          "terminate (each family for itself), Ready with its reason. With -o wide also the "
          "messages and the selector.",
      .flags = kFlags,
      .examples = kExamples,
      .run = run};
}

}  // namespace multinet::cli
