#include <algorithm>
#include <array>

#include "cli/verb.h"

namespace multinet::cli {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> kVerbs = {
      networksVerb(),  podsVerb(),       servicesVerb(), nodesVerb(),    ipamVerb(),
      explainVerb(),   policyVerb(),     traceVerb(),    topologyVerb(), drainVerb(),
      uninstallVerb(), completionVerb(), manVerb(),      helpVerb(),     versionVerb()};
  return kVerbs;
}

const Verb* findVerb(std::string_view name) {
  const auto found = std::ranges::find(verbs(), name, &Verb::name);
  return found == verbs().end() ? nullptr : &*found;
}

std::span<const Flag> commonFlags() {
  static constexpr std::array kFlags = {
      Flag{"kubeconfig", 0, "FILE", "Kubeconfig; without it as kubectl finds it", Names::Files},
      Flag{"context", 0, "CONTEXT", "Context of the kubeconfig"},
      Flag{"request-timeout", 0, "TIME", "Longest wait for one answer, such as 10s or 1m [15s]"},
      Flag{"as", 0, "USER", "Ask as this user"},
      Flag{"as-group", 0, "GROUP", "And as a member of this group"},
      Flag{"help", 'h', "", "Help on the verb"}};
  return kFlags;
}

}  // namespace multinet::cli
