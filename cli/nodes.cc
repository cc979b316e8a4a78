#include <array>

#include "cli/listing.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "cli/views.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

constexpr std::array kFlags = {kSelector, kOutput, kWatch};
constexpr std::array kExamples = {
    Example{"kubectl multinet nodes node-a -o wide", "what one node measured, each check"}};

Result<int> run(Call& call) {
  Listing listing{
      kinds::kNodeSets, "node", [](const json& items, WallTime) { return nodesTable(items); },
      nameOf,           {},     {}};
  if (call.arguments().has("selector")) {
    // The labels are the Nodes'.
    MULTINET_TRY(auto names, selected(call, kinds::kNodes, "", "/metadata/name"));
    listing.keep = [names = std::move(names)](const json& set) {
      return names.contains(nameOf(set));
    };
  }
  return runListing(call, listing);
}

}  // namespace

Verb nodesVerb() {
  return {.name = "nodes",
          .operands = "[NODE...]",
          .most = kAny,
          .names = Names::Nodes,
          .summary = "What each node measured of each network",
          .text =
              "A row for each node and network, and for what is amiss with a node whatever the "
              "network. With -o wide also the message and each check. "
              "Labels are the Nodes'. Other formats show the NodeNetworkSets.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
