#include "nodeagent/services/service_table.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

namespace multinet::agent::services {
namespace {

using bpf::bytesOf;

constexpr __u32 kThere = 1;

mn_endpoint endpointOf(std::uint32_t id, const Target& target) {
  mn_endpoint endpoint{};
  endpoint.id = id;
  endpoint.backend = toMap(target);
  return endpoint;
}

bool isUdp(const Frontend& frontend) {
  return frontend.transport == Transport::Udp;
}

/// Whether map `endpoints` has its endpoints: somebody was given one, and comes back to it.
bool isKept(const Frontend& frontend, std::uint32_t affinity) {
  return isUdp(frontend) || affinity > 0;
}

}  // namespace

Status ServiceTable::write(bpf::Table& map, bpf::Bytes key, bpf::Bytes value) {
  MULTINET_CHECK(map.put(key, value));
  ++writes_;
  return {};
}

Status ServiceTable::erase(bpf::Table& map, bpf::Bytes key) {
  MULTINET_CHECK(map.erase(key));
  ++writes_;
  return {};
}

Status ServiceTable::writeCount(const Frontend& frontend, const State& state, std::size_t count) {
  const mn_service service{state.terms.network, state.id, static_cast<__u32>(count),
                           state.terms.affinity,
                           state.terms.reachesCluster ? MN_REACHES_CLUSTER : 0U};
  return write(maps_.services, bytesOf(toMap(frontend)), bytesOf(service));
}

Status ServiceTable::writeSlot(const State& state, std::size_t index, const Target& target) {
  const mn_slot slot{state.id, static_cast<__u32>(index)};
  return write(maps_.slots, bytesOf(slot), bytesOf(toMap(target)));
}

Status ServiceTable::adopt() {
  MULTINET_CHECK(maps_.services.each([&](bpf::Bytes key, bpf::Bytes value) {
    const auto service = as<mn_service>(value);
    states_[fromMap(as<mn_frontend>(key))] = {
        {service.network, service.affinity, (service.flags & MN_REACHES_CLUSTER) != 0},
        service.id,
        std::vector<Target>(service.count)};
    nextId_ = std::max(nextId_, service.id + 1);
  }));
  MULTINET_CHECK(adoptSlots());
  return adoptEndpoints();
}

// An agent that was killed between two writes leaves a slot that isn't counted: it goes.
Status ServiceTable::adoptSlots() {
  struct Found {
    State* state;
    std::vector<bool> slots;
  };
  std::unordered_map<std::uint32_t, Found> found;
  for (auto& [frontend, state] : states_) {
    found[state.id] = {&state, std::vector<bool>(state.slots.size())};
  }
  std::vector<mn_slot> loose;
  MULTINET_CHECK(maps_.slots.each([&](bpf::Bytes key, bpf::Bytes value) {
    const auto slot = as<mn_slot>(key);
    nextId_ = std::max(nextId_, slot.id + 1);
    const auto owner = found.find(slot.id);
    if (owner == found.end() || slot.index >= owner->second.slots.size()) {
      loose.push_back(slot);
      return;
    }
    owner->second.state->slots[slot.index] = fromMap(as<mn_backend>(value));
    owner->second.slots[slot.index] = true;
  }));
  for (const mn_slot& slot : loose) MULTINET_CHECK(erase(maps_.slots, bytesOf(slot)));
  // Never left by an agent: somebody else took a slot away. What comes after it goes too.
  for (auto& [frontend, state] : states_) {
    const auto& slots = found.at(state.id).slots;
    const auto whole =
        static_cast<std::size_t>(std::find(slots.begin(), slots.end(), false) - slots.begin());
    if (whole == slots.size()) continue;
    MULTINET_CHECK(writeCount(frontend, state, whole));
    for (std::size_t i = whole; i < slots.size(); ++i) {
      const mn_slot slot{state.id, static_cast<__u32>(i)};
      MULTINET_CHECK(erase(maps_.slots, bytesOf(slot)));
    }
    state.slots.resize(whole);
  }
  for (const auto& [frontend, state] : states_) endpoints_ += state.slots.size();
  return {};
}

Status ServiceTable::adoptEndpoints() {
  std::map<std::uint32_t, std::set<Target>> missing;
  for (const auto& [frontend, state] : states_) {
    if (!isKept(frontend, state.terms.affinity)) continue;
    missing[state.id].insert(state.slots.begin(), state.slots.end());
  }
  std::vector<mn_endpoint> loose;
  MULTINET_CHECK(maps_.endpoints.each([&](bpf::Bytes key, bpf::Bytes /*value*/) {
    const auto endpoint = as<mn_endpoint>(key);
    const auto service = missing.find(endpoint.id);
    if (service == missing.end() || service->second.erase(fromMap(endpoint.backend)) == 0) {
      loose.push_back(endpoint);
    }
  }));
  for (const mn_endpoint& endpoint : loose) {
    MULTINET_CHECK(erase(maps_.endpoints, bytesOf(endpoint)));
  }
  for (const auto& [id, targets] : missing) {
    for (const Target& target : targets) {
      MULTINET_CHECK(write(maps_.endpoints, bytesOf(endpointOf(id, target)), bytesOf(kThere)));
    }
  }
  return {};
}

// What is written and not counted is seen by nobody; where a write fails the count stays.
Status ServiceTable::join(const Frontend& frontend, State& state,
                          const std::vector<Target>& targets) {
  const std::size_t before = state.slots.size();
  Status written;
  for (const Target& target : targets) {
    if (isKept(frontend, state.terms.affinity)) {
      written = write(maps_.endpoints, bytesOf(endpointOf(state.id, target)), bytesOf(kThere));
    }
    if (written) written = writeSlot(state, state.slots.size(), target);
    if (!written) break;
    state.slots.push_back(target);
  }
  endpoints_ += state.slots.size() - before;
  if (state.slots.size() != before) {
    MULTINET_CHECK(writeCount(frontend, state, state.slots.size()));
  }
  return written;
}

// Whoever read the count before finds the last slot once more, or, where it is gone, the first.
Status ServiceTable::leave(const Frontend& frontend, State& state, std::size_t index) {
  const Target gone = state.slots[index];
  const std::size_t last = state.slots.size() - 1;
  if (index != last) {
    MULTINET_CHECK(writeSlot(state, index, state.slots[last]));
    state.slots[index] = state.slots[last];
  }
  MULTINET_CHECK(writeCount(frontend, state, last));
  state.slots.pop_back();
  --endpoints_;
  const mn_slot slot{state.id, static_cast<__u32>(last)};
  MULTINET_CHECK(erase(maps_.slots, bytesOf(slot)));
  if (!isKept(frontend, state.terms.affinity)) return {};
  return erase(maps_.endpoints, bytesOf(endpointOf(state.id, gone)));
}

// Endpoints are there before clients keep them, and go when none does any more.
Status ServiceTable::retain(const Frontend& frontend, State& state, const Terms& terms) {
  const bool before = isKept(frontend, state.terms.affinity);
  const bool now = isKept(frontend, terms.affinity);
  for (std::size_t i = 0; now && !before && i < state.slots.size(); ++i) {
    const auto endpoint = endpointOf(state.id, state.slots[i]);
    Status known = write(maps_.endpoints, bytesOf(endpoint), bytesOf(kThere));
    if (known) continue;
    for (std::size_t made = 0; made < i; ++made) {
      MULTINET_CHECK(erase(maps_.endpoints, bytesOf(endpointOf(state.id, state.slots[made]))));
    }
    return known;
  }
  const Terms standing = std::exchange(state.terms, terms);
  if (const Status said = writeCount(frontend, state, state.slots.size()); !said) {
    state.terms = standing;
    return said;
  }
  for (std::size_t i = 0; before && !now && i < state.slots.size(); ++i) {
    MULTINET_CHECK(erase(maps_.endpoints, bytesOf(endpointOf(state.id, state.slots[i]))));
  }
  return {};
}

Status ServiceTable::put(const Frontend& frontend, const Terms& terms,
                         const std::vector<Target>& targets, std::vector<Ended>& ended) {
  const auto standing = states_.find(frontend);
  if (standing != states_.end() && standing->second.terms.network != terms.network) {
    MULTINET_CHECK(remove(frontend, ended));
  }
  auto [place, isNew] = states_.try_emplace(frontend);
  State& state = place->second;
  if (isNew) {
    state.terms = terms;
    state.id = nextId_++;
    // Whoever connects is refused at once until the first endpoint is counted.
    if (const Status made = writeCount(frontend, state, 0); !made) {
      states_.erase(place);
      return made;
    }
  }
  // Where there is no room for that, it goes on as it was.
  Status retained = state.terms == terms ? Status() : retain(frontend, state, terms);
  const std::set<Target> wanted(targets.begin(), targets.end());
  const std::set<Target> there(state.slots.begin(), state.slots.end());
  std::vector<Target> fresh;
  std::ranges::set_difference(wanted, there, std::back_inserter(fresh));
  // First, so that nobody is refused where all are replaced. Where there is no room, what goes
  // makes some.
  Status joined = join(frontend, state, fresh);
  Ended gone{state.terms.network, state.id, {}};
  for (std::size_t i = state.slots.size(); i-- > 0;) {
    const Target target = state.slots[i];
    if (wanted.contains(target)) continue;
    if (isUdp(frontend)) gone.targets.push_back(target);
    if (const Status left = leave(frontend, state, i); !left) {
      if (!gone.targets.empty()) ended.push_back(std::move(gone));
      return left;
    }
  }
  if (!gone.targets.empty()) ended.push_back(std::move(gone));
  if (joined) return retained;
  const std::set<Target> now(state.slots.begin(), state.slots.end());
  fresh.clear();
  std::ranges::set_difference(wanted, now, std::back_inserter(fresh));
  MULTINET_CHECK(join(frontend, state, fresh));
  return retained;
}

Status ServiceTable::remove(const Frontend& frontend, std::vector<Ended>& ended) {
  const auto standing = states_.find(frontend);
  if (standing == states_.end()) return {};
  State& state = standing->second;
  MULTINET_CHECK(erase(maps_.services, bytesOf(toMap(frontend))));
  if (isUdp(frontend) && !state.slots.empty()) {
    ended.push_back({state.terms.network, state.id, state.slots});
  }
  const State gone = std::move(state);
  states_.erase(standing);
  endpoints_ -= gone.slots.size();
  // Loose from here on: after a failure the next agent takes them away.
  for (std::size_t i = 0; i < gone.slots.size(); ++i) {
    const mn_slot slot{gone.id, static_cast<__u32>(i)};
    MULTINET_CHECK(erase(maps_.slots, bytesOf(slot)));
    if (isKept(frontend, gone.terms.affinity)) {
      MULTINET_CHECK(erase(maps_.endpoints, bytesOf(endpointOf(gone.id, gone.slots[i]))));
    }
  }
  return {};
}

std::vector<Frontend> ServiceTable::frontends() const {
  std::vector<Frontend> all;
  all.reserve(states_.size());
  for (const auto& [frontend, state] : states_) all.push_back(frontend);
  return all;
}

}  // namespace multinet::agent::services
