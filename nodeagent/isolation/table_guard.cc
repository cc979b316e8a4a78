#include "nodeagent/isolation/table_guard.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "lib/base/failpoint.h"
#include "lib/base/log.h"
#include "lib/netlink/link.h"
#include "lib/netlink/neighbour.h"
#include "lib/netns/netns.h"

namespace multinet::agent::isolation {
namespace {

using api::PortSecurity;

/// All pods are looked at several times a minute. Nobody else can tell whether there is a link with
/// its device's MAC and some address.
constexpr std::chrono::minutes kMeetWithin(10);

nft::Set& tunnelsOf(nft::Table& table) {
  return *std::ranges::find(table.sets, kTunnelSet, &nft::Set::name);
}

std::optional<std::uint16_t> readPort(const std::string& text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, port);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return port;
}

}  // namespace

Result<std::unique_ptr<TableGuard>> TableGuard::open(Kind kind, const std::optional<Fd>& netns,
                                                     Duration compareEvery, const Clock& clock) {
  std::optional<netns::Scope> scope;
  if (netns) {
    MULTINET_TRY(auto entered, netns::Scope::enter(*netns));
    scope.emplace(std::move(entered));
  }
  MULTINET_TRY(auto committer, nft::Committer::open());
  MULTINET_TRY(auto generation, nft::Generation::open());
  MULTINET_TRY(auto links, netlink::Socket::open());
  return std::unique_ptr<TableGuard>(
      new TableGuard(kind, Doors{std::move(committer), std::move(generation), std::move(links)},
                     compareEvery, clock));
}

TableGuard::TableGuard(Kind kind, Doors doors, Duration compareEvery, const Clock& clock)
    : kind_(kind),
      compareEvery_(compareEvery),
      clock_(clock),
      doors_(std::move(doors)),
      table_(kind == Kind::Ends ? portTable() : parentTable({})) {}

