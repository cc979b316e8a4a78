#include <array>

#include "cli/listing.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "cli/views.h"

namespace multinet::cli {
namespace {

constexpr std::array kFlags = {kOutput, kSelector, kWatch};
constexpr std::array kExamples = {
    Example{"kubectl multinet networks", "all networks, and whether they can be used"},
    Example{"kubectl multinet networks blue -o wide", "one, with the message and who holds it"}};

Result<int> run(Call& call) {
  return runListing(call, {kinds::kNetworks,
                           "podnetwork",
                           networksTable,
                           nameOf,
                           {"", call.arguments().value("selector"), ""},
                           {}});
}

}  // namespace

Verb networksVerb() {
  return {.name = "networks",
          .operands = "[NETWORK...]",
          .most = kAny,
          .names = Names::Networks,
          .summary = "Networks, whether they can be used, and why not",
          .text =
              "A row for each PodNetwork: type, Ready with its reason, VNI, nodes ready of nodes "
              "wanted, pods, subnets. With -o wide also the message, and who holds a network "
              "that is being deleted.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
