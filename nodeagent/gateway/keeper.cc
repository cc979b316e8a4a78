#include "nodeagent/gateway/keeper.h"

#include <algorithm>
#include <utility>

#include "lib/base/log.h"
#include "lib/netns/netns.h"
#include "nodeagent/resolve/resolver.h"

namespace multinet::agent::gateway {
namespace {

const std::string kIntent = "gateway-";

constexpr const char* kPort = "net1";

/// The subnets' addresses among those of a link; nothing where a family that the network has is
/// missing, or one is in no subnet.
std::optional<std::vector<AddressPlan>> plannedFrom(const std::vector<InterfaceAddress>& found,
                                                    const std::vector<ipam::Subnet>& subnets) {
  std::vector<AddressPlan> plans;
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    const auto isOf = [family](const ipam::Subnet& one) { return one.cidr.family() == family; };
    if (std::ranges::none_of(subnets, isOf)) continue;
    const auto before = plans.size();
    for (const InterfaceAddress& address : found) {
      for (const ipam::Subnet& subnet : subnets) {
        if (!isOf(subnet) || !subnet.cidr.contains(address.address)) continue;
        plans.push_back({{address.address, subnet.cidr.length()}, subnet.gateway});
        break;
      }
    }
    if (plans.size() != before + 1) return std::nullopt;
  }
  return plans.size() == found.size() ? std::optional(std::move(plans)) : std::nullopt;
}

}  // namespace

IntentId intentOf(const NetworkUid& network) {
  return IntentId(kIntent + network.str());
}

std::optional<NetworkUid> networkOf(const IntentId& intent) {
  if (!intent.str().starts_with(kIntent)) return std::nullopt;
  return NetworkUid(intent.str().substr(kIntent.size()));
}

std::map<NetworkUid, std::set<IpAddress>> addressesIn(const std::string& directory,
                                                      attach::AttachEngine& engine) {
  std::map<NetworkUid, std::set<IpAddress>> all;
  for (const NetworkUid& uid : keptIn(directory)) {
    auto netns = netns::openPath(pathOf(directory, uid));
    const auto links = netns ? engine.observe(std::move(*netns)) : fail(netns.error());
    if (!links) {
      log::warn("can't look for addresses of a gateway",
                {{"network", uid.str()}, {"error", links.error()}});
      continue;
    }
    for (const attach::ObservedInterface& link : *links) {
      if (!link.inPod || link.intent != intentOf(uid)) continue;
      for (const InterfaceAddress& address : link.addresses) all[uid].insert(address.address);
    }
  }
  return all;
}

Keeper::Keeper(const watch::Caches& caches, NetworksNow networks, AddressSource addresses,
               attach::AttachEngine& engine, Report report, CheckThem check, ServeThem serve,
               const Clock& clock, KeeperOptions options)
    : caches_(caches),
      networks_(std::move(networks)),
      addresses_(std::move(addresses)),
      engine_(engine),
      report_(std::move(report)),
      check_(std::move(check)),
      serve_(std::move(serve)),
      clock_(clock),
      options_(std::move(options)),
      lane_(std::make_shared<async::Lane>("gateways", clock)),
      gather_(*lane_, options_.gather, [this] { work(); }) {}

/// Once the lane has stopped nothing comes, though the engine may answer after this has gone.
template <class T, class Next>
async::Answer<T> Keeper::onLane(Next next) {
  return async::onLane<T>(*lane_, [lane = lane_, next = std::move(next)](Result<T> result) mutable {
    next(std::move(result));
  });
}

void Keeper::work() {
  auto needs = this->needs();
  // Until it is known what is wanted, what an earlier agent left stays.
  if (!needs) {
    if (waitsForAdmissions_) lookAgain();
    return;
  }
  trouble_.reset();
  Status done = begin();
  if (done) {
    follow(*needs);
    done = commit(*needs);
  }
  if (!done) {
    trouble_ = done.error();
    log::error("can't keep the node's rules of services", {{"error", done.error()}});
  }
  askPassages();
  tell(*needs);
  check(*needs);
  serve_(std::move(needs->locals));
  lookAgain();
}

