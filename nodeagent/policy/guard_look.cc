// What the kernel has, against what it shall have: what a predecessor left, what somebody else
// changed, and what nobody needs any more.
#include <algorithm>
#include <utility>

#include "lib/base/log.h"
#include "lib/netlink/link.h"
#include "nodeagent/policy/guard.h"

namespace multinet::agent::policing {
namespace {

/// How often drops beyond a share are looked at, to be told of.
constexpr std::chrono::seconds kTellEvery(10);
/// What a predecessor may have left in a pod: twice the largest program.
constexpr std::size_t kMostLeft = 400'000;
/// Longer than it takes to try again.
constexpr std::chrono::seconds kUnseenFor(2);

}  // namespace

/// Transactions in this namespace that are neither this guard's nor its process's. Those of the
/// process are read first, so that one in between counts as a stranger's, never the other way.
Result<std::uint64_t> PolicyGuard::foreign() {
  const std::uint64_t others = options_.others();
  MULTINET_TRY(const std::uint32_t generation, doors_.generation.read());
  return static_cast<std::uint32_t>(generation - own_ - others);
}

/// Whether the kernel's tables are tables_, after what a predecessor left was taken over; nothing
/// where there are none.
Result<std::optional<bool>> PolicyGuard::compare() {
  const bool isInPod = options_.settleLater != nullptr;
  if (isInPod && adopted_) {
    // A container with NET_ADMIN may have put in any number of elements: they aren't read.
    nft::Committer& committer = doors_.committer;
    MULTINET_TRY(const bool hasRules, committer.exists(tables_.rules.name, tables_.rules.family));
    MULTINET_TRY(const bool hasFlows, committer.exists(tables_.flows.name, tables_.flows.family));
    if (!hasRules && !hasFlows) return std::optional<bool>{};
    MULTINET_TRY(const bool isSame, committer.matches(tables_.rules, nft::kFewStrangers));
    if (!isSame) return std::optional(false);
    MULTINET_TRY(const bool areSame, committer.matches(tables_.flows, nft::kFewStrangers));
    return std::optional(areSame);
  }
  std::optional<std::size_t> strangers;
  if (isInPod) strangers = kMostLeft;
  MULTINET_TRY(const auto rules, doors_.committer.list(tables_.rules, strangers));
  MULTINET_TRY(const auto flows, doors_.committer.list(tables_.flows, strangers));
  if (!std::exchange(adopted_, true)) {
    nft::Elements elements;
    if (rules) nft::insert(rules->sets, elements);
    if (flows) nft::insert(flows->sets, elements);
    take(elements);
  }
  if (!rules && !flows) return std::optional<bool>{};
  return std::optional(rules && flows && rules->matches(tables_.rules) &&
                       flows->matches(tables_.flows));
}

/// What compare() finds, with the strangers' count of before it.
Result<std::optional<bool>> PolicyGuard::lookWhole() {
  MULTINET_TRY(const std::uint64_t foreign, this->foreign());
  MULTINET_TRY(const auto isSame, compare());
  foreign_ = foreign;
  compareAt_ = clock_.now() + options_.compareEvery;
  return isSame;
}

/// Has the kernel's tables be tables_: adopted, compared or replaced. Where these have nothing
/// there are none afterwards, and nothing is certain.
Status PolicyGuard::makeCertain() {
  if (certain_) return {};
  const auto seen = lookWhole();
  if (!seen) {
    // Somebody may have taken them away: nothing is told as held for long that nobody sees.
    const BootTime now = clock_.now();
    if (!unseenSince_) unseenSince_ = now;
    if (now - *unseenSince_ >= kUnseenFor) missing_ = refused(seen.error());
    return fail(seen.error());
  }
  unseenSince_.reset();
  const auto& isSame = *seen;
  if (networks_.empty() && found_.empty()) {
    missing_.reset();
    return isSame ? removeTables() : Status{};
  }
  if (isSame.value_or(false)) {
    certain_ = true;
    committed_ = true;
    missing_.reset();
    return {};
  }
  if (committed_) {
    log::warn("the rules of policies aren't as committed, putting them back",
              {{"of", options_.whose}});
  }
  Status done = replace();
  // In a pod somebody may have put in what no such table takes, before this adopted it.
  if (options_.settleLater && nft::isRefused(done) && !found_.empty()) {
    forgetFound();
    done = networks_.empty() ? removeTables() : replace();
  }
  missing_ = done ? std::nullopt : std::optional(refused(done.error()));
  return done;
}

std::optional<Error> PolicyGuard::trouble() const {
  const std::lock_guard lock(mutex_);
  return missing_ ? missing_ : untracked_;
}

/// What a predecessor has left.
void PolicyGuard::take(const nft::Elements& elements) {
  FoundAll all = foundIn(elements);
  last_ = all.last;
  for (const auto& [bridge, found] : all.networks) {
    nft::apply({}, found.elements, tables_.rules);
    nft::apply({}, found.elements, tables_.flows);
    lastZone_ = std::max(lastZone_, found.standing.zone);
    lastGeneration_ = std::max(lastGeneration_, found.standing.generation.value_or(0));
  }
  found_ = std::move(all.networks);
}

void PolicyGuard::forgetFound() {
  for (const auto& [bridge, found] : std::exchange(found_, {})) {
    nft::apply(found.elements, {}, tables_.rules);
    nft::apply(found.elements, {}, tables_.flows);
  }
}

/// Nobody knows what passed meanwhile: all flows are judged again.
Status PolicyGuard::replace() {
  readDenied();
  withdrawGenerations();
  MULTINET_CHECK(putWhole(tables_));
  forgetCounters();
  return {};
}

void PolicyGuard::withdrawGenerations() {
  for (nft::Table* table : {&tables_.rules, &tables_.flows}) {
    for (nft::Set& set : table->sets) {
      const bool isOne = std::ranges::find(kGenerationSets, set.name) != kGenerationSets.end();
      if (isOne) set.elements.clear();
    }
  }
  for (auto& [bridge, found] : found_) {
    for (const char* const set : kGenerationSets) found.elements.erase(set);
    found.standing.generation.reset();
  }
  for (auto& [uid, network] : networks_) {
    network.standing.generation.reset();
    network.unsettled = ++changes_;
  }
  if (!networks_.empty()) settleLater();
}

Error PolicyGuard::refused(const Error& error) const {
  return {Code::Unavailable, "CommitFailed", "hold ports to policies: " + error.message};
}

/// What is refused is logged once, and look() tries it again.
void PolicyGuard::keepOn(const Status& done) {
  if (done) return trouble_.clear();
  if (std::exchange(trouble_, done.error().message) == done.error().message) return;
  log::error("can't keep the rules of policies",
             {{"of", options_.whose}, {"error", refused(done.error())}});
}

void PolicyGuard::look() {
  {
    const std::lock_guard lock(mutex_);
    keep();
  }
  if (lane_) lane_->postAfter(options_.lookEvery, [this] { look(); });
}

void PolicyGuard::keep() {
  const bool isIdle = adopted_ && !committed_ && networks_.empty() && found_.empty();
  if (isIdle) return;  // no policy, no table
  if (certain_) {
    const auto strangers = foreign();
    // Somebody else committed something, or it is long ago.
    if (clock_.now() >= compareAt_ || !strangers || *strangers != foreign_) certain_ = false;
  }
  Status done = makeCertain();
  if (done) {
    for (const NetworkUid& uid : std::exchange(forgotten_, {})) {
      if (!networks_.contains(uid)) continue;
      done = remove(uid);
      if (!done) forgotten_.insert(uid);
    }
    sweep();
  }
  bool isUnsettled = false;
  untracked_.reset();
  for (const auto& [uid, network] : networks_) {
    const Status tracked = setTracked(network.standing.bridge, netlink::CallsInet::Yes);
    if (!tracked) {
      done = tracked;
      untracked_ = refused(tracked.error());
    }
    isUnsettled = isUnsettled || network.unsettled != 0;
  }
  if (isUnsettled) settleLater();
  keepOn(done);
  if (done && committed_ && mostFlows_ != 0 && clock_.now() >= tellAt_) {
    tellAt_ = clock_.now() + kTellEvery;
    tellBeyond();
  }
}

/// Elements of ports without a link, and of bridges without one: an attach was cut short, or a
/// removal refused.
void PolicyGuard::sweep() {
  if (found_.empty()) return;
  const auto links = netlink::findLinks(doors_.links);
  if (!links) return;
  std::set<std::string> there;
  for (const auto& link : *links) there.insert(link.name);
  for (auto next = found_.begin(); next != found_.end();) {
    auto& [bridge, found] = *next++;
    const auto isThere = [&](const std::string& port) { return there.contains(port); };
    const bool isLost =
        found.ports.empty() ? !isThere(bridge) : std::ranges::none_of(found.ports, isThere);
    if (isLost) {
      keepOn(removeFound(bridge));
      continue;
    }
    nft::Elements gone;
    for (const char* const set : {"isolated", "networks", "egress", "ingress", "egress_ports",
                                  "ingress_ports", "gateways", "gateways4", "gateways6"}) {
      for (const std::string& element : found.elements[set]) {
        if (!isThere(element.substr(0, element.find(' ')))) gone[set].insert(element);
      }
    }
    if (nft::isNone(gone)) continue;
    for (const char* const set : kGenerationSets) {
      nft::insert({{set, found.elements[set]}}, gone);
    }
    const Status done = put({gone, {}});
    keepOn(done);
    if (!done) return;
    nft::erase(gone, found.elements);
    found.standing.generation.reset();
    std::erase_if(found.ports, [&](const std::string& port) { return !isThere(port); });
  }
}

}  // namespace multinet::agent::policing
