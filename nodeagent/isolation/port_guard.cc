#include "nodeagent/isolation/port_guard.h"

#include <net/if.h>

#include <algorithm>
#include <utility>

#include "lib/base/failpoint.h"
#include "lib/netlink/link.h"
#include "lib/netlink/socket.h"

namespace multinet::agent::isolation {
namespace {

/// With the MAC that its link shares with the device at the moment, and can't change.
Result<Port> asItIs(Port port) {
  MULTINET_TRY(auto links, netlink::Socket::open());
  MULTINET_TRY(const auto link, netlink::findLink(links, {0, port.interface}));
  port.mac = link.mac;
  return port;
}

}  // namespace

Result<std::unique_ptr<PortGuard>> PortGuard::start(const std::optional<Fd>& switchNetns,
                                                    GuardOptions options, const Clock& clock) {
  using Kind = TableGuard::Kind;
  Tables tables;
  const auto open = [&](Kind kind, const std::optional<Fd>& netns) -> Status {
    MULTINET_TRY(auto table, TableGuard::open(kind, netns, options.compareEvery, clock));
    tables.push_back(std::move(table));
    return {};
  };
  MULTINET_CHECK(open(Kind::Ends, switchNetns));
  MULTINET_CHECK(open(Kind::Parents, std::nullopt));
  if (switchNetns) MULTINET_CHECK(open(Kind::Parents, switchNetns));
  return std::unique_ptr<PortGuard>(new PortGuard(std::move(tables), options, clock));
}

PortGuard::PortGuard(Tables tables, GuardOptions options, const Clock& clock)
    : options_(options), tables_(std::move(tables)), lane_("isolation", clock) {
  lane_.post([this] { look(); });
}

PortGuard::~PortGuard() {
  lane_.stop();
}

void PortGuard::look() {
  for (const auto& table : tables_) table->look();
  lane_.postAfter(options_.lookEvery, [this] { look(); });
}

TableGuard& PortGuard::tableOf(const Port& port) const {
  if (port.site == Site::Switch) return *tables_.front();
  return port.site == Site::SwitchParent ? *tables_.back() : *tables_[1];
}

/// Ports as tables have them, and the place of each in the answer.
std::vector<PortGuard::Placed> PortGuard::placed(const std::vector<Port>& ports) const {
  std::vector<Placed> all;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].site != Site::Pod) {
      all.emplace_back(ports[i], i);
      continue;
    }
    const auto held = heldInPod(ports[i]);
    if (!held || *held == api::PortSecurity::Disabled) continue;
    for (Port& one : onDevice(ports[i])) all.emplace_back(std::move(one), std::nullopt);
  }
  return all;
}

Result<PortGuard::Secured> PortGuard::secure(const std::vector<Port>& ports) {
  Secured all;
  all.told.resize(ports.size());
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].site == Site::Pod) all.told[i] = toldOfPod(ports[i]);
  }
  const auto everywhere = placed(ports);
  for (const auto& table : tables_) {
    std::vector<Port> here;
    std::vector<std::optional<std::size_t>> positions;
    for (const auto& [port, position] : everywhere) {
      if (&tableOf(port) != table.get()) continue;
      here.push_back(port);
      positions.push_back(position);
    }
    auto secured = table->secure(here);
    if (!secured) {
      if (!all.added.empty()) release(all.added);
      return fail(secured.error());
    }
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (positions[i]) all.told[*positions[i]] = std::move(secured->told[i]);
    }
    all.added.insert(all.added.end(), secured->added.begin(), secured->added.end());
  }
  return all;
}

void PortGuard::release(const std::vector<std::string>& names,
                        const std::vector<IntentId>& intents) {
  for (const auto& table : tables_) table->release(names, intents);
  const std::lock_guard lock(mutex_);
  for (const IntentId& intent : intents) inPods_.erase(intent);
}

/// Nothing: it wasn't looked at, and its network isn't known.
std::optional<api::PortSecurity> PortGuard::heldInPod(const Port& port) const {
  const TableGuard& networks = *tables_.front();
  if (networks.knows(port.network)) return networks.askedOf(port.network);
  const std::lock_guard lock(mutex_);
  const auto pod = inPods_.find(port.intent);
  if (pod == inPods_.end()) return std::nullopt;
  const auto held = pod->second.held.find(port.interface);
  return held == pod->second.held.end() ? std::nullopt : std::optional(held->second);
}

PortSecured PortGuard::toldOfPod(const Port& port) const {
  const auto held = heldInPod(port);
  return held ? told(port, *held) : PortSecured{};
}