Result<TableGuard::Secured> TableGuard::secure(const std::vector<Port>& ports) {
  const std::lock_guard lock(mutex_);
  if (ports.empty()) return Secured{};
  // First, since a predecessor's ports say what they were held to.
  const Status certain = makeCertain();
  meet(ports);
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

/// The devices that these ports stand on: one that is new, or another of the same name, needs its
/// two chains.
void TableGuard::meet(const std::vector<Port>& ports) {
  for (const Port& port : ports) {
    if (port.parent.empty()) continue;
    const bool isShared = port.site == Site::SharedParent;
    const auto [parent, isNew] = parents_.try_emplace(port.parent);
    const bool isOther = isNew || parent->second.isShared != isShared;
    if (!isOther && parent->second.index == port.parentIndex) continue;
    parent->second = {port.parentIndex, isShared};
    if (isOther) reshape();
    certain_ = false;
  }
}

/// The table of the devices as they are, with the elements that it has.
void TableGuard::reshape() {
  std::set<std::string> own;
  std::set<std::string> shared;
  for (const auto& [name, parent] : parents_) (parent.isShared ? shared : own).insert(name);
  nft::Table table = parentTable(own, shared);
  for (std::size_t i = 0; i < table.sets.size(); ++i) {
    table.sets[i].elements = std::move(table_.sets[i].elements);
  }
  table_ = std::move(table);
  reshaped_ = true;
}

/// A kernel refuses chains of a device that isn't there. What stands on one that was renamed goes
/// on, so its chains follow it.
void TableGuard::followParents() {
  bool isOther = false;
  for (auto next = parents_.begin(); next != parents_.end();) {
    const auto parent = next++;
    const auto named = netlink::findLink(doors_.links, {0, parent->first});
    if (named || named.error().code != Code::NotFound) continue;
    const auto lost = parents_.extract(parent);
    isOther = true;
    if (lost.mapped().index == 0) continue;
    const auto renamed = netlink::findLink(doors_.links, {lost.mapped().index, ""});
    if (!renamed) continue;
    parents_.try_emplace(renamed->name, lost.mapped());
    for (auto& [name, entry] : entries_) {
      if (entry.port && entry.port->parent == lost.key()) entry.port->parent = renamed->name;
    }
  }
  if (isOther) reshape();
}

/// Of devices that all links share those on which nobody is held to anything any more: others on
/// them go on as if there had never been a pod.
void TableGuard::forgetIdleParents() {
  std::set<std::string> used;
  for (const auto& [name, entry] : entries_) {
    if (!isOnDevice(entry.elements)) continue;
    if (!entry.port) return;  // whose device isn't known
    used.insert(entry.port->parent);
  }
  const auto isIdle = [&](const auto& parent) {
    return parent.second.isShared && !used.contains(parent.first);
  };
  if (std::erase_if(parents_, isIdle) == 0) return;
  reshape();
  certain_ = false;
  keepOn(makeCertain());
}

void TableGuard::release(const std::vector<std::string>& names,
                         const std::vector<IntentId>& intents) {
  const std::lock_guard lock(mutex_);
  Entries gone;
  for (const auto& [name, entry] : entries_) {
    const bool isNamed = std::ranges::find(names, name) != names.end();
    const bool isMeant =
        entry.port && std::ranges::find(intents, entry.port->intent) != intents.end();
    if (isNamed || isMeant) gone[name] = std::nullopt;
  }
  if (gone.empty()) return;
  keepOn(put(gone, {}, {}, IfRefused::Keep));
  forgetIdleParents();
}

void TableGuard::setNetworks(std::map<NetworkUid, PortSecurity> networks,
                             const std::set<std::uint16_t>& tunnelPorts) {
  const std::lock_guard lock(mutex_);
  const std::set<std::string> wanted = tunnelElements(tunnelPorts);
  if (wanted == tunnelsOf(table_).elements && networks == networks_ && adopted_) return;
  networks_ = std::move(networks);
  keepOn(makeCertain());  // what a predecessor left is looked at before it is changed
  const std::set<std::string> tunnels = tunnelsOf(table_).elements;
  Entries changed;
  for (const auto& [name, entry] : entries_) {
    if (!entry.port) continue;
    nft::Elements elements = elementsOf(*entry.port, askedOf(*entry.port));
    if (elements != entry.elements) changed[name] = Entry{std::move(elements), entry.port};
  }
  keepOn(put(changed, nft::less({{kTunnelSet, tunnels}}, {{kTunnelSet, wanted}}),
             nft::less({{kTunnelSet, wanted}}, {{kTunnelSet, tunnels}}), IfRefused::Keep));
  forgetIdleParents();
}

/// What is refused is logged once, and look() tries it again.
void TableGuard::keepOn(const Status& done) {
  if (done) return trouble_.clear();
  if (std::exchange(trouble_, done.error().message) == done.error().message) return;
  log::error("can't keep the rules of pods' ports", {{"error", refused(done.error())}});
}

PortSecurity TableGuard::askedOf(const NetworkUid& network) const {
  const std::lock_guard lock(mutex_);
  const auto found = networks_.find(network);
  return found == networks_.end() ? PortSecurity::Enforced : found->second;
}

bool TableGuard::knows(const NetworkUid& network) const {
  const std::lock_guard lock(mutex_);
  return networks_.contains(network);
}

PortSecurity TableGuard::heldTo(const Port& port) const {
  const std::lock_guard lock(mutex_);
  return askedOf(port);
}

/// Of a network that isn't known (yet): as a predecessor had it.
PortSecurity TableGuard::askedOf(const Port& port) const {
  const auto found = networks_.find(port.network);
  if (found != networks_.end()) return found->second;
  const auto entry = entries_.find(port.name);
  return entry == entries_.end() ? PortSecurity::Enforced : securityOf(entry->second.elements);
}

std::set<std::uint16_t> TableGuard::tunnelPorts() const {
  const std::lock_guard lock(mutex_);
  std::set<std::uint16_t> ports;
  for (const nft::Set& set : table_.sets) {
    if (set.name != kTunnelSet) continue;
    for (const std::string& text : set.elements) {
      if (const auto port = readPort(text)) ports.insert(*port);
    }
  }
  return ports;
}

Drops TableGuard::drops() {
  const std::lock_guard lock(mutex_);
  readDrops();
  Drops sum = before_;
  for (const auto& [reason, frames] : now_) sum[reason] += frames;
  return sum;
}

void TableGuard::readDrops() {
  if (!committed_) return;
  const auto read = doors_.committer.counters(table_);
  if (!read || read->empty()) return;
  for (const std::string_view reason : kReasons) {
    const auto found = read->find(kCounterPrefix + std::string(reason));
    now_[std::string(reason)] = found == read->end() ? 0 : found->second;
  }
}

std::uint64_t TableGuard::commits() const {
  const std::lock_guard lock(mutex_);
  return doors_.committer.commits();
}

/// What differs, as one transaction; the whole table where the kernel has none.
Status TableGuard::put(const Entries& changed, nft::Elements gone, nft::Elements added,
                       IfRefused ifRefused) {
  Status done = makeCertain();
  for (const auto& [name, entry] : changed) {
    const auto known = entries_.find(name);
    const nft::Elements before = known == entries_.end() ? nft::Elements{} : known->second.elements;
    const nft::Elements after = entry ? entry->elements : nft::Elements{};
    nft::insert(nft::less(before, after), gone);
    nft::insert(nft::less(after, before), added);
  }
  const auto write = [&]() -> Status {
    if (certain_) {
      if (nft::isNone(gone) && nft::isNone(added)) return {};
      return commit([&] { return doors_.committer.change({&table_}, gone, added); });
    }
    if (changed.empty()) return {};
    nft::Table whole = table_;
    nft::apply(gone, added, whole);
    return commit([&] { return doors_.committer.commit(nft::renderReplace(whole)); });
  };
  if (done) done = write();
  // Somebody else may have changed the table since the last look.
  if (nft::isRefused(done) && makeCertain()) done = write();
  if (!done && ifRefused == IfRefused::Forget) return done;
  nft::apply(gone, added, table_);
  for (const auto& [name, entry] : changed) {
    if (entry) {
      entries_[name] = *entry;
    } else {
      entries_.erase(name);
    }
  }
  return done;
}

Status TableGuard::commit(const std::function<Status()>& transaction) {
  // Until the verdict is in, what the kernel has isn't known.
  certain_ = false;
  MULTINET_CHECK(failpoint::check("isolation.commit.before"));
  MULTINET_CHECK(transaction());
  committed_ = true;
  MULTINET_CHECK(failpoint::check("isolation.commit.after"));
  ++generation_;
  certain_ = true;
  return {};
}

/// Has the kernel's table be table_: adopted, compared or replaced. Where neither has anything
/// there is still none afterwards, and nothing is certain.
Status TableGuard::makeCertain() {
  if (certain_) return {};
  MULTINET_TRY(const std::uint32_t generation, doors_.generation.read());
  MULTINET_TRY(const auto listing, doors_.committer.list(table_));
  generation_ = generation;
  compareAt_ = clock_.now() + compareEvery_;
  if (!adopted_) {
    if (listing) adopt(*listing);
    adopted_ = true;
  }
  followParents();
  if (listing && listing->matches(table_)) {
    certain_ = true;
    committed_ = true;
    return {};
  }
  if (!listing && entries_.empty()) return {};
  if (committed_ && !std::exchange(reshaped_, false))
    log::warn("the rules of pods' ports aren't as committed, putting them back");
  Status done = replace();
  // Whatever else failed, pods that run keep what they have till it is tried again.
  if (nft::isRefused(done) && listing && !listing->hasShapeOf(table_)) {
    log::warn(
        "the rules of pods' ports of another version can't be taken over, each pod's come as it is "
        "looked at",
        {{"error", done.error()}});
    forgetAdopted();
    done = replace();
  }
  return done;
}

/// Takes over the ports of a table that is there, also of one with other rules: until their pods
/// are looked at they keep what they have.
void TableGuard::adopt(const nft::Listing& listing) {
  if (kind_ == Kind::Parents) {
    for (const std::string& parent : parentsIn(listing)) parents_.try_emplace(parent);
    for (const std::string& parent : sharedIn(listing)) parents_.try_emplace(parent, 0, true);
    meetUntil_ = clock_.now() + kMeetWithin;
    reshape();
  }
  for (auto& [name, elements] : portsIn(listing.sets)) {
    nft::apply({}, elements, table_);
    entries_[name] = Entry{std::move(elements), std::nullopt};
  }
  nft::Set& tunnels = tunnelsOf(table_);
  const auto there = listing.sets.find(kTunnelSet);
  if (!tunnels.elements.empty() || there == listing.sets.end()) return;
  // Somebody's may have a comment, which no port is read of and no table of ours takes.
  std::ranges::copy_if(there->second, std::inserter(tunnels.elements, tunnels.elements.end()),
                       [](const std::string& text) { return readPort(text).has_value(); });
}

/// Another version's table may have elements that don't fit into this one's.
void TableGuard::forgetAdopted() {
  tunnelsOf(table_).elements.clear();
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->second.port) {
      ++entry;
      continue;
    }
    nft::apply(entry->second.elements, {}, table_);
    entry = entries_.erase(entry);
  }
}

