#include <array>

#include "cli/explain.h"
#include "cli/policy.h"
#include "cli/verb.h"
#include "lib/api/policy.h"
#include "lib/api/spelling.h"
#include "lib/base/fd.h"

namespace multinet::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"filename", 'f', "FILE", "Manifest with PodNetworkPolicies; - for standard input",
         Names::Files},
    Flag{"network", 0, "NETWORK", "On which network", Names::Networks},
    Flag{"from", 0, "POD", "Of explain: who connects, as NAMESPACE/POD, POD or an address"},
    Flag{"to", 0, "POD", "Of explain: to whom"},
    Flag{"port", 0, "PORT", "Port of the receiver"},
    Flag{"protocol", 0, "PROTOCOL", "TCP, UDP, SCTP or ICMP [TCP]", Names::Words,
         "TCP UDP SCTP ICMP"},
    Flag{"default-policy", 0, "POLICY",
         "What holds for a direction that no policy selects: Allow, SameNamespace or Deny [Allow]",
         Names::Words, "Allow SameNamespace Deny"},
    kNamespace};
constexpr std::array kExamples = {
    Example{"kubectl multinet policy explain -f policies.yaml --network blue --from shop/web "
            "--to shop/db --port 5432",
            "may it connect, and which rule says so"},
    Example{"kubectl multinet policy table -f policies.yaml --network blue --port 80 -n shop",
            "who reaches whom"}};

struct Seen {
  policy::World world;
  std::vector<api::PodNetwork> networks;
};

template <class T>
Result<std::vector<T>> listOf(kube::RawClient& client) {
  std::vector<T> out;
  MULTINET_CHECK(kube::listAll(client, kube::kindOf<T>(), {}, {},
                               [&](const simdjson::dom::element& object) -> Status {
                                 MULTINET_TRY(auto one, k8s::KindTraits<T>::decode(object));
                                 out.push_back(std::move(one));
                                 return {};
                               }));
  return out;
}

/// Pods with their addresses, namespaces and networks, as they are now.
Result<Seen> look(Call& call) {
  MULTINET_TRY(auto* client, call.client());
  Seen seen;
  MULTINET_TRY(seen.networks, listOf<api::PodNetwork>(*client));
  MULTINET_TRY(const auto namespaces, listOf<k8s::Namespace>(*client));
  for (const auto& one : namespaces)
    seen.world.namespaces[one.metadata.name] = *one.metadata.labels;
  MULTINET_TRY(const auto sets, listOf<api::PodInterfaceSet>(*client));
  std::map<std::string, const api::PodInterfaceSet*> byPod;
  for (const auto& set : sets) byPod[set.pod.uid] = &set;
  MULTINET_TRY(const auto pods, listOf<k8s::Pod>(*client));
  for (const auto& pod : pods) {
    const auto set = byPod.find(pod.metadata.uid);
    if (set == byPod.end()) continue;
    if (auto known = policy::podOf(pod, *set->second)) seen.world.pods.push_back(std::move(*known));
  }
  return seen;
}

tl::unexpected<Error> wrong(const std::string& sentence) {
  return fail(Code::InvalidArgument, "InvalidCommandLine", sentence);
}

void warn(const Call& call, const Seen& seen) {
  const ListedCatalog catalog(seen.networks, {}, seen.world.namespaces);
  for (const auto& policy : seen.world.policies) {
    for (const auto& warning : api::validate(policy, catalog).warnings) {
      call.err() << "warning: " << policy.metadata.nameSpace << "/" << policy.metadata.name << ": "
                 << printable(warning.str()) << "\n";
    }
  }
  call.err() << "This version enforces no policy; said is what these would mean.\n";
}

Result<int> run(Call& call) {
  const auto& arguments = call.arguments();
  const std::string& what = arguments.operands.front();
  if (what != "explain" && what != "table") {
    return wrong("\"" + printable(what) + "\" of policy: must be explain or table");
  }
  const auto needed = [&](const std::string& flag) -> Result<std::string> {
    auto value = arguments.value(flag);
    if (value.empty()) return wrong("policy " + what + " needs --" + flag);
    return value;
  };
  MULTINET_TRY(const auto file, needed("filename"));
  policy::Network network;
  MULTINET_TRY(network.name, needed("network"));
  MULTINET_TRY(const auto service, serviceOf(arguments.value("protocol"), arguments.value("port")));
  if (arguments.has("default-policy")) {
    const auto word = arguments.value("default-policy");
    const auto known = k8s::unspell<api::DefaultPolicy>(word);
    if (!known) {
      return wrong("flag --default-policy \"" + printable(word) +
                   "\": must be Allow, SameNamespace or Deny");
    }
    network.defaultPolicy = *known;
  }
  const bool explains = what == "explain";
  std::string fromText;
  std::string toText;
  if (explains) {
    MULTINET_TRY(fromText, needed("from"));
    MULTINET_TRY(toText, needed("to"));
  }
  MULTINET_TRY(const auto text, readFile(file == "-" ? "/dev/stdin" : file));
  MULTINET_TRY(const auto home, call.nameSpace());
  MULTINET_TRY(auto policies, readPolicies(text, home));
  MULTINET_TRY(auto seen, look(call));
  seen.world.policies = std::move(policies);
  if (!ListedCatalog(seen.networks, {}, {}).network(network.name)) {
    return fail(Code::NotFound, "NotFound", "no PodNetwork \"" + printable(network.name) + "\"");
  }
  if (!explains) {
    const std::string nameSpace = arguments.has("namespace") ? home : "";
    MULTINET_TRY(const auto table, reachTable(seen.world, network, nameSpace, service));
    call.out() << table;
    warn(call, seen);
    return kDone;
  }
  MULTINET_TRY(const auto from, endpointOf(fromText, home, seen.world, network.name));
  MULTINET_TRY(const auto to, endpointOf(toText, home, seen.world, network.name));
  MULTINET_TRY(const auto said, explainConnection(seen.world, network, from, to, service));
  call.out() << said.text;
  warn(call, seen);
  return said.allowed ? kDone : kRefused;
}

}  // namespace

Verb policyVerb() {
  return {.name = "policy",
          .operands = "explain|table",
          .least = 1,
          .most = 1,
          .names = Names::Words,
          .words = "explain table",
          .summary = "What policies of a manifest would allow on a network",
          .text =
              "Reads PodNetworkPolicies of a manifest and holds them against the pods, "
              "addresses and namespaces of the cluster as they are now; nothing is created. "
              "`explain` says of one connection whether it would be allowed at both ends and "
              "which rule decides, `table` who of all pods would reach whom. No other policy "
              "takes part, and this version of Multinet enforces none. Exit code 1: `explain` "
              "found the connection denied.",
          .flags = kFlags,
          .examples = kExamples,
          .run = run};
}

}  // namespace multinet::cli
