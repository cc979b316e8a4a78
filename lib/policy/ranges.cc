#include "lib/policy/ranges.h"

#include <algorithm>
#include <iterator>

namespace multinet::policy {
namespace {

/// `from` without `what`; both of one family.
Ranges without(const Ranges& from, const AddressRange& what) {
  Ranges out;
  for (const auto& range : from) {
    if (what.last < range.first || range.last < what.first) {
      out.push_back(range);
      continue;
    }
    if (range.first < what.first) out.push_back({range.first, previous(what.first)});
    if (what.last < range.last) out.push_back({next(what.last), range.last});
  }
  return out;
}

}  // namespace

IpAddress next(const IpAddress& address) {
  return {address.family(), address.number() + 1};
}
IpAddress previous(const IpAddress& address) {
  return {address.family(), address.number() - 1};
}
IpAddress lastOf(IpFamily family) {
  return IpPrefix(IpAddress(family, 0), 0).last();
}

Ranges joined(Ranges ranges) {
  std::ranges::sort(ranges);
  Ranges out;
  for (const auto& range : ranges) {
    const bool joins =
        !out.empty() && out.back().last.family() == range.first.family() &&
        (out.back().last == lastOf(range.first.family()) || range.first <= next(out.back().last));
    if (joins) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

Ranges rangesOf(const api::PolicyIpBlock& block) {
  const auto cidr = IpPrefix::parse(block.cidr);
  if (!cidr) return {};
  Ranges out = {{cidr->first(), cidr->last()}};
  for (const auto& text : block.except) {
    const auto except = IpPrefix::parse(text);
    if (!except) return {};
    if (except->family() == cidr->family()) out = without(out, {except->first(), except->last()});
  }
  return out;
}

bool contains(const Ranges& ranges, const IpAddress& address) {
  const auto after = std::ranges::upper_bound(ranges, address, {}, &AddressRange::first);
  return after != ranges.begin() && address <= std::prev(after)->last;
}

}  // namespace multinet::policy