// Once: sockets, and what an earlier agent left.
Status Keeper::begin() {
  if (rules_) return {};
  MULTINET_TRY(auto rules, nft::TableKeeper::open(options_.again));
  if (!node_) {
    MULTINET_TRY(node_, netlink::Socket::open());
  }
  MULTINET_TRY(const auto pairs, findPairs(*node_));
  for (const NetworkUid& uid : keptIn(options_.directory)) gateways_.try_emplace(uid);
  settledBy_ = clock_.now() + options_.adoptWithin;
  std::set<unsigned> taken;
  for (const FoundPair& pair : pairs) {
    Gateway& gateway = gateways_[pair.network];
    if (pair.number && taken.insert(*pair.number).second) gateway.number = *pair.number + 1;
  }
  // From here on numbers count from 0; those that have none yet get a free one.
  for (auto& [uid, gateway] : gateways_) {
    gateway.neededUntil = clock_.now() + options_.idle;
    gateway.kept = true;
    if (gateway.number > 0) {
      --gateway.number;
      continue;
    }
    unsigned number = 0;
    while (taken.contains(number)) ++number;
    taken.insert(number);
    gateway.number = number;
  }
  rules_ = std::move(rules);
  return {};
}

std::optional<unsigned> Keeper::freeNumber() const {
  std::set<unsigned> taken;
  for (const auto& [uid, gateway] : gateways_) taken.insert(gateway.number);
  for (unsigned number = 0; number < kMostGateways; ++number) {
    if (!taken.contains(number)) return number;
  }
  return std::nullopt;
}

void Keeper::follow(const Needs& needs) {
  const BootTime now = clock_.now();
  for (const auto& [uid, ways] : needs.ways) {
    const bool any =
        !needs.checks.at(uid).empty() ||
        std::ranges::any_of(*ways, [](const Way& way) { return !way.targets.empty(); });
    auto found = gateways_.find(uid);
    if (found == gateways_.end()) {
      if (!any) continue;
      const auto number = freeNumber();
      if (!number) {
        trouble_ = Error{Code::ResourceExhausted, "TooManyGateways",
                         "a node has room for the gateways of 1024 networks"};
        continue;
      }
      found = gateways_.try_emplace(uid).first;
      found->second.number = *number;
    }
    Gateway& gateway = found->second;
    if (any) gateway.neededUntil = now + options_.idle;
    if (gateway.from == ways) continue;
    gateway.from = ways;
    gateway.ways = *ways;
    gateway.follows = false;
  }
  for (auto one = gateways_.begin(); one != gateways_.end();) {
    auto& [uid, gateway] = *one;
    if (!needs.ways.contains(uid) && gateway.from != nullptr) {
      gateway.from.reset();
      gateway.ways.clear();
      gateway.follows = false;
    }
    const auto networks = caches_.networks();
    const auto named = std::ranges::find_if(
        networks, [&uid](const auto& network) { return network->metadata.uid == uid.str(); });
    const bool exists = named != networks.end() && !(*named)->metadata.deleting();
    if (exists) gateway.network = (*named)->metadata.name;
    if ((!exists || now >= gateway.neededUntil) && gateway.port != Port::UnderWay) {
      if (remove(uid, gateway)) {
        one = gateways_.erase(one);
        continue;
      }
    } else if (exists) {
      keep(uid, gateway);
    }
    ++one;
  }
  const std::lock_guard lock(mutex_);
  size_ = gateways_.size();
}

void Keeper::troubled(Gateway& gateway, const Error& error) {
  const bool isNews = !gateway.trouble || gateway.trouble->message != error.message;
  gateway.trouble = error;
  const bool full = error.code == Code::ResourceExhausted;
  gateway.lookAt = clock_.now() + (full ? options_.retryAddresses : options_.retry);
  if (!isNews) return;
  log::warn("no gateway to a network", {{"network", gateway.network}, {"error", error}});
}

void Keeper::keep(const NetworkUid& uid, Gateway& gateway) {
  if (gateway.port == Port::UnderWay) return;
  const bool due = clock_.now() >= gateway.lookAt;
  if (!due && gateway.port == Port::Absent) return;
  // Between looks only rules follow the services.
  if (due || !gateway.room) {
    gateway.follows = false;  // they are compared, too, once the port is known to be there
    if (const Status built = build(uid, gateway); !built) return troubled(gateway, built.error());
    if (gateway.port != Port::There) return;
  }
  if (!due && gateway.follows) return;
  gateway.ports = portsFor(gateway.ways, gateway.ports);
  const auto put = gateway.room->put(gatewayTable(gateway.ways, gateway.ports), clock_.now());
  if (!put) return troubled(gateway, put.error());
  if (*put) endFlows(gateway);
  gateway.follows = true;
  gateway.trouble.reset();
  gateway.ready = true;
}

