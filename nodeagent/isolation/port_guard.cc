#include "nodeagent/isolation/port_guard.h"

#include <algorithm>
#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/netlink/link.h"
#include "lib/netns/netns.h"

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

void erase(const nft::Elements& elements, nft::Elements& of) {
  for (const auto& [set, values] : elements) {
    for (const std::string& value : values) of[set].erase(value);
  }
}

void insert(const nft::Elements& elements, nft::Elements& into) {
  for (const auto& [set, values] : elements) into[set].insert(values.begin(), values.end());
}

/// What `from` has and `without` hasn't.
nft::Elements less(const nft::Elements& from, const nft::Elements& without) {
  nft::Elements rest = from;
  erase(without, rest);
  return rest;
}

void apply(const nft::Elements& gone, const nft::Elements& added, nft::Table& table) {
  for (nft::Set& set : table.sets) {
    if (const auto found = gone.find(set.name); found != gone.end()) {
      for (const std::string& element : found->second) set.elements.erase(element);
    }
    if (const auto found = added.find(set.name); found != added.end()) {
      set.elements.insert(found->second.begin(), found->second.end());
    }
  }
}

nft::Set& tunnelsOf(nft::Table& table) {
  return *std::ranges::find(table.sets, kTunnelSet, &nft::Set::name);
}

}  // namespace

Result<std::unique_ptr<PortGuard>> PortGuard::start(const std::optional<Fd>& switchNetns,
                                                    GuardOptions options, const Clock& clock) {
  std::optional<netns::Scope> scope;
  if (switchNetns) {
    MULTINET_TRY(auto entered, netns::Scope::enter(*switchNetns));
    scope.emplace(std::move(entered));
  }
  MULTINET_TRY(auto committer, nft::Committer::open());
  MULTINET_TRY(auto generation, nft::Generation::open());
  MULTINET_TRY(auto links, netlink::Socket::open());
  return std::unique_ptr<PortGuard>(new PortGuard(
      Doors{std::move(committer), std::move(generation), std::move(links)}, options, clock));
}

PortGuard::PortGuard(Doors doors, GuardOptions options, const Clock& clock)
    : options_(options), clock_(clock), doors_(std::move(doors)), lane_("isolation", clock) {
  lane_.post([this] { look(); });
}

PortGuard::~PortGuard() {
  lane_.stop();
}

Result<PortGuard::Secured> PortGuard::secure(const std::vector<Port>& ports) {
  const std::lock_guard lock(mutex_);
  if (ports.empty()) return Secured{};
  // First, since a predecessor's ports say what they were held to.
  const Status certain = makeCertain();
  Secured secured;
  Entries changed;
  bool isOpen = true;
  for (const Port& port : ports) {
    const PortSecurity asked = askedOf(port);
    secured.told.push_back(told(port, asked));
    if (!entries_.contains(port.name)) secured.added.push_back(port.name);
    changed[port.name] = Entry{elementsOf(port, asked), port};
    isOpen = isOpen && asked == PortSecurity::Disabled;
  }
  const Status done = certain ? put(changed, {}, {}, IfRefused::Forget) : certain;
  if (done) return secured;
  const Error error = refused(done.error());
  if (!isOpen) return fail(error);
  secured.told.assign(ports.size(), notCommitted(error));
  secured.added.clear();
  return secured;
}

void PortGuard::release(const std::vector<std::string>& names,
                        const std::vector<IntentId>& intents) {
  const std::lock_guard lock(mutex_);
  Entries gone;
  for (const auto& [name, entry] : entries_) {
    const bool isNamed = std::ranges::find(names, name) != names.end();
    const bool isMeant =
        entry.port && std::ranges::find(intents, entry.port->intent) != intents.end();
    if (isNamed || isMeant) gone[name] = std::nullopt;
  }
  if (!gone.empty()) keepOn(put(gone, {}, {}, IfRefused::Keep));
}

