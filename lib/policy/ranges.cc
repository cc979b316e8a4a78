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
  if (!std::ranges::is_sorted(ranges)) std::ranges::sort(ranges);
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

Ranges common(const Ranges& one, const Ranges& other) {
  Ranges out;
  for (auto a = one.begin(), b = other.begin(); a != one.end() && b != other.end();) {
    const IpAddress first = std::max(a->first, b->first);
    const IpAddress last = std::min(a->last, b->last);
    if (first <= last) out.push_back({first, last});
    if (a->last < b->last) {
      ++a;
    } else {
      ++b;
    }
  }
  return out;
}

std::string textOf(const AddressRange& range) {
  if (range.first == range.last) return range.first.str();
  const unsigned bits = range.first.isV4() ? 32 : 128;
  for (unsigned length = 0; length < bits; ++length) {
    const IpPrefix prefix(range.first, length);
    if (prefix.first() == range.first && prefix.last() == range.last) {
      return range.first.str() + "/" + std::to_string(length);
    }
  }
  return range.first.str() + "-" + range.last.str();
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