Status TableGuard::replace() {
  readDrops();
  MULTINET_CHECK(commit([&] { return doors_.committer.commit(nft::renderReplace(table_)); }));
  for (const auto& [reason, frames] : std::exchange(now_, {})) before_[reason] += frames;
  told_.clear();
  return {};
}

Error TableGuard::refused(const Error& error) const {
  const std::string text =
      (kind_ == Kind::Ends ? "secure the ports of the switch: " : "secure links on devices: ") +
      error.message;
  if (committed_) return {Code::Unavailable, "CommitFailed", text};
  const char* const lacks =
      kind_ == Kind::Ends ? "nftables for bridges (NF_TABLES_BRIDGE)" : kDeviceNeeds;
  return {Code::Unavailable, "KernelLacks",
          text + "; the node's kernel must have " + lacks +
              ", or the network spec.portSecurity Disabled"};
}

void TableGuard::look() {
  const std::lock_guard lock(mutex_);
  keep(clock_.now());
}

void TableGuard::keep(BootTime now) {
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
void TableGuard::sweep() {
  if (std::ranges::all_of(entries_,
                          [](const auto& entry) { return entry.second.port.has_value(); })) {
    return;
  }
  const auto there = present();
  if (!there) return;
  Entries gone;
  for (const auto& [name, entry] : entries_) {
    const bool isThere = there->contains(name.substr(0, name.find(" . "))) &&
                         (!isOnDevice(entry.elements) || clock_.now() < meetUntil_);
    if (!entry.port && !isThere) gone[name] = std::nullopt;
  }
  if (gone.empty()) return;
  keepOn(put(gone, {}, {}, IfRefused::Keep));
  forgetIdleParents();
}

/// The ports that have a link, by their names. A device lists the MACs of what stands on it beside
/// its own, in whatever namespace that is (macvlan_open, ndo_dflt_fdb_dump).
Result<std::set<std::string>> TableGuard::present() {
  std::set<std::string> there;
  MULTINET_TRY(const auto links, netlink::findLinks(doors_.links));
  for (const netlink::LinkInfo& link : links) {
    there.insert(kind_ == Kind::Ends ? link.name : link.mac.str());
  }
  if (kind_ == Kind::Ends) return there;
  MULTINET_TRY(const auto entries, netlink::findFdb(doors_.links));
  for (const netlink::FdbEntry& entry : entries) there.insert(entry.mac.str());
  return there;
}

void TableGuard::tellDrops() {
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

Status TableGuard::clear(Kind kind) {
  MULTINET_TRY(auto committer, nft::Committer::open());
  const nft::Table table = kind == Kind::Ends ? portTable() : parentTable({});
  MULTINET_TRY(const bool there, committer.exists(table.name, table.family));
  return there ? committer.commit(nft::renderDelete(table.name, table.family)) : Status{};
}

}  // namespace multinet::agent::isolation
