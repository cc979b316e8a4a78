#include "lib/policy/address_classes.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace multinet::policy {

template <class Map, class Key>
void AddressClasses::putIn(Map& map, const Key& key, Number number) {
  // Most come in order.
  const auto before = map.size();
  const auto at = map.try_emplace(map.end(), key, number);
  ++uses_[number];
  if (map.size() == before) release(std::exchange(at->second, number));
}

template <class Map, class Key>
void AddressClasses::eraseFrom(Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  release(found->second);
  map.erase(found);
}

void AddressClasses::release(Number number) {
  const auto used = uses_.find(number);
  if (--used->second == 0) uses_.erase(used);
}

void AddressClasses::put(const AddressRange& range, Number number) {
  if (range.first == range.last) return putIn(singles_, range.first, number);
  putIn(ranges_, range, number);
}

void AddressClasses::erase(const AddressRange& range) {
  if (range.first == range.last) return eraseFrom(singles_, range.first);
  eraseFrom(ranges_, range);
}

Number AddressClasses::of(const IpAddress& address) const {
  const auto single = singles_.find(address);
  return single == singles_.end() ? ofRangeAround(address) : single->second;
}

Number AddressClasses::ofRangeAround(const IpAddress& address) const {
  const auto after = ranges_.upper_bound({address, lastOf(address.family())});
  if (after == ranges_.begin()) return kEverybody;
  const auto& [range, number] = *std::prev(after);
  // Ordered by family first: a range before it may be of the other one.
  return range.last.family() == address.family() && address <= range.last ? number : kEverybody;
}

AddressChange changeOf(const AddressClasses& before, const AddressClasses& after) {
  AddressChange out;
  const auto put = [](const auto& from, const auto& without, auto& into) {
    std::vector<std::pair<IpAddress, Number>> singles;
    std::ranges::set_difference(from.singles(), without.singles(), std::back_inserter(singles));
    for (const auto& [address, number] : singles) {
      into.emplace_back(AddressRange{address, address}, number);
    }
    std::ranges::set_difference(from.ranges(), without.ranges(), std::back_inserter(into));
  };
  put(before, after, out.removed);
  put(after, before, out.added);
  return out;
}

void apply(const AddressChange& change, AddressClasses& addresses) {
  for (const auto& [range, number] : change.removed) addresses.erase(range);
  for (const auto& [range, number] : change.added) addresses.put(range, number);
}

AddressChange reversed(AddressChange change) {
  std::swap(change.removed, change.added);
  return change;
}

}  // namespace multinet::policy
