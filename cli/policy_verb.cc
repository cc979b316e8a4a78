#include <algorithm>
#include <array>
#include <iterator>

#include "cli/explain.h"
#include "cli/nearest.h"
#include "cli/output.h"
#include "cli/policy.h"
#include "cli/policy_world.h"
#include "cli/verb.h"
#include "lib/api/cluster_policy.h"
#include "lib/api/policy.h"
#include "lib/api/spelling.h"

namespace multinet::cli {
namespace {

constexpr std::array kFlags = {
    Flag{"output", 'o', "FORMAT", "text, json or yaml [text]", Names::Words, "text json yaml"},
    Flag{"filename", 'f', "FILE",
         "Manifest with PodNetworkPolicies and ClusterPodNetworkPolicies that count beside those "
         "that stand, or in their place where they have their names; - for standard input; may be "
         "given several times",
         Names::Files},
    Flag{"network", 0, "NETWORK", "On which network", Names::Networks},
    Flag{"from", 0, "POD", "Of explain: who connects, as NAMESPACE/POD, POD or an address"},
    Flag{"to", 0, "POD", "Of explain: to whom"},
    Flag{"port", 0, "PORT", "Port of the receiver"},
    Flag{"protocol", 0, "PROTOCOL", "TCP, UDP, SCTP or ICMP [TCP]", Names::Words,
         "TCP UDP SCTP ICMP"},
    Flag{"default-policy", 0, "POLICY",
         "What holds for a direction that no policy selects: Allow, SameNamespace or Deny [the "
         "network's]",
         Names::Words, "Allow SameNamespace Deny"},
    Flag{"namespace", 'n', "NAMESPACE",
         "Of explain: of a POD without one [the context's]; of table: its pods only [all]",
         Names::Namespaces}};
constexpr std::array kExamples = {
    Example{
        "kubectl multinet policy explain --network blue --from shop/web --to shop/db --port 5432",
        "may it connect, and which rule says so"},
    Example{"kubectl multinet policy table --network blue --port 80 -n shop", "who reaches whom"},
    Example{"kubectl multinet policy table -f policies.yaml --network blue --port 80",
            "who would, once these are applied"}};

tl::unexpected<Error> wrong(const std::string& sentence) {
  return fail(Code::InvalidArgument, "InvalidCommandLine", sentence);
}

/// Of what isn't applied yet; of the others their authors were told, and the status says it.
template <class P>
void warn(const Call& call, const Seen& seen, const std::vector<P>& written) {
  const ListedCatalog catalog(seen.networks, {}, seen.world.namespaces);
  for (const auto& policy : written) {
    auto warnings = api::validate(policy, catalog).warnings;
    std::ranges::move(policy::hintsOf(policy, seen.world, seen.hostPods),
                      std::back_inserter(warnings));
    const auto& home = policy.metadata.nameSpace;
    for (const auto& warning : warnings) {
      call.err() << "warning: " << home << (home.empty() ? "" : "/") << policy.metadata.name << ": "
                 << printable(warning.str()) << "\n";
    }
  }
}
void warn(const Call& call, const Seen& seen, const PolicyManifest& written) {
  warn(call, seen, written.policies);
  warn(call, seen, written.clusterPolicies);
}

/// Nothing where it isn't said.
Result<std::optional<api::DefaultPolicy>> defaultOf(const Arguments& arguments) {
  if (!arguments.has("default-policy")) return std::nullopt;
  const auto word = arguments.value("default-policy");
  const auto known = k8s::unspell<api::DefaultPolicy>(word);
  if (known) return known;
  return wrong("flag --default-policy \"" + printable(word) +
               "\": must be Allow, SameNamespace or Deny");
}

/// The format that -o asks for; text is as a table.
Result<Format> formatOf(const Arguments& arguments) {
  const auto word = arguments.value("output");
  if (word.empty() || word == "text") return Format::Table;
  if (word == "json") return Format::Json;
  if (word == "yaml") return Format::Yaml;
  return wrong("flag --output \"" + printable(word) + "\": must be text, json or yaml");
}

/// Who reaches whom.
Status tell(const Call& call, const policy::World& world, const policy::Network& network,
            const std::string& nameSpace, const Service& service, Format format) {
  if (format == Format::Table) {
    MULTINET_TRY(const auto table, reachTable(world, network, nameSpace, service));
    call.out() << table;
  } else {
    MULTINET_TRY(const auto document, reachDocument(world, network, nameSpace, service));
    call.out() << toDocument(document, format);
  }
  return {};
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
  policy::Network network;
  MULTINET_TRY(network.name, needed("network"));
  MULTINET_TRY(const auto service, serviceOf(arguments.value("protocol"), arguments.value("port")));
  MULTINET_TRY(const auto assumed, defaultOf(arguments));
  MULTINET_TRY(const auto format, formatOf(arguments));
  const bool explains = what == "explain";
  std::string fromText;
  std::string toText;
  if (explains) {
    MULTINET_TRY(fromText, needed("from"));
    MULTINET_TRY(toText, needed("to"));
  } else if (arguments.has("from") || arguments.has("to")) {
    return wrong("policy table is of all pods: --from and --to are for policy explain");
  }
  MULTINET_TRY(const auto home, call.nameSpace());
  PolicyManifest written;
  if (arguments.has("filename")) {
    MULTINET_TRY(const auto objects, readManifests(arguments.all("filename")));
    MULTINET_TRY(written, policiesIn(objects, home));
  }
  MULTINET_TRY(auto* client, call.client());
  MULTINET_TRY(auto seen, look(*client));
  MULTINET_CHECK(addPolicies(*client, written, seen.world));
  const auto known = ListedCatalog(seen.networks, {}, {}).network(network.name);
  if (!known) {
    std::vector<std::string> names;
    names.reserve(seen.networks.size());
    for (const auto& one : seen.networks) names.push_back(one.metadata.name);
    return fail(
        Code::NotFound, "NotFound",
        "no PodNetwork \"" + printable(network.name) + "\"" + didYouMean(network.name, names));
  }
  network.defaultPolicy = assumed.value_or(known->spec.defaultPolicy);
  // Each pair of pods is judged: others' policies would be gone through for each.
  const policy::World judged = onNetwork(network.name, seen.world);
  if (!explains) {
    const std::string nameSpace = arguments.has("namespace") ? home : "";
    MULTINET_CHECK(tell(call, judged, network, nameSpace, service, format));
    warn(call, seen, written);
    return kDone;
  }
  MULTINET_TRY(const auto from, endpointOf(fromText, home, seen, network.name));
  MULTINET_TRY(const auto to, endpointOf(toText, home, seen, network.name));
  MULTINET_TRY(const auto said, explainConnection(judged, network, from, to, service));
  if (format == Format::Table) {
    call.out() << said.text;
  } else {
    call.out() << toDocument(said.document, format);
  }
  warn(call, seen, written);
  return said.allowed ? kDone : kRefused;
}

}  // namespace

Verb policyVerb() {
  return {
      .name = "policy",
      .operands = "explain|table",
      .least = 1,
      .most = 1,
      .names = Names::Words,
      .words = "explain table",
      .summary = "What policies allow on a network, and would",
      .text =
          "Holds PodNetworkPolicies and ClusterPodNetworkPolicies, and those of a manifest that "
          "aren't applied yet, against its pods, addresses and namespaces as they are now; nothing "
          "is "
          "created. `explain` says of one connection whether it is allowed at both ends and "
          "which rule decides, `table` who of all pods reaches whom. It is what policies mean: "
          "whether nodes hold an interface to them, its PodInterfaceSet says. Exit code 1: "
          "`explain` found the connection denied.",
      .flags = kFlags,
      .examples = kExamples,
      .run = run};
}

}  // namespace multinet::cli
