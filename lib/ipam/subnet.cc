#include "lib/ipam/subnet.h"

#include <algorithm>
#include <numeric>

#include "lib/base/encoding.h"

namespace multinet::ipam {
namespace {

constexpr unsigned kMaxBlockBits = 6;
constexpr unsigned kSingleAddressBits = 5;

// The same on every node and in every version; the order is no secret.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = fnv1a(text);
  value ^= value >> 32U;
  return value * 0x9E3779B97F4A7C15ULL;
}

U128 gcd(U128 a, U128 b) {
  while (b != 0) {
    const U128 rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

bool isNetworkOrBroadcast(const IpPrefix& cidr, const IpAddress& address) {
  if (cidr.length() + 1 >= bits(cidr.family())) return false;  // /31, /32, /127, /128
  if (address == cidr.first()) return true;
  return cidr.isV4() && address == cidr.last();
}

}  // namespace

unsigned Subnet::blockLength() const {
  const unsigned all = bits(cidr.family());
  if (blockSize.has_value()) return std::clamp(*blockSize, cidr.length(), all);
  const unsigned host = all - cidr.length();
  if (host <= kSingleAddressBits) return all;
  return all - std::min(kMaxBlockBits, host * 3 / 8);
}

bool Subnet::usable(const IpAddress& address) const {
  if (!cidr.contains(address) || address == gateway || isNetworkOrBroadcast(cidr, address)) {
    return false;
  }
  return std::none_of(exclude.begin(), exclude.end(),
                      [&](const IpPrefix& range) { return range.contains(address); });
}

std::size_t mostBlocks(IpFamily family, unsigned length) {
  constexpr unsigned kHostBits = 12;  // of 4096 addresses
  constexpr std::size_t kAnyway = 4;
  const unsigned hostBits = bits(family) - length;
  return std::max(kAnyway, std::size_t{1} << (kHostBits - std::min(hostBits, kHostBits)));
}

BlockWalk::BlockWalk(const Subnet& subnet, std::string_view seed)
    : subnet_(subnet), length_(subnet.blockLength()), intervals_(openIntervals()) {
  for (const Interval& interval : intervals_) size_ += interval.last - interval.first + 1;
  if (size_ == 0) return;
  const std::uint64_t value = hash(seed);
  position_ = value % size_;
  // Any step without a common divisor visits each position once.
  step_ = std::max<U128>(1, hash(std::to_string(value)) % size_);
  while (gcd(step_, size_) != 1) step_ = step_ % size_ + 1;
}

std::vector<BlockWalk::Interval> BlockWalk::openIntervals() const {
  const unsigned shift = bits(subnet_.cidr.family()) - length_;
  // The one subnet whose blocks 128 bits can't count (::/0 in single addresses) loses one of them.
  const U128 lastIndex =
      std::min<U128>(subnet_.cidr.lastOffset() >> shift, ~static_cast<U128>(0) - 1);
  std::vector<Interval> covered;
  for (const IpPrefix& range : subnet_.exclude) {
    if (!subnet_.cidr.overlaps(range) || range.length() > length_) continue;
    if (range.length() <= subnet_.cidr.length()) return {};
    const U128 offset = range.first().number() - subnet_.cidr.first().number();
    covered.push_back({offset >> shift, (offset + range.lastOffset()) >> shift});
  }
  std::sort(covered.begin(), covered.end(),
            [](const Interval& a, const Interval& b) { return a.first < b.first; });
  std::vector<Interval> open;
  U128 next = 0;
  for (const Interval& interval : covered) {
    if (interval.first > next) open.push_back({next, interval.first - 1});
    next = std::max(next, interval.last + 1);
  }
  if (next <= lastIndex) open.push_back({next, lastIndex});
  return open;
}

IpPrefix BlockWalk::blockAt(U128 position) const {
  const unsigned shift = bits(subnet_.cidr.family()) - length_;
  for (const Interval& interval : intervals_) {
    const U128 count = interval.last - interval.first + 1;
    if (position < count) {
      return {subnet_.cidr.at((interval.first + position) << shift), length_};
    }
    position -= count;
  }
  return {};
}

std::optional<IpPrefix> BlockWalk::next() {
  while (visited_ < size_) {
    const IpPrefix block = blockAt(position_);
    ++visited_;
    const U128 room = size_ - position_;
    position_ = step_ < room ? position_ + step_ : step_ - room;
    // Larger blocks have at most the two ends and the gateway that no pod can have.
    const bool single = length_ == bits(block.family());
    if (single && !subnet_.usable(block.first())) continue;
    return block;
  }
  return std::nullopt;
}

}  // namespace multinet::ipam