Status Keeper::build(const NetworkUid& uid, Gateway& gateway) {
  if (!gateway.room) {
    MULTINET_TRY(gateway.room, Room::open(pathOf(options_.directory, uid), options_.again));
    MULTINET_TRY(Fd door, gateway.room->netns().duplicate());
    gateway.door = std::make_shared<const Fd>(std::move(door));
  }
  const bool first = !gateway.seen;
  if (first) {
    MULTINET_CHECK(adopt(uid, gateway));
    gateway.seen = true;
    if (gateway.port == Port::UnderWay) return {};
  }
  MULTINET_TRY(gateway.hasIpv6, gateway.room->wire(*node_, uid, pairOf(uid, gateway.number)));
  gateway.lookAt = clock_.now() + options_.again;
  // What was adopted serves on; it is compared the next time.
  if (first && gateway.port == Port::There) return {};
  if (gateway.plans.empty()) {
    claim(uid, gateway);
    return {};
  }
  // What is as planned stays untouched, what somebody took away comes back.
  attach(uid, gateway);
  return {};
}

std::vector<ipam::Subnet> Keeper::subnetsOf(const Gateway& gateway) const {
  const auto network = caches_.catalog().network(gateway.network);
  return network ? resolve::subnetsOf(*network) : std::vector<ipam::Subnet>();
}

/// Without addresses.
Result<InterfacePlan> Keeper::planOf(const NetworkUid& uid, const Gateway& gateway) const {
  const auto snapshot = networks_();
  const networks::NetworkState* state = snapshot->find(uid);
  if (state == nullptr || !state->link || state->mtu == 0) {
    const std::string why =
        state == nullptr || state->message.empty() ? "not made yet" : state->message;
    return fail(Code::Unavailable, "NetworkNotOnNode",
                "gateway to network \"" + gateway.network +
                    "\": the network isn't ready on this node: " + why);
  }
  InterfacePlan plan;
  MULTINET_TRY(plan.name, InterfaceName::parse(kPort));
  plan.network = NetworkName(gateway.network);
  plan.networkUid = uid;
  plan.link = *state->link;
  plan.mtu = state->mtu;
  plan.mac = MacAddress::derive("gateway/" + options_.node.str() + "/" + uid.str());
  return plan;
}

// A port whose addresses aren't the network's any more is no port.
Status Keeper::adopt(const NetworkUid& uid, Gateway& gateway) {
  MULTINET_TRY(Fd netns, gateway.room->netns().duplicate());
  MULTINET_TRY(const auto links, engine_.observe(std::optional<Fd>(std::move(netns))));
  const auto port = std::ranges::find_if(links, [&](const attach::ObservedInterface& link) {
    return link.inPod && link.intent == intentOf(uid);
  });
  if (port == links.end()) return {};
  const auto addresses = plannedFrom(port->addresses, subnetsOf(gateway));
  if (!addresses) {
    detach(uid, gateway);
    return {};
  }
  MULTINET_TRY(InterfacePlan plan, planOf(uid, gateway));
  gateway.plans = {resolve::complete({plan, subnetsOf(gateway)}, *addresses, plan.mac)};
  gateway.port = Port::There;
  log::info("adopted the gateway to a network", {{"network", gateway.network}});
  return {};
}

