#include "nodeagent/resolve/resolver.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/request.h"
#include "lib/api/resolve.h"
#include "nodeagent/resolve/admitted.h"
#include "nodeagent/resolve/had.h"

namespace multinet::agent::resolve {
namespace {

constexpr std::chrono::milliseconds kLookAgain(50);
/// How far the caches may be behind what admission saw: a pod that is made right after its network
/// isn't told that the network was replaced.
constexpr std::chrono::seconds kCacheLag(1);
/// The kubelet's mark of where it has a pod from; a static pod's is `file` or `http`.
constexpr const char* kConfigSource = "kubernetes.io/config.source";

Status refuseStaticPod(const PodRequest& request) {
  const auto source = request.annotations.find(kConfigSource);
  if (source == request.annotations.end() || source->second == "api") return {};
  return fail(Code::FailedPrecondition, "StaticPod",
              "metadata.annotations[multinet.dev/networks]: a static pod (config source \"" +
                  source->second + "\") can't ask for networks; run it as a DaemonSet");
}

bool isReplaced(const Error& error) {
  return error.reason == "NetworkReplaced" || error.reason == "AttachmentReplaced";
}

// What the node has of the network must be there before a pod can have a part of it.
Result<const networks::NetworkState*> stateOf(const networks::Snapshot& snapshot,
                                              const api::ResolvedInterface& interface) {
  const networks::NetworkState* state = snapshot.find(interface.networkUid);
  const bool isThere = state != nullptr && state->link && state->mtu > 0;
  if (isThere) return state;
  // With the reason that stands in the node's NodeNetworkSet, which the docs are sorted by.
  const bool comes = state == nullptr || state->message.empty() ||
                     (!state->joined && state->ready == networks::CheckStatus::True);
  const std::string detail = comes ? "not made yet" : state->reason + ": " + state->message;
  return fail(Code::Unavailable, "NetworkNotOnNode",
              "interface " + interface.name.str() + ": network \"" + interface.network.str() +
                  "\" is not ready on this node: " + detail);
}

WantedInterface wanted(const api::ResolvedInterface& interface, const api::PodNetwork& network,
                       const networks::NetworkState& state) {
  WantedInterface made;
  InterfacePlan& plan = made.plan;
  plan.name = interface.name;
  plan.network = interface.network;
  plan.networkUid = interface.networkUid;
  if (interface.item.kind == api::RequestKind::Attachment) plan.attachment = interface.item.name;
  plan.link = *state.link;
  plan.mtu = interface.mtu.has_value() ? std::min(static_cast<unsigned>(*interface.mtu), state.mtu)
                                       : state.mtu;
  for (const api::ResolvedRoute& route : interface.routes) {
    plan.routes.push_back({route.to, route.via});
  }
  plan.defaultGatewayV4 = interface.defaultGatewayV4;
  plan.defaultGatewayV6 = interface.defaultGatewayV6;
  made.subnets = subnetsOf(network);
  return made;
}

/// Adds those of the family; whether there were any.
bool append(std::vector<IpPrefix>& to, const std::vector<IpPrefix>& from, IpFamily family) {
  const std::size_t before = to.size();
  std::copy_if(from.begin(), from.end(), std::back_inserter(to),
               [family](const IpPrefix& prefix) { return prefix.family() == family; });
  return to.size() > before;
}

}  // namespace

std::vector<ipam::Subnet> subnetsOf(const api::PodNetwork& network) {
  std::vector<ipam::Subnet> subnets;
  for (const api::Subnet& spec : network.spec.ipam.subnets) {
    const auto cidr = IpPrefix::parse(spec.cidr);
    if (!cidr.has_value()) continue;
    ipam::Subnet subnet;
    subnet.cidr = *cidr;
    if (const auto gateway = IpAddress::parse(spec.gateway)) subnet.gateway = *gateway;
    for (const std::string& text : spec.exclude) {
      if (const auto range = IpPrefix::parse(text)) subnet.exclude.push_back(*range);
    }
    if (spec.blockSize.has_value()) subnet.blockSize = static_cast<unsigned>(*spec.blockSize);
    subnets.push_back(std::move(subnet));
  }
  return subnets;
}

struct Resolver::Call {
  PodRequest request;
  BootTime deadline;
  async::Answer<std::vector<WantedInterface>> done;
  BootTime begin;
  bool answered = false;        // of the lane
  std::optional<Error> last{};  // of the lane: what stood in the way when it was last looked at

