#include "cli/verb.h"

namespace multinet::cli {
namespace {

constexpr auto kVersion = "0.1.0";

Result<int> run(Call& call) {
  call.out() << "kubectl-multinet " << kVersion << "\n";
  return kDone;
}

}  // namespace

Verb versionVerb() {
  return {.name = "version", .summary = "The version", .run = run};
}

}  // namespace multinet::cli