void PortGuard::setNetworks(std::map<NetworkUid, PortSecurity> networks,
                            const std::set<std::uint16_t>& tunnelPorts) {
  const std::lock_guard lock(mutex_);
  const std::set<std::string> wanted = tunnelElements(tunnelPorts);
  const std::set<std::string>& tunnels = tunnelsOf(table_).elements;
  if (wanted == tunnels && networks == networks_ && adopted_) return;
  networks_ = std::move(networks);
  keepOn(makeCertain());  // what a predecessor left is looked at before it is changed
  Entries changed;
  for (const auto& [name, entry] : entries_) {
    if (!entry.port) continue;
    nft::Elements elements = elementsOf(*entry.port, askedOf(*entry.port));
    if (elements != entry.elements) changed[name] = Entry{std::move(elements), entry.port};
  }
  keepOn(put(changed, less({{kTunnelSet, tunnels}}, {{kTunnelSet, wanted}}),
             less({{kTunnelSet, wanted}}, {{kTunnelSet, tunnels}}), IfRefused::Keep));
}

/// What is refused is logged once, and look() tries it again.
void PortGuard::keepOn(const Status& done) {
  if (done) return trouble_.clear();
  if (std::exchange(trouble_, done.error().message) == done.error().message) return;
  log::error("can't keep the rules of pods' ports", {{"error", refused(done.error())}});
}

PortSecurity PortGuard::askedOf(const NetworkUid& network) const {
  const std::lock_guard lock(mutex_);
  const auto found = networks_.find(network);
  return found == networks_.end() ? PortSecurity::Enforced : found->second;
}

/// Of a network that isn't known (yet): as a predecessor had it.
PortSecurity PortGuard::askedOf(const Port& port) const {
  const auto found = networks_.find(port.network);
  if (found != networks_.end()) return found->second;
  const auto entry = entries_.find(port.name);
  return entry == entries_.end() ? PortSecurity::Enforced : securityOf(entry->second.elements);
}

Drops PortGuard::drops() {
  const std::lock_guard lock(mutex_);
  readDrops();
  Drops sum = before_;
  for (const auto& [reason, frames] : now_) sum[reason] += frames;
  return sum;
}

void PortGuard::readDrops() {
  if (!committed_) return;
  const auto read = doors_.committer.counters(table_);
  if (!read || read->empty()) return;
  for (const std::string_view reason : kReasons) {
    const auto found = read->find(kCounterPrefix + std::string(reason));
    now_[std::string(reason)] = found == read->end() ? 0 : found->second;
  }
}

std::uint64_t PortGuard::commits() const {
  const std::lock_guard lock(mutex_);
  return doors_.committer.commits();
}

/// What differs, as one transaction; the whole table where the kernel has none.
Status PortGuard::put(const Entries& changed, nft::Elements gone, nft::Elements added,
                      IfRefused ifRefused) {
  Status done = makeCertain();
  for (const auto& [name, entry] : changed) {
    const auto known = entries_.find(name);
    const nft::Elements before = known == entries_.end() ? nft::Elements{} : known->second.elements;
    const nft::Elements after = entry ? entry->elements : nft::Elements{};
    insert(less(before, after), gone);
    insert(less(after, before), added);
  }
  if (done && certain_) {
    const std::string commands = nft::renderChange(table_, gone, added);
    if (!commands.empty()) done = commit(commands);
  } else if (done && !changed.empty()) {
    nft::Table whole = table_;
    apply(gone, added, whole);
    done = commit(nft::renderReplace(whole));
  }
  if (!done && ifRefused == IfRefused::Forget) return done;
  apply(gone, added, table_);
  for (const auto& [name, entry] : changed) {
    if (entry) {
      entries_[name] = *entry;
    } else {
      entries_.erase(name);
    }
  }
  return done;
}

Status PortGuard::commit(const std::string& commands) {
  // Until the verdict is in, what the kernel has isn't known.
  certain_ = false;
  MULTINET_CHECK(failpoint::check("isolation.commit.before"));
  MULTINET_CHECK(doors_.committer.commit(commands));
  committed_ = true;
  MULTINET_CHECK(failpoint::check("isolation.commit.after"));
  ++generation_;
  certain_ = true;
  return {};
}

/// Has the kernel's table be table_: adopted, compared or replaced. Where neither has anything
/// there is still none afterwards, and nothing is certain.
Status PortGuard::makeCertain() {
  if (certain_) return {};
  MULTINET_TRY(const std::uint32_t generation, doors_.generation.read());
  MULTINET_TRY(const auto listing, doors_.committer.list(table_));
  generation_ = generation;
  compareAt_ = clock_.now() + options_.compareEvery;
  if (!adopted_) {
    if (listing) adopt(*listing);
    adopted_ = true;
  }
  if (listing && listing->matches(table_)) {
    certain_ = true;
    committed_ = true;
    return {};
  }
  if (!listing && entries_.empty()) return {};
  if (committed_) log::warn("the rules of pods' ports aren't as committed, putting them back");
  Status done = replace();
  if (!done && listing && !listing->hasShapeOf(table_)) {
    forgetAdopted();
    done = replace();
  }
  return done;
}