void Keeper::claim(const NetworkUid& uid, Gateway& gateway) {
  auto plan = planOf(uid, gateway);
  if (!plan) return troubled(gateway, plan.error());
  gateway.port = Port::UnderWay;
  addresses::AddressRequest want{plan->name, {plan->network, uid, subnetsOf(gateway)}};
  addresses_.claim(
      intentOf(uid), PodUid(intentOf(uid).str()), {std::move(want)},
      clock_.now() + options_.claimPatience,
      onLane<std::vector<addresses::Claimed>>(
          [this, uid, plan = *plan](Result<std::vector<addresses::Claimed>> claimed) {
            Gateway& mine = gateways_.at(uid);  // none goes while its port is under way
            mine.port = Port::Absent;
            if (!claimed) {
              Error error = claimed.error();
              if (error.reason == "PoolExhausted") error.reason = "NoAddress";
              troubled(mine, error.within("gateway to network \"" + mine.network + "\""));
              return changed();
            }
            mine.plans = {resolve::complete({plan, subnetsOf(mine)}, claimed->front(), plan.mac)};
            mine.lookAt = {};
            changed();
          }));
}

void Keeper::attach(const NetworkUid& uid, Gateway& gateway) {
  auto netns = gateway.room->netns().duplicate();
  if (!netns) return troubled(gateway, netns.error());
  // Its device may have become another.
  if (const auto plan = planOf(uid, gateway)) {
    gateway.plans.front().link = plan->link;
    gateway.plans.front().mtu = plan->mtu;
  }
  const bool wasThere = gateway.port == Port::There;
  gateway.port = Port::UnderWay;
  engine_.attach(intentOf(uid), std::move(*netns), gateway.plans, nullptr,
                 onLane<std::vector<InterfaceStatus>>(
                     [this, uid, wasThere](Result<std::vector<InterfaceStatus>> made) {
                       Gateway& mine = gateways_.at(uid);
                       mine.port = made ? Port::There : Port::Absent;
                       if (!made) {
                         troubled(mine, made.error());
                       } else if (!wasThere || !mine.ready) {
                         log::info("made the gateway to a network", {{"network", mine.network}});
                       }
                       changed();
                     }));
}

void Keeper::detach(const NetworkUid& uid, Gateway& gateway) {
  auto netns = gateway.room ? gateway.room->netns().duplicate() : Result<Fd>(Fd());
  gateway.plans.clear();
  gateway.port = Port::UnderWay;
  engine_.detach(intentOf(uid),
                 netns && netns->valid() ? std::optional<Fd>(std::move(*netns)) : std::nullopt,
                 onLane<void>([this, uid](const Status& gone) {
                   Gateway& mine = gateways_.at(uid);
                   mine.port = Port::Absent;
                   if (!gone) troubled(mine, gone.error());
                   addresses_.release(intentOf(uid));
                   changed();
                 }));
}

/// Nobody's connection is cut that a service still has: it has none any more.
bool Keeper::remove(const NetworkUid& uid, Gateway& gateway) {
  gateway.ready = false;
  gateway.passages.clear();
  gateway.room.reset();
  gateway.door.reset();
  const Status removed = removeGateway(options_.directory, uid, *node_);
  if (!removed) {
    troubled(gateway, removed.error());
    return false;
  }
  options_.gone(uid);
  addresses_.release(intentOf(uid));
  log::info("removed the gateway to a network", {{"network", gateway.network}});
  return true;
}

// What an earlier agent's gateways serve goes on until they are adopted.
bool Keeper::isSettled(const Needs& needs) const {
  if (clock_.now() >= settledBy_) return true;
  return std::ranges::none_of(gateways_, [&](const auto& one) {
    return !one.second.ready && one.second.kept && needs.ways.contains(one.first);
  });
}

Status Keeper::commit(const Needs& needs) {
  if (!isSettled(needs)) return {};
  settledBy_ = {};
  std::vector<Opened> opened;
  std::vector<Way> closed = needs.closed;
  for (const auto& [uid, ways] : needs.ways) {
    const auto gateway = gateways_.find(uid);
    if (gateway != gateways_.end() && gateway->second.ready) {
      opened.push_back({pairOf(uid, gateway->second.number), gateway->second.hasIpv6, *ways,
                        gateway->second.ports});
    } else {
      closed.insert(closed.end(), ways->begin(), ways->end());
    }
  }
  const nft::Table table = nodeTable(opened, closed, needs.addresses);
  if (isEmpty(table)) return rules_->remove(table, clock_.now());
  MULTINET_TRY(const bool there, rules_->isCommitted(table, clock_.now()));
  if (there) return {};
  MULTINET_CHECK(rules_->commit(table));
  endFlows(opened);
  return {};
}

