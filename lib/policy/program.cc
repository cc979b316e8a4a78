#include "lib/policy/program.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace multinet::policy {
namespace {

bool permits(const Program& program, Number subject, Number peers, const Packet& packet) {
  if (program.permits.contains({subject, peers, std::nullopt, 0, 0})) return true;
  if (!packet.protocol) {
    return program.permits.contains({subject, peers, std::nullopt, 0, 0, true});
  }
  constexpr auto kLast = std::numeric_limits<std::uint16_t>::max();
  const auto after =
      program.permits.upper_bound({subject, peers, packet.protocol, packet.port, kLast});
  if (after == program.permits.begin()) return false;
  const Permit& permit = *std::prev(after);
  return permit.subject == subject && permit.peers == peers && permit.protocol == packet.protocol &&
         packet.port <= permit.last;
}

bool allowsEnd(const Program& program, const std::map<PodKey, Number>& subjects, const PodKey* pod,
               const IpAddress& peer, const Packet& packet) {
  if (pod == nullptr) return true;
  const auto subject = subjects.find(*pod);
  if (subject == subjects.end()) return true;
  if (permits(program, subject->second, kEverybody, packet)) return true;
  const Number peers = program.addresses.of(peer);
  return peers != kEverybody && permits(program, subject->second, peers, packet);
}

/// Of two ordered containers, in one pass.
template <class Container>
auto changeOf(const Container& before, const Container& after) {
  using Stored = typename Container::value_type;
  std::vector<Stored> removed;
  std::vector<Stored> added;
  std::ranges::set_difference(before, after, std::back_inserter(removed));
  std::ranges::set_difference(after, before, std::back_inserter(added));
  return std::pair(std::move(removed), std::move(added));
}

template <class Map>
auto changeOfMap(const Map& before, const Map& after) {
  const auto [removed, added] = changeOf(before, after);
  Change<std::pair<typename Map::key_type, Number>> out;
  out.removed.assign(removed.begin(), removed.end());
  out.added.assign(added.begin(), added.end());
  return out;
}

template <class Map>
void applyToMap(const Change<std::pair<typename Map::key_type, Number>>& change, Map& map) {
  for (const auto& [key, number] : change.removed) map.erase(key);
  for (const auto& [key, number] : change.added) map.insert_or_assign(key, number);
}

}  // namespace

bool allows(const Program& program, const Packet& packet, const PodKey* from, const PodKey* to) {
  if (from != nullptr && to != nullptr && *from == *to) return true;
  return allowsEnd(program, program.egress, from, packet.destination, packet) &&
         allowsEnd(program, program.ingress, to, packet.source, packet);
}

bool Delta::empty() const {
  return egress.empty() && ingress.empty() && addresses.empty() && permits.empty();
}

bool Delta::mayTighten() const {
  // An interface that isn't isolated any more, a permit, and, where no order matters, an address
  // that had no class before can only add to what is allowed.
  return !egress.added.empty() || !ingress.added.empty() || !addresses.removed.empty() ||
         !permits.removed.empty() || (ordered && !addresses.added.empty());
}

Delta delta(const Program& before, const Program& after) {
  Delta out;
  out.egress = changeOfMap(before.egress, after.egress);
  out.ingress = changeOfMap(before.ingress, after.ingress);
  out.addresses = policy::changeOf(before.addresses, after.addresses);
  auto [removed, added] = changeOf(before.permits, after.permits);
  out.permits = {std::move(removed), std::move(added)};
  out.ordered = after.ordered;
  return out;
}

void apply(const Delta& delta, Program& program) {
  applyToMap(delta.egress, program.egress);
  applyToMap(delta.ingress, program.ingress);
  policy::apply(delta.addresses, program.addresses);
  for (const auto& permit : delta.permits.removed) program.permits.erase(permit);
  program.permits.insert(delta.permits.added.begin(), delta.permits.added.end());
  program.ordered = delta.ordered;
}

}  // namespace multinet::policy
