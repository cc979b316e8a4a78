#include "cli/policy_step.h"

#include <algorithm>

#include "cli/policy.h"
#include "lib/api/spelling.h"

namespace multinet::cli {
namespace {

/// Which no pod has: how whoever isn't one is judged.
IpAddress nobodys(IpFamily family) {
  return IpAddress::parse(family == IpFamily::V4 ? "0.0.0.0" : "::").value();
}

/// Nothing where the caller has no address of the endpoint's family.
std::optional<policy::Verdict> verdictOn(const PolicyView& view, const Caller& caller,
                                         const Arrival& arrival) {
  const auto family = arrival.address.family();
  const auto own = std::ranges::find(caller.addresses, family, &IpAddress::family);
  if (own == caller.addresses.end() && !caller.throughNode) return std::nullopt;
  const IpAddress source = caller.throughNode ? nobodys(family) : *own;
  return policy::evaluate(view.world, view.network,
                          {source, arrival.address, arrival.protocol, arrival.port});
}

/// `ingress of shop/web-1: isolated by shop/db, no rule of which allows it`
std::string words(const policy::Verdict& verdict, const policy::Network& network,
                  const std::string& from, const std::string& to) {
  const auto egress = "egress of " + from + ": " + reasonOf(verdict.egress, "egress", network);
  const auto ingress = "ingress of " + to + ": " + reasonOf(verdict.ingress, "ingress", network);
  if (verdict.allowed() || (!verdict.egress.allowed && !verdict.ingress.allowed)) {
    return egress + "; " + ingress;
  }
  return verdict.egress.allowed ? ingress : egress;
}

/// The question as one would type it, of the first endpoint; `more` comes before the rest.
std::string command(const std::string& network, const Caller& caller,
                    const std::vector<Arrival>& arrivals, const std::string& more) {
  std::string out = "kubectl multinet policy explain" + more + " --network " + network;
  if (arrivals.empty()) return out + " --from POD --to POD --port PORT";
  const Arrival& first = arrivals.front();
  out += " --from " + (caller.throughNode ? "ADDRESS" : caller.pod);
  out += " --to " + first.address.str() + " --protocol ";
  if (!first.protocol) return out + "ICMP";
  return out + std::string(k8s::spell(*first.protocol)) + " --port " + std::to_string(first.port);
}

bool isAbout(const policy::World& world, const std::string& network) {
  const auto names = [&](const auto& policy) {
    return std::ranges::find(policy.spec.podNetworkNames, network) !=
           policy.spec.podNetworkNames.end();
  };
  return std::ranges::any_of(world.policies, names) ||
         std::ranges::any_of(world.clusterPolicies, names);
}

/// Of several, the first's words stand for all.
struct Tally {
  std::size_t judged = 0;
  std::size_t denied = 0;
  std::string allows;
  std::string denies;
};

Tally count(const PolicyView& view, const Caller& caller, const std::vector<Arrival>& arrivals,
            std::vector<WayEndpoint>& endpoints) {
  Tally out;
  for (const Arrival& arrival : arrivals) {
    const auto verdict = verdictOn(view, caller, arrival);
    if (!verdict) continue;
    const auto* pod = view.world.podAt(view.network.name, arrival.address);
    auto& endpoint = endpoints.at(arrival.endpoint);
    const auto said = words(*verdict, view.network, caller.throughNode ? "its node" : caller.pod,
                            pod == nullptr ? endpoint.endpoint : pod->key.str());
    ++out.judged;
    if (verdict->allowed()) {
      if (out.allows.empty()) out.allows = said;
      continue;
    }
    ++out.denied;
    endpoint.denied = said;
    if (out.denies.empty()) out.denies = endpoint.endpoint + ": " + said;
  }
  return out;
}

}  // namespace

WayStep judge(const PolicyView& view, const Caller& caller, const std::vector<Arrival>& arrivals,
              std::vector<WayEndpoint>& endpoints) {
  const std::string& network = view.network.name;
  if (!view.unseen.empty()) {
    return {"policy", Verdict::Warns, "what policies allow on " + network + ": " + view.unseen,
            "ask who may: " + command(network, caller, arrivals, "")};
  }
  if (view.network.defaultPolicy == api::DefaultPolicy::Allow && !isAbout(view.world, network)) {
    return {"policy", Verdict::Passes, "no policy is about network " + network, ""};
  }
  const auto tally = count(view, caller, arrivals, endpoints);
  if (tally.denied == 0) {
    return {"policy", Verdict::Passes,
            tally.judged == 0 ? caller.pod + " has no address there by which it could be judged"
                              : "allowed: " + tally.allows,
            ""};
  }
  const std::string says = std::to_string(tally.denied) + " of " + std::to_string(tally.judged) +
                           " endpoints are denied; " + tally.denies;
  if (!view.isPoliced) {
    return {"policy", Verdict::Warns,
            says + ". Nodes don't hold interfaces of the network's type to policies",
            "kubectl multinet trace POD -n NAMESPACE says of each interface why it isn't held"};
  }
  if (caller.throughNode) {
    return {
        "policy", Verdict::Warns, says + ". It comes from the gateway's address, which is no pod's",
        "allow it by an ipBlock with that address, or connect from a pod that is on " + network};
  }
  return {
      "policy", tally.denied == tally.judged ? Verdict::Refuses : Verdict::Warns, says,
      "allow it by a rule, and try that first: " + command(network, caller, arrivals, " -f FILE") +
          "; the nodes' multinet_agent_policy_denied counts what is denied"};
}

}  // namespace multinet::cli
