#include "nodeagent/addresses/ledger.h"

#include <algorithm>
#include <iterator>

#include "lib/base/log.h"

namespace multinet::agent::addresses {
namespace {

bool isOf(const NetworkUid& holding, const NetworkUid& network) {
  return holding.empty() || network.empty() || holding == network;
}

bool needs(const ClaimRequest& claim, const LeaseKey& key) {
  return std::any_of(claim.wants.begin(), claim.wants.end(),
                     [&](const AddressRequest& want) { return want.pool.uid == key.first; });
}

const Error kNotListed{Code::Unavailable, "Starting",
                       "claim addresses: this node's blocks haven't been listed yet"};
const Error kSettling{
    Code::Unavailable, "StoreRestored",
    "claim addresses: the API server's store was put back to an earlier state; new "
    "blocks are leased once every node has had two minutes to lease its own again"};
const Error kUnknown{Code::Unavailable, "AddressesUnknown",
                     "claim addresses: sandboxes run on this node whose addresses aren't known "
                     "yet, so its blocks give none; see docs/troubleshooting.md"};

}  // namespace

Orders Ledger::claim(ClaimRequest request, BootTime now) {
  for (const AddressRequest& want : request.wants) place(want.pool, now);
  pending_.push_back({std::move(request), suspended_.value_or(kNotListed)});
  const auto at = std::prev(pending_.end());
  if (tryClaim(*at, now)) pending_.erase(at);
  return takeOrders();
}

Orders Ledger::release(const IntentId& intent, BootTime now) {
  std::erase_if(pending_, [&](const Pending& claim) {
    if (claim.intent != intent) return false;
    orders_.answers.push_back({claim.ticket, fail(Code::Cancelled, "Released",
                                                  "claim addresses: nobody wants them any more")});
    return true;
  });
  const auto at = held_.find(intent);
  if (at == held_.end()) return takeOrders();
  const BootTime until = now + options_.quarantine;
  const HeldByIntent released = std::move(at->second);
  held_.erase(at);
  for (const Held& one : released.addresses) {
    // An older journal may say of an address that another has by now that it is this one's.
    if (heldByAnyone(one)) continue;
    for (auto& [uid, pool] : pools_) {
      if (isOf(one.network, uid)) pool.release(one.address, until);
    }
    quarantined_.push_back({released.pod, one.interface, one.network, one.address, until});
  }
  tellContests();
  return takeOrders();
}

Orders Ledger::restore(std::vector<Holding> holdings, Books books, BootTime now) {
  for (const Holding& one : holdings) held_.erase(one.intent);
  // In order of their end, since a block's quarantine is a line.
  std::stable_sort(holdings.begin(), holdings.end(),
                   [](const Holding& a, const Holding& b) { return a.quarantine < b.quarantine; });
  for (const Holding& one : holdings) {
    if (one.quarantine == Duration{}) {
      HeldByIntent& held = held_[one.intent];
      held.pod = one.pod;
      held.addresses.push_back({one.interface, one.network, one.address});
    } else if (!isQuarantined(one)) {
      quarantined_.push_back(
          {one.pod, one.interface, one.network, one.address, now + one.quarantine});
    }
  }
  if (books_ != books) {
    log::info("what sandboxes hold of this node's blocks",
              {{"known", books == Books::Complete ? "all" : "not all: they give nothing"}});
  }
  books_ = books;
  restored_ = true;
  // From scratch, so that nothing stays marked that an intent no longer has.
  for (auto& [uid, pool] : pools_) {
    pool.clear();
    for (const auto& [key, own] : own_) {
      if (key.first == uid) pool.add(own.lease, own.confirmed);
    }
    occupy(pool, now);
    leaseHeld(pool);
  }
  reseal();
  retryPending(now);
  return takeOrders();
}

Orders Ledger::setWanted(const std::vector<Pool>& pools, BootTime now) {
  wanted_.clear();
  for (const Pool& pool : pools) {
    place(pool, now);
    wanted_.insert(pool.uid);
    keepRoom(pool.uid, now);
  }
  return takeOrders();
}

Orders Ledger::storeWentBack(BootTime now) {
  settledAt_ = now + options_.settle;
  return takeOrders();
}

Orders Ledger::suspend(Error why) {
  listed_ = false;
  for (Pending& claim : pending_) claim.waitsFor = why;
  suspended_ = std::move(why);
  return takeOrders();
}

Orders Ledger::retry(BootTime now) {
  retryPending(now);
  return takeOrders();
}

Orders Ledger::housekeep(BootTime now) {
  std::erase_if(quarantined_, [now](const Quarantined& rest) { return rest.until <= now; });
  std::erase_if(aheadPaused_, [now](const auto& one) { return one.second <= now; });
  std::erase_if(full_, [now](const auto& one) { return one.second.until <= now; });
  failLate(now);
  if (listed_ && restored_) {
    if (settledAt_ != BootTime::min() && settledAt_ <= now) {
      settledAt_ = BootTime::min();
      retryPending(now);
      for (const NetworkUid& uid : wanted_) keepRoom(uid, now);
    }
    renewLost(now);
    // What looks empty may not be, while not all that is held is known.
    if (pending_.empty() && books_ == Books::Complete) returnEmpty(now);
  }
  forgetPools();
  return takeOrders();
}

// --- claims ---

bool Ledger::tryClaim(Pending& claim, BootTime now) {
  if (!restored_ || !listed_) return false;
  std::vector<Claimed> all;
  std::vector<Held> taken;
  std::vector<LeaseKey> missing;
  for (const AddressRequest& want : claim.wants) {
    NetworkPool& pool = pools_.at(want.pool.uid);
    Claimed claimed;
    for (const IpFamily family : pool.families()) {
      const auto address = one(pool, family, claim.pod, want.interface, now);
      if (!address.has_value()) {
        missing.emplace_back(want.pool.uid, family);
        continue;
      }
      claimed.push_back(*address);
      taken.push_back({want.interface, want.pool.uid, address->address.address});
    }
    all.push_back(std::move(claimed));
  }
  if (!missing.empty()) {
    for (const Held& undo : taken) giveBack(claim.pod, undo);
    return waitForLeases(claim, missing, now);
  }
  forgetResting(claim.pod, taken, now);
  held_[claim.intent] = {claim.pod, std::move(taken)};
  orders_.answers.push_back({claim.ticket, std::move(all)});
  for (const AddressRequest& want : claim.wants) keepRoom(want.pool.uid, now);
  return true;
}

// True where the answer is known already: a pool that had no block left a moment ago.
bool Ledger::waitForLeases(Pending& claim, const std::vector<LeaseKey>& missing, BootTime now) {
  if (now < settledAt_) {
    claim.waitsFor = kSettling;
    return false;
  }
  for (const LeaseKey& key : missing) {
    const auto full = full_.find(key);
    if (full == full_.end() || full->second.until <= now) {
      startLease(key, now);
    } else if (books_ == Books::Incomplete && pools_.at(key.first).anySealed(key.second)) {
      claim.waitsFor = kUnknown;
    } else {
      orders_.answers.push_back({claim.ticket, fail(withUsage(full->second.error, key))});
      return true;
    }
  }
  return false;
}

// What the pod's earlier sandbox had, else any.
std::optional<AddressPlan> Ledger::one(NetworkPool& pool, IpFamily family, const PodUid& pod,
                                       const InterfaceName& interface, BootTime now) {
  for (const Quarantined& rest : quarantined_) {
    if (rest.pod != pod || rest.interface != interface || rest.network != pool.pool().uid ||
        rest.address.family() != family || rest.until <= now) {
      continue;
    }
    if (auto again = pool.reclaim(rest.address)) return again;
  }
  return pool.allocate(family, now, now - options_.confirmedFor);
}

// An undone address goes back to where it came from.
void Ledger::giveBack(const PodUid& pod, const Held& undo) {
  NetworkPool& pool = pools_.at(undo.network);
  for (const Quarantined& rest : quarantined_) {
    if (rest.pod == pod && rest.address == undo.address && rest.network == undo.network) {
      pool.release(undo.address, rest.until);
      return;
    }
  }
  pool.putBack(undo.address);
}

void Ledger::forgetResting(const PodUid& pod, const std::vector<Held>& taken, BootTime now) {
  std::erase_if(quarantined_, [&](const Quarantined& rest) {
    if (rest.until <= now) return true;
    return std::any_of(taken.begin(), taken.end(), [&](const Held& held) {
      return rest.pod == pod && rest.network == held.network && rest.address == held.address;
    });
  });
}

void Ledger::retryPending(BootTime now) {
  for (auto claim = pending_.begin(); claim != pending_.end();) {
    claim = tryClaim(*claim, now) ? pending_.erase(claim) : std::next(claim);
  }
}

void Ledger::failLate(BootTime now) {
  std::erase_if(pending_, [&](const Pending& claim) {
    if (now < claim.deadline) return false;
    orders_.answers.push_back({claim.ticket, fail(claim.waitsFor)});
    return true;
  });
}

void Ledger::tellClaimsOf(const LeaseKey& key, const Error& waitsFor) {
  for (Pending& claim : pending_) {
    if (needs(claim, key)) claim.waitsFor = waitsFor;
  }
}

Error Ledger::unavailable(const Error& error) {
  return {Code::Unavailable, error.reason.empty() ? "LeaseFailed" : error.reason,
          "claim addresses: " + error.message};
}

Error Ledger::withUsage(const Error& error, const LeaseKey& key) const {
  const Usage usage = pools_.at(key.first).usage(key.second);
  Error full = error;
  full.message += "; of this node's " + std::to_string(usage.capacity) + " addresses " +
                  std::to_string(usage.taken) + " are in use and " +
                  std::to_string(usage.quarantined) + " in quarantine";
  return full;
}

// --- holdings ---

std::vector<Holding> Ledger::held() const {
  std::vector<Holding> all;
  for (const auto& [intent, held] : held_) {
    for (const Held& one : held.addresses) {
      all.push_back({intent, held.pod, one.interface, one.network, one.address});
    }
  }
  return all;
}

bool Ledger::heldByAnyone(const Held& what) const {
  return std::any_of(held_.begin(), held_.end(), [&](const auto& holder) {
    const auto& all = holder.second.addresses;
    return std::any_of(all.begin(), all.end(), [&](const Held& one) {
      return isOf(one.network, what.network) && one.address == what.address;
    });
  });
}

bool Ledger::isQuarantined(const Holding& holding) const {
  return std::any_of(quarantined_.begin(), quarantined_.end(), [&](const Quarantined& one) {
    return one.pod == holding.pod && one.network == holding.network &&
           one.address == holding.address;
  });
}

bool Ledger::isHeld(const LeasedBlock& block) const {
  for (const auto& [intent, held] : held_) {
    for (const Held& one : held.addresses) {
      if (isOf(one.network, block.networkUid) && block.prefix.contains(one.address)) return true;
    }
  }
  return false;
}

bool Ledger::inUse(const LeasedBlock& block, BootTime now) const {
  return isHeld(block) ||
         std::any_of(quarantined_.begin(), quarantined_.end(), [&](const Quarantined& one) {
           return one.until > now && isOf(one.network, block.networkUid) &&
                  block.prefix.contains(one.address);
         });
}

bool Ledger::isMissed(const LeasedBlock& block, BootTime now) const {
  if (books_ == Books::Incomplete || isHeld(block)) return true;
  const bool exists = !existing_.has_value() || existing_->contains(block.networkUid);
  return exists && inUse(block, now);
}

}  // namespace multinet::agent::addresses
