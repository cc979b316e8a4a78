// The ledger's part for blocks: leased, confirmed, lost, returned.
#include <algorithm>
#include <iterator>

#include "lib/base/log.h"
#include "nodeagent/addresses/leaser.h"
#include "nodeagent/addresses/ledger.h"

namespace multinet::agent::addresses {
namespace {

/// Between the word of a block and that of its network: two watches.
constexpr std::chrono::seconds kNetworksWait(2);

}  // namespace

Orders Ledger::listed(Result<std::vector<LeasedBlock>> list, BootTime asked, BootTime now) {
  if (!list.has_value()) {
    if (listed_) return takeOrders();
    for (Pending& claim : pending_) claim.waitsFor = unavailable(list.error());
    return takeOrders();
  }
  std::map<OwnKey, LeasedBlock> there;
  for (LeasedBlock& block : *list) {
    const OwnKey key{block.networkUid, block.prefix};
    there.insert_or_assign(key, std::move(block));
  }
  for (auto at = own_.begin(); at != own_.end();) {
    Own& own = (at++)->second;  // lose() may drop it
    if (own.standing == Standing::Returning || own.standing == Standing::Renewing) continue;
    const OwnKey key{own.lease.networkUid, own.lease.prefix};
    if (const auto found = there.find(key); found != there.end()) {
      adopt(found->second, own.fresh, asked, now);
    } else if (own.standing == Standing::Ours) {
      lose(own, now);
    }
  }
  for (const auto& [key, block] : there) {
    if (!own_.contains(key)) adopt(block, false, asked, now);
  }
  listed_ = true;
  suspended_.reset();
  for (const auto& [uid, pool] : pools_) leaseHeld(pool);
  reseal();
  tellContests();
  if (!orders_.contests) orders_.contests = contests_;  // whoever shows them hears after a start
  retryPending(now);
  for (const NetworkUid& uid : wanted_) keepRoom(uid, now);
  return takeOrders();
}

Orders Ledger::leased(const LeaseKey& key, Result<LeasedBlock> result, BootTime now) {
  leasing_.erase(key);
  if (result.has_value()) {
    log::info("leased block", {{"network", result->network}, {"block", result->prefix.str()}});
    aheadPaused_.erase(key);
    full_.erase(key);
    crowded_.erase(key);
    adopt(*result, true, now, now);
    reseal();
    retryPending(now);
    return takeOrders();
  }
  aheadPaused_[key] = now + options_.aheadPause;
  const Error& error = result.error();
  const auto pool = pools_.find(key.first);
  if (error.reason == kPoolExhausted && pool != pools_.end()) {
    full_.insert_or_assign(key, Full{error, now + options_.fullFor});
    crowded_.insert(key);
    retryPending(now);  // answers, or says what they wait for
    return takeOrders();
  }
  tellClaimsOf(key, unavailable(error));
  orders_.retrySoon = !pending_.empty();
  return takeOrders();
}

Orders Ledger::returned(const LeasedBlock& block, const Status& status, BootTime now) {
  const auto at = own_.find({block.networkUid, block.prefix});
  if (at == own_.end() || at->second.standing != Standing::Returning) return takeOrders();
  if (status.has_value()) {
    log::info("returned block", {{"network", block.network}, {"block", block.prefix.str()}});
    drop(at->first);
    full_.erase({block.networkUid, block.prefix.family()});
    retryPending(now);
    return takeOrders();
  }
  // Still ours, or the next list says otherwise.
  log::warn("block not returned", {{"block", block.prefix.str()}, {"error", status.error()}});
  at->second.standing = Standing::Ours;
  at->second.emptyFrom = now;
  reseal();
  retryPending(now);
  return takeOrders();
}

Orders Ledger::renewed(const LeasedBlock& block, Result<LeasedBlock> result, BootTime now) {
  const auto at = own_.find({block.networkUid, block.prefix});
  if (at == own_.end() || at->second.standing != Standing::Renewing) return takeOrders();
  Own& own = at->second;
  if (result.has_value()) {
    log::warn("block leased again", {{"network", block.network}, {"block", block.prefix.str()}});
    adopt(*result, own.fresh, now, now);
  } else if (result.error().code == Code::AlreadyExists) {
    if (!own.contested) {
      log::error("another node has leased a block of which pods of this node hold addresses",
                 {{"network", block.network}, {"block", block.prefix.str()}});
    }
    own.standing = Standing::Lost;
    own.contested = true;
    own.nextTry = now + options_.contestEvery;
  } else {
    log::error("block not leased again, will be tried again",
               {{"block", block.prefix.str()}, {"error", result.error()}});
    own.standing = Standing::Lost;
    own.nextTry = now + options_.renewEvery;
  }
  reseal();
  tellContests();
  retryPending(now);
  return takeOrders();
}

// The newest spec of a network; blocks that waited for it come into use.
void Ledger::place(const Pool& pool, BootTime now) {
  const auto [at, isNew] = pools_.try_emplace(pool.uid, pool);
  const bool changed = at->second.setPool(pool);
  if (!isNew && !changed) return;
  for (const IpFamily family : at->second.families()) full_.erase({pool.uid, family});
  for (const auto& [key, own] : own_) {
    if (key.first == pool.uid) at->second.add(own.lease, own.confirmed);
  }
  occupy(at->second, now);
  leaseHeld(at->second);
  reseal();
}

// What is known to be held or in quarantine, marked in the blocks. What is marked already stays so.
void Ledger::occupy(NetworkPool& pool, BootTime now) {
  const NetworkUid& uid = pool.pool().uid;
  for (const auto& [intent, held] : held_) {
    for (const Held& one : held.addresses) {
      if (one.network.empty() || one.network == uid) static_cast<void>(pool.take(one.address));
    }
  }
  for (const Quarantined& one : quarantined_) {
    const bool isHere = one.network.empty() || one.network == uid;
    if (!isHere || one.until <= now) continue;
    if (pool.take(one.address)) pool.release(one.address, one.until);
  }
}

bool Ledger::relies(const LeasedBlock& block) const {
  const auto own = own_.find({block.networkUid, block.prefix});
  return own != own_.end() && own->second.standing == Standing::Ours &&
         own->second.lease.objectUid == block.objectUid;
}

bool Ledger::usable(const Own& own) const {
  return own.standing == Standing::Ours && (books_ == Books::Complete || own.fresh);
}

void Ledger::reseal() {
  for (auto& [uid, pool] : pools_) {
    pool.setSealed([this, &uid](const IpPrefix& prefix) {
      const auto own = own_.find({uid, prefix});
      return own == own_.end() || !usable(own->second);
    });
  }
}

// Ahead of need: when a quarter of a block is left; single addresses only for pods that are here.
void Ledger::keepRoom(const NetworkUid& uid, BootTime now) {
  const auto pool = pools_.find(uid);
  if (pool == pools_.end() || !listed_ || !restored_) return;
  for (const IpFamily family : pool->second.families()) {
    const Usage usage = pool->second.usage(family);
    const std::size_t perBlock = usage.blocks == 0 ? 0 : usage.capacity / usage.blocks;
    const bool low = perBlock > 1 ? usage.available <= perBlock / 4
                                  : usage.available == 0 && wanted_.contains(uid);
    if (!low) continue;
    const auto paused = aheadPaused_.find({uid, family});
    if (paused != aheadPaused_.end() && now < paused->second) continue;
    startLease({uid, family}, now);
  }
}

// After a restart on a store that was put back: only the journal knows of such a block.
void Ledger::leaseHeld(const NetworkPool& pool) {
  if (!listed_ || !restored_) return;
  const NetworkUid& uid = pool.pool().uid;
  const auto isCovered = [&](const IpAddress& address) {
    return std::any_of(own_.begin(), own_.end(), [&](const auto& one) {
      return one.first.first == uid && one.first.second.contains(address);
    });
  };
  for (const auto& [intent, held] : held_) {
    for (const Held& one : held.addresses) {
      if (one.network != uid || isCovered(one.address)) continue;
      for (const ipam::Subnet& subnet : pool.pool().subnets) {
        if (!subnet.cidr.contains(one.address)) continue;
        const IpPrefix prefix(one.address, subnet.blockLength());
        log::error("no block is leased for an address that a pod holds",
                   {{"network", pool.pool().network}, {"block", prefix.str()}});
        Own& own = own_[{uid, prefix}];
        own.lease = {pool.pool().network, uid, prefix, NodeName(), ""};
        own.standing = Standing::Renewing;
        orders_.renewals.push_back(own.lease);
        break;
      }
    }
  }
}

void Ledger::startLease(const LeaseKey& key, BootTime now) {
  if (now < settledAt_) return;
  const auto full = full_.find(key);
  if (full != full_.end() && now < full->second.until) return;
  if (!leasing_.insert(key).second) return;
  Orders::Lease lease{
      key, pools_.at(key.first).pool(), {}, crowded_.contains(key) ? Room::Unlikely : Room::Likely};
  for (const auto& [ownKey, own] : own_) {
    const auto& [uid, prefix] = ownKey;
    if (uid == key.first && prefix.family() == key.second) lease.own.push_back(prefix);
  }
  orders_.leases.push_back(std::move(lease));
}

void Ledger::adopt(const LeasedBlock& block, bool fresh, BootTime confirmed, BootTime now) {
  Own& own = own_[{block.networkUid, block.prefix}];
  own.lease = block;
  own.confirmed = std::max(own.confirmed, confirmed);
  own.fresh = own.fresh || fresh;
  own.standing = Standing::Ours;
  own.contested = false;
  const auto pool = pools_.find(block.networkUid);
  if (pool == pools_.end()) return;
  if (pool->second.has(block.prefix)) {
    pool->second.confirm(block.prefix, own.confirmed);
    return;
  }
  pool->second.add(block, own.confirmed);
  occupy(pool->second, now);
}

// Gone from the API server. What pods hold of it they keep, so nobody else may lease it.
void Ledger::lose(Own& own, BootTime now) {
  const LeasedBlock block = own.lease;
  const bool used = isMissed(block, now);
  log::error("leased block is gone from the API server",
             {{"network", block.network}, {"block", block.prefix.str()}, {"used", used}});
  if (!used) return drop({block.networkUid, block.prefix});
  own.emptyFrom.reset();
  if (existing_.has_value() && !isHeld(block)) {
    // Its network may be going: that is told by another watch. Looked at again soon.
    own.standing = Standing::Lost;
    own.nextTry = now + kNetworksWait;
    return;
  }
  own.standing = Standing::Renewing;
  orders_.renewals.push_back(block);
}

void Ledger::drop(const OwnKey& key) {
  const auto [uid, prefix] = key;
  if (const auto pool = pools_.find(uid); pool != pools_.end()) pool->second.drop(prefix);
  own_.erase({uid, prefix});
}

void Ledger::renewLost(BootTime now) {
  for (auto at = own_.begin(); at != own_.end();) {
    Own& own = (at++)->second;
    if (own.standing != Standing::Lost) continue;
    if (!isMissed(own.lease, now)) {
      drop({own.lease.networkUid, own.lease.prefix});
    } else if (own.nextTry <= now) {
      own.standing = Standing::Renewing;
      orders_.renewals.push_back(own.lease);
    }
  }
}

// Walks what is held, not what is wanted: blocks may be from before a restart, or of networks that
// are gone. Of a wanted network one block with room a family stays.
void Ledger::returnEmpty(BootTime now) {
  std::set<LeaseKey> roomy;
  for (auto& [key, own] : own_) {
    if (own.standing != Standing::Ours) continue;
    if (!inUse(own.lease, now)) {
      if (!own.emptyFrom) own.emptyFrom = now;
      continue;
    }
    own.emptyFrom.reset();
    const auto pool = pools_.find(key.first);
    if (pool == pools_.end()) continue;
    const Usage usage = pool->second.usageOf(key.second, now);
    // With room to spare it serves the next pod as well as an empty one. Excluded whole it has
    // none.
    if (usage.capacity > 0 && usage.available * 2 >= usage.capacity) {
      roomy.emplace(key.first, key.second.family());
    }
  }
  for (auto& [key, own] : own_) {
    if (own.standing != Standing::Ours || !own.emptyFrom) continue;
    const auto pool = pools_.find(key.first);
    const bool serves = pool == pools_.end() || pool->second.usageOf(key.second, now).capacity > 0;
    const bool keeps = serves && wanted_.contains(key.first) &&
                       roomy.emplace(key.first, key.second.family()).second;
    if (keeps || now - *own.emptyFrom < options_.returnAfter) continue;
    // Out of use first: until it is gone nobody gets an address of it.
    own.standing = Standing::Returning;
    orders_.returns.push_back(own.lease);
  }
  if (!orders_.returns.empty()) reseal();
}

// Networks and namespaces come and go; their specs don't stay.
void Ledger::forgetPools() {
  std::set<NetworkUid> needed = wanted_;
  for (const auto& [key, own] : own_) needed.insert(key.first);
  for (const LeaseKey& key : leasing_) needed.insert(key.first);
  for (const Pending& claim : pending_) {
    for (const AddressRequest& want : claim.wants) needed.insert(want.pool.uid);
  }
  std::erase_if(pools_, [&](const auto& pool) { return !needed.contains(pool.first); });
  std::erase_if(full_, [&](const auto& one) { return !pools_.contains(one.first.first); });
  std::erase_if(crowded_, [&](const LeaseKey& key) { return !pools_.contains(key.first); });
}

void Ledger::tellContests() {
  std::vector<Contest> now;
  for (const auto& [key, own] : own_) {
    if (!own.contested) continue;
    for (const auto& [intent, held] : held_) {
      for (const Held& one : held.addresses) {
        const bool isHere = one.network.empty() || one.network == key.first;
        if (!isHere || !key.second.contains(one.address)) continue;
        now.push_back({intent, own.lease.network, key.second, one.address});
      }
    }
  }
  if (now == contests_) return;
  contests_ = std::move(now);
  orders_.contests = contests_;
}

}  // namespace multinet::agent::addresses