/// Takes over the ports of a table that is there, also of one with other rules: until their pods
/// are looked at they keep what they have.
void PortGuard::adopt(const nft::Listing& listing) {
  for (auto& [name, elements] : portsIn(listing.sets)) {
    apply({}, elements, table_);
    entries_[name] = Entry{std::move(elements), std::nullopt};
  }
  nft::Set& tunnels = tunnelsOf(table_);
  const auto there = listing.sets.find(kTunnelSet);
  if (tunnels.elements.empty() && there != listing.sets.end()) tunnels.elements = there->second;
}

/// Another version's table may have elements that don't fit into this one's.
void PortGuard::forgetAdopted() {
  tunnelsOf(table_).elements.clear();
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->second.port) {
      ++entry;
      continue;
    }
    apply(entry->second.elements, {}, table_);
    entry = entries_.erase(entry);
  }
}

Status PortGuard::replace() {
  readDrops();
  MULTINET_CHECK(commit(nft::renderReplace(table_)));
  for (const auto& [reason, frames] : std::exchange(now_, {})) before_[reason] += frames;
  told_.clear();
  return {};
}

Error PortGuard::refused(const Error& error) const {
  const std::string text = "secure the ports of the switch: " + error.message;
  if (committed_) return {Code::Unavailable, "CommitFailed", text};
  return {Code::Unavailable, "KernelLacks",
          text +
              "; the node's kernel must have nftables for bridges (NF_TABLES_BRIDGE), or the "
              "network spec.portSecurity Disabled"};
}

void PortGuard::look() {
  {
    const std::lock_guard lock(mutex_);
    keep(clock_.now());
  }
  lane_.postAfter(options_.lookEvery, [this] { look(); });
}

void PortGuard::keep(BootTime now) {
  const bool due = now >= compareAt_;
  if (adopted_ && !certain_ && entries_.empty() && !committed_) return;  // no pod, no table
  if (certain_) {
    const auto generation = doors_.generation.read();
    // Somebody else committed something, or it is long ago.
    if (due || !generation || *generation != generation_) certain_ = false;
  }
  const Status done = makeCertain();
  keepOn(done);
  if (!done) return;
  sweep();
  if (due) tellDrops();
}

/// Elements without a link: an attach was cut short, or a removal refused.
void PortGuard::sweep() {
  if (std::ranges::all_of(entries_,
                          [](const auto& entry) { return entry.second.port.has_value(); })) {
    return;
  }
  const auto links = netlink::findLinks(doors_.links);
  if (!links) return;
  std::set<std::string> there;
  for (const netlink::LinkInfo& link : *links) there.insert(link.name);
  Entries gone;
  for (const auto& [name, entry] : entries_) {
    if (!entry.port && !there.contains(name)) gone[name] = std::nullopt;
  }
  if (!gone.empty()) keepOn(put(gone, {}, {}, IfRefused::Keep));
}

void PortGuard::tellDrops() {
  auto frames = doors_.committer.counted(table_, kDroppedSet);
  if (!frames) return;
  std::set<std::string> dropping;
  for (const auto& [element, count] : *frames) {
    const auto before = told_.find(element);
    const auto dropped = droppedOf(element);
    if (!dropped || (before != told_.end() && before->second == count)) continue;
    dropping.insert(element);
    const auto entry = entries_.find(dropped->port);
    if (dropping_.contains(element) || entry == entries_.end() || !entry->second.port) continue;
    const Port& port = *entry->second.port;
    log::warn("frames of a pod are dropped", {{"intent", port.intent},
                                              {"interface", port.interface},
                                              {"port", port.name},
                                              {"reason", std::string(dropped->reason)},
                                              {"frames", count}});
  }
  told_ = std::move(*frames);
  dropping_ = std::move(dropping);
}

Status PortGuard::clear() {
  MULTINET_TRY(auto committer, nft::Committer::open());
  const nft::Table table = portTable();
  MULTINET_TRY(const bool there, committer.exists(table.name, table.family));
  return there ? committer.commit(nft::renderDelete(table.name, table.family)) : Status{};
}

}  // namespace multinet::agent::isolation
