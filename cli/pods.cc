#include <array>
#include <set>

#include "cli/listing.h"
#include "cli/objects.h"
#include "cli/verb.h"
#include "cli/views.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

constexpr std::array kFlags = {kNamespace, kAllNamespaces, kSelector, kOutput, kWatch};
constexpr std::array kExamples = {
    Example{"kubectl multinet pods -A", "interfaces of all pods"},
    Example{"kubectl multinet pods -l app=web -o wide", "with MAC, MTU, attachment and sandbox"}};

Result<int> run(Call& call) {
  MULTINET_TRY(const auto nameSpace, call.nameSpace());
  Listing listing{kinds::kSets,        "pod with networks",
                  podsTable,           [](const json& set) { return text(set, "/pod/name"); },
                  {nameSpace, "", ""}, {}};
  if (call.arguments().has("selector")) {
    // The labels are the pods'.
    MULTINET_TRY(auto uids, selected(call, kinds::kPods, nameSpace, "/metadata/uid"));
    listing.keep = [uids = std::move(uids)](const json& set) {
      return uids.contains(text(set, "/pod/uid"));
    };
  }
  return runListing(call, listing);
}

}  // namespace

Verb podsVerb() {
  return {.name = "pods",
          .operands = "[POD...]",
          .most = kAny,
          .names = Names::Pods,
          .summary = "Interfaces of pods",
          .text =
              "A row for each interface: network, addresses, readiness, node. With -o wide also "
              "MAC, MTU, attachment and sandbox. Labels are the pods'. Other formats show the "
              "PodInterfaceSets.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