// The node's rules are as they are committed; before they are, nothing is asked.
void Keeper::askPassages() {
  const BootTime now = clock_.now();
  for (auto& [uid, gateway] : gateways_) {
    if (!gateway.ready || trouble_ || settledBy_ != BootTime{} || now < gateway.askAt) continue;
    gateway.askAt = now + options_.again;
    for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
      const Status asked = askPassage(uid, gateway, family);
      if (!asked)
        log::warn("can't ask whether clients reach a gateway", {{"error", asked.error()}});
    }
  }
}

Status Keeper::askPassage(const NetworkUid& uid, Gateway& gateway, IpFamily family) {
  const bool used = std::ranges::any_of(gateway.ways, [family](const Way& way) {
    return way.family == family && !way.targets.empty();
  });
  if (!used || (family == IpFamily::V6 && !gateway.hasIpv6)) {
    gateway.passages.erase(family);
    return {};
  }
  auto passage = gateway.passages.find(family);
  if (passage == gateway.passages.end()) {
    const Pair pair = pairOf(uid, gateway.number);
    MULTINET_TRY(Passage fresh, Passage::open(*gateway.door, pair, family));
    passage = gateway.passages.emplace(family, std::move(fresh)).first;
  }
  const bool wasClosed = passage->second.isClosed();
  passage->second.ask();
  if (passage->second.isInDoubt()) gateway.askAt = {};
  if (passage->second.isClosed() == wasClosed) return {};
  if (wasClosed) {
    log::info("the node lets clients pass to a gateway again", {{"network", gateway.network}});
  } else {
    const Error closed = closedPassage(gateway.network, pairOf(uid, gateway.number), family);
    log::warn("clients don't reach a gateway", {{"error", closed}});
  }
  return {};
}

void Keeper::endFlows(Gateway& gateway) {
  const GatewayFlows flows(gateway.ways, gateway.ports);
  const bool concerned = std::exchange(gateway.hasUdp, flows.any()) || flows.any();
  if (!concerned) return;
  const auto ended = gateway.room->endFlows(flows);
  if (!ended) log::warn("can't end UDP flows in a gateway", {{"error", ended.error()}});
}

void Keeper::endFlows(const std::vector<Opened>& opened) {
  const NodeFlows flows(opened);
  const bool concerned = std::exchange(hasUdp_, flows.any()) || flows.any();
  if (!concerned) return;
  const auto ended =
      netlink::endUdpFlows([&](const netlink::UdpFlow& flow) { return flows.isStale(flow); });
  if (!ended) log::warn("can't end UDP flows to gateways", {{"error", ended.error()}});
}

void Keeper::check(Needs& needs) {
  std::vector<Check> all;
  for (auto& [uid, checks] : needs.checks) {
    const auto gateway = gateways_.find(uid);
    for (Check& one : checks) {
      if (gateway != gateways_.end() && gateway->second.ready) one.netns = gateway->second.door;
      all.push_back(std::move(one));
    }
  }
  check_(std::move(all));
}

void Keeper::tell(const Needs& needs) {
  std::vector<Trouble> troubles;
  if (trouble_) troubles.push_back({"", *trouble_});
  for (const auto& [uid, gateway] : gateways_) {
    if (!needs.ways.contains(uid)) continue;
    if (gateway.trouble) troubles.push_back({gateway.network, *gateway.trouble});
    for (const auto& [family, passage] : gateway.passages) {
      if (!passage.isClosed()) continue;
      const Pair pair = pairOf(uid, gateway.number);
      troubles.push_back({gateway.network, closedPassage(gateway.network, pair, family)});
    }
  }
  report_(troubles, !gateways_.empty() || trouble_.has_value());
}

void Keeper::lookAgain() {
  BootTime next = clock_.now() + options_.again;
  bool waits = trouble_.has_value();
  for (const auto& [uid, gateway] : gateways_) {
    const bool inDoubt = std::ranges::any_of(
        gateway.passages, [](const auto& one) { return one.second.isInDoubt(); });
    waits = waits || gateway.trouble.has_value() || inDoubt;
  }
  if (waits) next = clock_.now() + options_.retry;
  if (std::exchange(looksAgain_, true)) return;
  lane_->postAfter(next - clock_.now(), [this] {
    looksAgain_ = false;
    work();
  });
}

}  // namespace multinet::agent::gateway
