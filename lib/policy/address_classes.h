// Addresses by class, as a kernel can hold them: single ones and ranges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <utility>
#include <vector>

#include "lib/policy/ranges.h"

namespace multinet::policy {

/// A subject or a class.
using Number = std::uint32_t;
/// In a permit, instead of a class: whatever the address is.
inline constexpr Number kEverybody = 0;

/// An address that stands by itself has its own class, whatever range it lies in. Ranges are
/// disjoint. Who isn't here is in no class. There may be 100,000; a change costs their logarithm.
class AddressClasses {
 public:
  AddressClasses() = default;
  AddressClasses(std::initializer_list<std::pair<AddressRange, Number>> all) {
    for (const auto& [range, number] : all) put(range, number);
  }

  /// A range of one address stands by itself. In place of what that very range had.
  void put(const AddressRange& range, Number number);
  /// Nothing where that very range isn't there.
  void erase(const AddressRange& range);
  /// kEverybody: of none.
  [[nodiscard]] Number of(const IpAddress& address) const;
  /// Of the range that the address lies in, whether it stands by itself or not.
  [[nodiscard]] Number ofRangeAround(const IpAddress& address) const;

  [[nodiscard]] const std::map<IpAddress, Number>& singles() const { return singles_; }
  [[nodiscard]] const std::map<AddressRange, Number>& ranges() const { return ranges_; }
  /// Each class that has any, with how many.
  [[nodiscard]] const std::map<Number, std::size_t>& uses() const { return uses_; }
  [[nodiscard]] bool empty() const { return uses_.empty(); }
  [[nodiscard]] std::size_t size() const { return singles_.size() + ranges_.size(); }
  bool operator==(const AddressClasses& other) const {
    return singles_ == other.singles_ && ranges_ == other.ranges_;
  }

  /// `act(range, class)` for all of them, single ones first.
  template <class Act>
  void each(Act act) const {
    for (const auto& [address, number] : singles_) act(AddressRange{address, address}, number);
    for (const auto& [range, number] : ranges_) act(range, number);
  }

 private:
  template <class Map, class Key>
  void putIn(Map& map, const Key& key, Number number);
  template <class Map, class Key>
  void eraseFrom(Map& map, const Key& key);
  void release(Number number);

  std::map<IpAddress, Number> singles_;
  std::map<AddressRange, Number> ranges_;
  std::map<Number, std::size_t> uses_;
};

/// Elements of a map or set that go and come; one that changes is in both.
template <class Element>
struct Change {
  std::vector<Element> removed;
  std::vector<Element> added;
  bool operator==(const Change&) const = default;

  [[nodiscard]] bool empty() const { return removed.empty() && added.empty(); }
};
using AddressChange = Change<std::pair<AddressRange, Number>>;

[[nodiscard]] AddressChange changeOf(const AddressClasses& before, const AddressClasses& after);
void apply(const AddressChange& change, AddressClasses& addresses);
/// The way back.
[[nodiscard]] AddressChange reversed(AddressChange change);

}  // namespace multinet::policy
