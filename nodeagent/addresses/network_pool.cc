#include "nodeagent/addresses/network_pool.h"

#include <algorithm>
#include <utility>

namespace multinet::agent::addresses {
namespace {

bool same(const ipam::Subnet& a, const ipam::Subnet& b) {
  return a.cidr == b.cidr && a.gateway == b.gateway && a.exclude == b.exclude &&
         a.blockSize == b.blockSize;
}

AddressPlan plan(const ipam::Subnet& subnet, const IpAddress& address) {
  return {{address, subnet.cidr.length()}, subnet.gateway};
}

}  // namespace

bool NetworkPool::setPool(Pool pool) {
  bool changed = pool.subnets.size() != pool_.subnets.size();
  for (std::size_t i = 0; !changed && i < pool.subnets.size(); ++i) {
    changed = !same(pool.subnets[i], pool_.subnets[i]);
  }
  if (!changed) return false;
  pool_ = std::move(pool);
  for (const auto& [prefix, held] : std::exchange(blocks_, {})) add(held.lease, held.confirmed);
  return true;
}

std::set<IpFamily> NetworkPool::families() const {
  std::set<IpFamily> families;
  for (const ipam::Subnet& subnet : pool_.subnets) families.insert(subnet.cidr.family());
  return families;
}

void NetworkPool::add(const LeasedBlock& block, BootTime confirmed) {
  for (const ipam::Subnet& subnet : pool_.subnets) {
    if (!subnet.cidr.contains(block.prefix)) continue;
    blocks_.try_emplace(block.prefix,
                        Held{block, subnet, ipam::Block(subnet, block.prefix), confirmed});
    return;
  }
}

void NetworkPool::confirm(const IpPrefix& prefix, BootTime now) {
  if (const auto at = blocks_.find(prefix); at != blocks_.end()) at->second.confirmed = now;
}

void NetworkPool::setSealed(const std::function<bool(const IpPrefix&)>& isSealed) {
  for (auto& [prefix, held] : blocks_) held.sealed = isSealed(prefix);
}

bool NetworkPool::anySealed(IpFamily family) const {
  return std::any_of(blocks_.begin(), blocks_.end(), [family](const auto& one) {
    return one.second.sealed && one.first.family() == family;
  });
}

NetworkPool::Held* NetworkPool::find(const IpAddress& address) {
  for (auto& [prefix, held] : blocks_) {
    if (prefix.contains(address)) return &held;
  }
  return nullptr;
}

std::optional<AddressPlan> NetworkPool::allocate(IpFamily family, BootTime now,
                                                 BootTime confirmedSince) {
  for (const ipam::Subnet& subnet : pool_.subnets) {
    if (subnet.cidr.family() != family) continue;
    for (auto& [prefix, held] : blocks_) {
      if (!subnet.cidr.contains(prefix) || held.confirmed < confirmedSince) continue;
      if (held.sealed) continue;
      const auto address = held.block.allocate(now);
      if (!address.has_value()) continue;
      return plan(subnet, *address);
    }
  }
  return std::nullopt;
}

bool NetworkPool::take(const IpAddress& address) {
  Held* held = find(address);
  return held != nullptr && held->block.take(address);
}

std::optional<AddressPlan> NetworkPool::reclaim(const IpAddress& address) {
  Held* held = find(address);
  if (held == nullptr || held->sealed || !held->block.reclaim(address)) return std::nullopt;
  return plan(held->subnet, address);
}

void NetworkPool::release(const IpAddress& address, BootTime until) {
  if (Held* held = find(address)) held->block.release(address, until);
}

void NetworkPool::putBack(const IpAddress& address) {
  if (Held* held = find(address)) held->block.putBack(address);
}

Usage NetworkPool::usage(IpFamily family) const {
  Usage usage;
  for (const auto& [prefix, held] : blocks_) {
    if (prefix.family() != family) continue;
    ++usage.blocks;
    usage.capacity += held.block.capacity();
    usage.taken += held.block.taken();
    usage.quarantined += held.block.quarantined();
    if (!held.sealed) usage.available += held.block.available();
  }
  return usage;
}

Usage NetworkPool::usageOf(const IpPrefix& prefix, BootTime now) {
  const auto at = blocks_.find(prefix);
  if (at == blocks_.end()) return {};
  ipam::Block& block = at->second.block;
  block.expire(now);
  return {1, block.capacity(), block.taken(), block.quarantined(), block.available()};
}

}  // namespace multinet::agent::addresses