/// What each of them is to be held to, of those whose links are there.
Result<PortGuard::Asked> PortGuard::askedInPod(const std::vector<Port>& ports, Pod pod) const {
  Asked asked;
  std::optional<std::map<std::string, nft::Elements>> left;
  for (const Port& port : ports) {
    // A kernel refuses chains of a device that isn't there.
    if (::if_nametoindex(port.interface.c_str()) == 0) continue;
    if (port.site != Site::Pod) {
      asked.emplace_back(port, tableOf(port).heldTo(port));
      continue;
    }
    MULTINET_TRY(const Port shared, asItIs(port));
    auto held = heldInPod(port);
    if (!held && pod == Pod::Running) {
      if (!left) {
        MULTINET_TRY(auto committer, nft::Committer::open());
        MULTINET_TRY(const auto listing, committer.list(podTable({}, {}), nft::kFewStrangers));
        left = listing ? portsIn(listing->sets) : std::map<std::string, nft::Elements>{};
      }
      const auto found = left->find(port.interface);
      if (found != left->end()) held = securityOf(found->second);
    }
    asked.emplace_back(shared, held.value_or(api::PortSecurity::Enforced));
  }
  return asked;
}

Status PortGuard::securePod(const std::vector<Port>& ports, Pod pod) {
  if (ports.empty()) return {};
  const auto asked = askedInPod(ports, pod);
  if (!asked) return fail(refusedInPod(asked.error()));
  if (asked->empty()) return {};
  const Status done = commitPod(ports.front().intent, *asked, pod);
  const bool isOpen = std::ranges::all_of(
      *asked, [](const auto& one) { return one.second == api::PortSecurity::Disabled; });
  return done || isOpen ? Status{} : fail(refusedInPod(done.error()));
}

Error PortGuard::refusedInPod(const Error& error) const {
  const std::string text = "secure links on devices, inside the pod: " + error.message;
  const std::lock_guard lock(mutex_);
  if (podsTaken_) return {Code::Unavailable, "CommitFailed", text};
  return {Code::Unavailable, "KernelLacks",
          text + "; the node's kernel must have " + kDeviceNeeds +
              ", or the network spec.portSecurity Disabled"};
}

Status PortGuard::commitPod(const IntentId& intent, const Asked& asked, Pod pod) {
  MULTINET_CHECK(failpoint::check("isolation.pod.before"));
  const nft::Table table = podTable(asked, tables_.front()->tunnelPorts());
  MULTINET_TRY(auto committer, nft::Committer::open());
  MULTINET_TRY(auto generation, nft::Generation::open());
  MULTINET_TRY(const std::uint32_t before, generation.read());
  InPod now{before, nft::renderReplace(table)};
  for (const auto& [port, security] : asked) now.held[port.interface] = security;
  if (pod == Pod::Running) {
    const std::unique_lock lock(mutex_);
    const auto known = inPods_.find(intent);
    if (known != inPods_.end()) now.counts = known->second.counts;
    const bool isSame = known != inPods_.end() && known->second.generation == before &&
                        known->second.table == now.table;
    if (const auto counts = committer.counters(table)) countPod(*counts, now);
    MULTINET_TRY(const bool isThere,
                 isSame ? Result<bool>(true) : committer.matches(table, nft::kFewStrangers));
    if (isThere) {
      podsTaken_ = true;
      inPods_[intent] = std::move(now);
      return {};
    }
  }
  MULTINET_CHECK(committer.commit(now.table));
  const std::lock_guard lock(mutex_);
  ++podCommits_;
  podsTaken_ = true;
  ++now.generation;
  now.counts.clear();
  inPods_[intent] = std::move(now);
  return {};
}

void PortGuard::countPod(const nft::Counts& counts, InPod& before) {
  for (const std::string_view reason : kReasons) {
    const auto found = counts.find(kCounterPrefix + std::string(reason));
    if (found == counts.end()) continue;
    std::uint64_t& last = before.counts[found->first];
    // A pod that may change its rules may set its counters back.
    if (found->second > last) podDrops_[std::string(reason)] += found->second - last;
    last = found->second;
  }
}

void PortGuard::setNetworks(const std::map<NetworkUid, api::PortSecurity>& networks,
                            const std::set<std::uint16_t>& tunnelPorts) {
  for (const auto& table : tables_) table->setNetworks(networks, tunnelPorts);
}

api::PortSecurity PortGuard::askedOf(const NetworkUid& network) const {
  return tables_.front()->askedOf(network);
}

Drops PortGuard::drops() {
  Drops sum;
  for (const auto& table : tables_) {
    for (const auto& [reason, frames] : table->drops()) sum[reason] += frames;
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [reason, frames] : podDrops_) sum[reason] += frames;
  return sum;
}

std::uint64_t PortGuard::commits() const {
  std::uint64_t sum = 0;
  for (const auto& table : tables_) sum += table->commits();
  const std::lock_guard lock(mutex_);
  return sum + podCommits_;
}

std::uint64_t PortGuard::switchCommits() const {
  // The last is of parents in the switch, and else of those in the one namespace that there is.
  return tables_.front()->commits() + tables_.back()->commits();
}

Status PortGuard::clear() {
  MULTINET_CHECK(TableGuard::clear(TableGuard::Kind::Ends));
  return TableGuard::clear(TableGuard::Kind::Parents);
}

}  // namespace multinet::agent::isolation