  void answer(Result<std::vector<WantedInterface>> result) {
    if (!std::exchange(answered, true)) done(std::move(result));
  }
};

Resolver::Resolver(async::Lane& lane, watch::Caches& caches, NetworksNow networks,
                   const Clock& clock, std::vector<IpPrefix> clusterPrefixes, WantNetwork want,
                   Standing standing)
    : lane_(lane),
      caches_(caches),
      networks_(std::move(networks)),
      clock_(clock),
      clusterPrefixes_(std::move(clusterPrefixes)),
      want_(std::move(want)),
      standing_(std::move(standing)) {}

Status Resolver::ready() const {
  MULTINET_CHECK(caches_.synced());
  return standing_();
}

void Resolver::resolve(const PodRequest& request, BootTime deadline,
                       async::Answer<std::vector<WantedInterface>> done) {
  auto call = std::make_shared<Call>(Call{request, deadline, std::move(done), clock_.now()});
  if (!async::runOn(lane_, [this, call] { attempt(call); })) {
    call->answer(fail(Code::Unavailable, "Stopping", "resolve networks: the agent is stopping"));
  }
  if (lane_.onThread() && call->answered) return;
  // The API server may not answer at all.
  const Duration left = std::max(Duration{}, Duration(call->deadline - clock_.now()));
  lane_.postAfter(left, [call] {
    if (call->last) return call->answer(fail(*call->last));
    call->answer(fail(Code::Unavailable, "ApiServerAway",
                      "resolve networks: the API server doesn't answer for the namespace \"" +
                          call->request.pod.namespaceName + "\""));
  });
}

void Resolver::attempt(const std::shared_ptr<Call>& call) {
  if (call->answered) return;
  if (auto allowed = refuseStaticPod(call->request); !allowed.has_value()) {
    return call->answer(fail(std::move(allowed).error()));
  }
  if (auto known = ready(); !known.has_value()) {
    if (known.error().code != Code::Unavailable) return call->answer(fail(known.error()));
    return again(call, std::move(known).error());
  }
  caches_.needNamespace(call->request.pod.namespaceName,
                        async::onLane<void>(lane_, [this, call](const Status& known) {
                          if (!known.has_value() && known.error().transient()) {
                            return again(call, known.error());
                          }
                          judge(call);
                        }));
}

void Resolver::judge(const std::shared_ptr<Call>& call) {
  if (call->answered) return;
  if (api::asksByAttachment(call->request.annotations.at(api::kNetworksAnnotation))) {
    Status known = caches_.needAttachments(call->request.pod.namespaceName);
    if (!known.has_value()) return again(call, std::move(known).error());
  }
  auto decided = decide(call->request);
  if (!decided.has_value() && decided.error().code == Code::Unavailable) {
    return again(call, std::move(decided).error());
  }
  const bool mayBeBehind = !decided.has_value() && isReplaced(decided.error());
  if (mayBeBehind && clock_.now() - call->begin < kCacheLag) {
    return again(call, std::move(decided).error());
  }
  call->answer(std::move(decided));
}

void Resolver::again(const std::shared_ptr<Call>& call, Error error) {
  if (call->answered) return;
  if (clock_.now() + kLookAgain >= call->deadline) return call->answer(fail(std::move(error)));
  call->last = std::move(error);
  lane_.postAfter(kLookAgain, [this, call] { attempt(call); });
}

Result<std::vector<WantedInterface>> Resolver::decide(const PodRequest& request) const {
  api::PodSubject subject;
  subject.namespaceName = request.pod.namespaceName;
  subject.hostNetwork = request.hostNetwork;
  subject.request = request.annotations.at(api::kNetworksAnnotation);
  auto resolved = api::resolve(subject, caches_.catalog());
  if (!resolved.has_value()) {
    const InFavour again(caches_.catalog(), hadBefore(request));
    if (auto had = api::resolve(subject, again)) resolved = std::move(had);
  }
  if (!resolved.has_value()) return fail(api::toError(resolved.error()));
  MULTINET_CHECK(checkAdmitted(request, *resolved));
  const auto snapshot = networks_();
  for (const api::ResolvedInterface& interface : *resolved) {
    const networks::NetworkState* state = snapshot->find(interface.networkUid);
    if (state == nullptr || !state->joined) want_(interface.networkUid);
  }
  std::vector<WantedInterface> all;
  for (const api::ResolvedInterface& interface : *resolved) {
    const auto network = caches_.catalog().network(interface.network.str());
    if (!network.has_value() || network->metadata.uid != interface.networkUid.str()) {
      return fail(Code::Unavailable, "NetworkChanged",
                  "network \"" + interface.network.str() + "\": changed while it was looked at");
    }
    MULTINET_TRY(const networks::NetworkState* state, stateOf(*snapshot, interface));
    WantedInterface made = wanted(interface, *network, *state);
    MULTINET_CHECK(refuseClustersRange(made));
    MULTINET_TRY(made.plan.clusterPrefixes, clusterPrefixesOf(made.plan));
    all.push_back(std::move(made));
  }
  return all;
}

std::set<NetworkUid> Resolver::hadBefore(const PodRequest& request) const {
  std::set<NetworkUid> had;
  for (const InterfacePlan& plan : request.earlier) {
    if (!plan.networkUid.empty()) had.insert(plan.networkUid);
  }
  for (const auto& pod : caches_.pods()) {
    if (pod->metadata.uid == request.pod.uid.str()) had.merge(hadBy(*pod));
  }
  return had;
}

bool Resolver::anyNetwork() const {
  return !caches_.synced().has_value() || !caches_.networks().empty();
}

std::optional<Link> Resolver::linkOf(const NetworkUid& network) const {
  const auto snapshot = networks_();
  const networks::NetworkState* state = snapshot->find(network);
  return state == nullptr ? std::nullopt : state->link;
}

std::vector<IpPrefix> Resolver::staysOnEth0(const InterfacePlan& plan) const {
  return clusterPrefixesOf(plan).value_or(std::vector<IpPrefix>{});
}

// The interface's subnets get routes on link, which would hide the cluster's own ranges from the
// pod: its DNS, its Services, the node that probes it.
Status Resolver::refuseClustersRange(const WantedInterface& wanted) const {
  const auto services = caches_.servicePrefixes();  // a server without ServiceCIDRs tells none
  const auto refuse = [&](const std::vector<IpPrefix>& ranges, const char* whose) -> Status {
    for (const ipam::Subnet& subnet : wanted.subnets) {
      for (const IpPrefix& range : ranges) {
        if (!subnet.cidr.overlaps(range)) continue;
        return fail(Code::FailedPrecondition, "RangeInUse",
                    "interface " + wanted.plan.name.str() + ": subnet " + subnet.cidr.str() +
                        " of network \"" + wanted.plan.network.str() + "\" overlaps " +
                        range.str() + ", which is " + whose +
                        ": the pod would lose its way there; give the network another subnet");
      }
    }
    return {};
  };
  if (services) MULTINET_CHECK(refuse(*services, "the cluster's range of Services"));
  return refuse(clusterPrefixes_, "a range of pods or nodes (--cluster-prefix of this node)");
}

Result<std::vector<IpPrefix>> Resolver::clusterPrefixesOf(const InterfacePlan& plan) const {
  std::vector<IpPrefix> prefixes;
  if (!plan.defaultGatewayV4 && !plan.defaultGatewayV6) return prefixes;
  MULTINET_TRY(const std::vector<IpPrefix> services, caches_.servicePrefixes());
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    const bool moves = family == IpFamily::V4 ? plan.defaultGatewayV4 : plan.defaultGatewayV6;
    // A cluster without Services of a family has no pods of it either: nothing is to be kept.
    if (!moves || !append(prefixes, services, family)) continue;
    if (append(prefixes, clusterPrefixes_, family)) continue;
    return fail(Code::FailedPrecondition, "ClusterPrefixesUnknown",
                "interface " + plan.name.str() + ": defaultGateway: this node's agent isn't told " +
                    "the " + std::string(name(family)) + " ranges of pods and nodes, which must " +
                    "stay on eth0; start it with --cluster-prefix");
  }
  return prefixes;
}

}  // namespace multinet::agent::resolve
