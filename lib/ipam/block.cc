#include "lib/ipam/block.h"

#include <algorithm>
#include <bit>

namespace multinet::ipam {
namespace {
constexpr U128 kMaxAddresses = 65'536;
constexpr std::uint32_t kWord = 64;

/// The first bit that is set at `from` or after it, before `end`.
std::optional<std::uint32_t> nextBit(const std::vector<std::uint64_t>& words, std::uint32_t from,
                                     std::uint32_t end) {
  for (std::uint32_t at = from; at < end; at = (at / kWord + 1) * kWord) {
    const std::uint64_t left = words[at / kWord] & (~0ULL << (at % kWord));
    if (left == 0) continue;
    return at / kWord * kWord + static_cast<std::uint32_t>(std::countr_zero(left));
  }
  return std::nullopt;
}
}  // namespace

Block::Block(const Subnet& subnet, const IpPrefix& prefix) : prefix_(prefix) {
  const U128 lastOffset = std::min<U128>(prefix.lastOffset(), kMaxAddresses - 1);
  count_ = static_cast<std::uint32_t>(lastOffset) + 1;
  freeBits_.assign((count_ + kWord - 1) / kWord, 0);
  freeWords_.assign((freeBits_.size() + kWord - 1) / kWord, 0);
  states_.assign(count_, State::Unusable);
  turns_.assign(count_, 0);
  for (std::uint32_t offset = 0; offset < count_; ++offset) {
    if (!subnet.usable(prefix.at(offset))) continue;
    markFree(offset);
    ++capacity_;
  }
}

void Block::markFree(std::uint32_t offset) {
  states_[offset] = State::Free;
  const std::uint32_t word = offset / kWord;
  freeBits_[word] |= 1ULL << (offset % kWord);
  freeWords_[word / kWord] |= 1ULL << (word % kWord);
  ++free_;
}

void Block::markUsed(std::uint32_t offset) {
  states_[offset] = State::Taken;
  const std::uint32_t word = offset / kWord;
  freeBits_[word] &= ~(1ULL << (offset % kWord));
  if (freeBits_[word] == 0) freeWords_[word / kWord] &= ~(1ULL << (word % kWord));
  --free_;
}

std::uint32_t Block::nextFree(std::uint32_t from) const {
  const std::uint32_t word = from / kWord;
  if (const auto here = nextBit(freeBits_, from, word * kWord + kWord)) return *here;
  // The next word that has one, by the words that say so of 64 each.
  const auto words = static_cast<std::uint32_t>(freeBits_.size());
  auto found = nextBit(freeWords_, word + 1, words);
  if (!found) found = nextBit(freeWords_, 0, words);
  return *found * kWord + static_cast<std::uint32_t>(std::countr_zero(freeBits_[*found]));
}

std::optional<std::uint32_t> Block::offsetOf(const IpAddress& address) const {
  if (!prefix_.contains(address)) return std::nullopt;
  const U128 offset = address.number() - prefix_.first().number();
  if (offset >= count_) return std::nullopt;
  return static_cast<std::uint32_t>(offset);
}

std::optional<IpAddress> Block::allocate(BootTime now) {
  expire(now);
  if (free_ == 0) return std::nullopt;
  const std::uint32_t offset = nextFree(cursor_);
  markUsed(offset);
  cursor_ = (offset + 1) % count_;
  return prefix_.at(offset);
}

bool Block::take(const IpAddress& address) {
  const auto offset = offsetOf(address);
  if (!offset.has_value() || states_[*offset] != State::Free) return false;
  markUsed(*offset);
  return true;
}

bool Block::isTaken(const IpAddress& address) const {
  const auto offset = offsetOf(address);
  return offset.has_value() && states_[*offset] == State::Taken;
}

void Block::release(const IpAddress& address, BootTime until) {
  const auto offset = offsetOf(address);
  if (!offset.has_value() || states_[*offset] != State::Taken) return;
  states_[*offset] = State::Quarantined;
  ++quarantined_;
  waiting_.push_back({until, *offset, ++turns_[*offset]});
}

void Block::putBack(const IpAddress& address) {
  const auto offset = offsetOf(address);
  if (!offset.has_value() || states_[*offset] != State::Taken) return;
  markFree(*offset);
}

bool Block::reclaim(const IpAddress& address) {
  const auto offset = offsetOf(address);
  if (!offset.has_value() || states_[*offset] != State::Quarantined) return false;
  states_[*offset] = State::Taken;
  ++turns_[*offset];
  --quarantined_;
  return true;
}

void Block::expire(BootTime now) {
  while (!waiting_.empty() && waiting_.front().until <= now) {
    const Waiting first = waiting_.front();
    waiting_.pop_front();
    if (states_[first.offset] != State::Quarantined || turns_[first.offset] != first.turn) continue;
    --quarantined_;
    markFree(first.offset);
  }
}

}  // namespace multinet::ipam
