#include "nodeagent/services/members.h"

#include <algorithm>
#include <vector>

namespace multinet::agent::services {
namespace {

/// Of a namespace that has any network; see program/layout.h.
constexpr NetworkKey kAny = 0;
constexpr __u32 kThere = 1;

}  // namespace

Status Members::write(const Entry& entry) {
  if (there_.contains(entry)) return {};
  const mn_member member{entry.first, entry.second};
  MULTINET_CHECK(map_->put(bpf::bytesOf(member), bpf::bytesOf(kThere)));
  ++writes_;
  there_.insert(entry);
  return {};
}

Status Members::erase(const Entry& entry) {
  if (!there_.contains(entry)) return {};
  const mn_member member{entry.first, entry.second};
  MULTINET_CHECK(map_->erase(bpf::bytesOf(member)));
  ++writes_;
  there_.erase(entry);
  return {};
}

// A process of a pod that has any is looked at; so that comes last, and goes first.
Status Members::add(const Pod& pod) {
  if (map_ == nullptr) return {};
  for (const NetworkKey network : pod.networks) MULTINET_CHECK(write({pod.netns, network}));
  if (pod.networks.empty()) return {};
  return write({pod.netns, kAny});
}

Status Members::eraseAll(std::uint64_t netns) {
  std::vector<Entry> entries;
  for (auto one = there_.lower_bound({netns, kAny}); one != there_.end() && one->first == netns;
       ++one) {
    entries.push_back(*one);
  }
  for (const Entry& entry : entries) MULTINET_CHECK(erase(entry));
  return {};
}

Status Members::joined(const IntentId& intent, std::uint64_t netns,
                       const std::set<NetworkKey>& networks) {
  const std::lock_guard lock(mutex_);
  Pod pod{netns, networks};
  Status added = add(pod);
  pods_[intent] = std::move(pod);
  problem_ = added ? std::nullopt : std::optional(added.error());
  return added;
}

void Members::left(const IntentId& intent) {
  const std::lock_guard lock(mutex_);
  const auto pod = pods_.find(intent);
  if (pod == pods_.end()) return;
  const std::uint64_t netns = pod->second.netns;
  pods_.erase(pod);
  const auto another = [netns](const auto& one) { return one.second.netns == netns; };
  if (map_ == nullptr || std::ranges::any_of(pods_, another)) return;
  // Nobody else ever has that number: what stays is found by the next agent.
  if (const Status erased = eraseAll(netns); !erased) problem_ = erased.error();
}

bool Members::knows(const IntentId& intent) const {
  const std::lock_guard lock(mutex_);
  return pods_.contains(intent);
}

Status Members::open(bpf::Table& map) {
  const std::lock_guard lock(mutex_);
  std::set<Entry> there;
  MULTINET_CHECK(map.each([&there](bpf::Bytes key, bpf::Bytes /*value*/) {
    const auto member = as<mn_member>(key);
    there.emplace(member.netns, member.network);
  }));
  map_ = &map;
  there_ = std::move(there);
  problem_.reset();
  for (const auto& [intent, pod] : pods_) {
    if (const Status added = add(pod); !added) problem_ = added.error();
  }
  return {};
}

Status Members::keep(const std::set<std::uint64_t>& alive) {
  const std::lock_guard lock(mutex_);
  std::set<std::uint64_t> gone;
  for (const auto& [netns, network] : there_) {
    if (!alive.contains(netns)) gone.insert(netns);
  }
  for (const auto& [intent, pod] : pods_) gone.erase(pod.netns);
  for (const std::uint64_t netns : gone) MULTINET_CHECK(eraseAll(netns));
  return {};
}

bool Members::has(std::uint64_t netns, NetworkKey network) const {
  const std::lock_guard lock(mutex_);
  return there_.contains({netns, network});
}

std::optional<Error> Members::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

std::uint64_t Members::writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

}  // namespace multinet::agent::services
