#include "nodeagent/isolation/port_guard.h"

#include <net/if.h>

#include <algorithm>
#include <utility>

#include "lib/base/failpoint.h"

namespace multinet::agent::isolation {

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
  return port.site == Site::NodeParent ? *tables_[1] : *tables_.back();
}

Result<PortGuard::Secured> PortGuard::secure(const std::vector<Port>& ports) {
  Secured all;
  all.told.resize(ports.size());
  for (const auto& table : tables_) {
    std::vector<Port> here;
    std::vector<std::size_t> positions;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      if (&tableOf(ports[i]) != table.get()) continue;
      here.push_back(ports[i]);
      positions.push_back(i);
    }
    auto secured = table->secure(here);
    if (!secured) {
      if (!all.added.empty()) release(all.added);
      return fail(secured.error());
    }
    for (std::size_t i = 0; i < positions.size(); ++i) {
      all.told[positions[i]] = std::move(secured->told[i]);
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

Status PortGuard::securePod(const std::vector<Port>& ports, Pod pod) {
  if (ports.empty()) return {};
  std::vector<std::pair<Port, api::PortSecurity>> asked;
  for (const Port& port : ports) {
    // A kernel refuses chains of a device that isn't there.
    if (::if_nametoindex(port.interface.c_str()) == 0) continue;
    asked.emplace_back(port, tableOf(port).heldTo(port));
  }
  if (asked.empty()) return {};
  const nft::Table table = podTable(asked, tables_.front()->tunnelPorts());
  const Status done = commitPod(ports.front().intent, table, pod);
  const bool isOpen = std::ranges::all_of(
      asked, [](const auto& one) { return one.second == api::PortSecurity::Disabled; });
  if (done || isOpen) return {};
  return fail(Code::Unavailable, "CommitFailed",
              "secure links on devices, inside the pod: " + done.error().message);
}

Status PortGuard::commitPod(const IntentId& intent, const nft::Table& table, Pod pod) {
  MULTINET_CHECK(failpoint::check("isolation.pod.before"));
  MULTINET_TRY(auto committer, nft::Committer::open());
  MULTINET_TRY(auto generation, nft::Generation::open());
  MULTINET_TRY(const std::uint32_t before, generation.read());
  InPod now{before, nft::renderReplace(table), {}};
  if (pod == Pod::Running) {
    const std::unique_lock lock(mutex_);
    const auto known = inPods_.find(intent);
    if (known != inPods_.end()) now.counts = known->second.counts;
    const bool isSame = known != inPods_.end() && known->second.generation == before &&
                        known->second.table == now.table;
    if (const auto counts = committer.counters(table)) countPod(*counts, now);
    MULTINET_TRY(const bool isThere, isSame ? Result<bool>(true) : committer.matches(table));
    if (isThere) {
      inPods_[intent] = std::move(now);
      return {};
    }
  }
  MULTINET_CHECK(committer.commit(now.table));
  const std::lock_guard lock(mutex_);
  ++podCommits_;
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

Status PortGuard::clear() {
  MULTINET_CHECK(TableGuard::clear(TableGuard::Kind::Ends));
  return TableGuard::clear(TableGuard::Kind::Parents);
}

}  // namespace multinet::agent::isolation
