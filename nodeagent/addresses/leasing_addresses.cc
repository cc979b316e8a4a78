#include "nodeagent/addresses/leasing_addresses.h"

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "lib/async/lane.h"
#include "lib/base/log.h"
#include "nodeagent/addresses/leaser.h"
#include "nodeagent/addresses/network_pool.h"

namespace multinet::agent::addresses {
namespace {

constexpr std::chrono::seconds kAfterFailedLeaseAhead(30);

struct Held {
  InterfaceName interface;
  NetworkUid network;
  IpAddress address;
};

struct Resting {
  PodUid pod;
  InterfaceName interface;
  NetworkUid network;
  IpAddress address;
  BootTime until;
};

struct PendingClaim {
  IntentId intent;
  PodUid pod;
  std::vector<Want> wants;
  BootTime deadline;
  std::function<void(Result<std::vector<Claimed>>)> done;
  Error waitsFor{Code::Unavailable, "Starting",
                 "claim addresses: this node's blocks haven't been listed yet"};
};

// What a try of a claim lacks.
struct Missing {
  NetworkUid network;
  IpFamily family;
};

using LeaseKey = std::pair<NetworkUid, IpFamily>;

}  // namespace

class LeasingAddresses::Impl {
 public:
  Impl(BlockApi& api, const Clock& clock, LeaseOptions options)
      : api_(api),
        clock_(clock),
        options_(std::move(options)),
        calls_("leases"),
        lane_("addresses") {
    lane_.post([this] { confirm(); });
    lane_.postAfter(options_.housekeepEvery, [this] { housekeep(); });
  }
  ~Impl() {
    calls_.stop();
    lane_.stop();
  }

  void post(async::Task task) { lane_.post(std::move(task)); }

  void claim(PendingClaim claim) {
    for (const Want& want : claim.wants) place(want.pool);
    pending_.push_back(std::move(claim));
    const auto at = std::prev(pending_.end());
    if (tryClaim(*at)) {
      pending_.erase(at);
      return;
    }
    const Duration wait = std::max(Duration{}, Duration(at->deadline - clock_.now()));
    lane_.postAfter(wait, [this] { failLate(); });
  }

  void release(const IntentId& intent) {
    std::erase_if(pending_, [&](const PendingClaim& claim) { return claim.intent == intent; });
    const auto at = held_.find(intent);
    if (at == held_.end()) return;
    const BootTime until = clock_.now() + options_.quarantine;
    const HeldByIntent released = std::move(at->second);
    held_.erase(at);
    for (const Held& one : released.addresses) {
      // An older journal may say of an address that another has by now that it is this one's.
      if (heldByAnyone(one)) continue;
      forEachPool(one.network, [&](NetworkPool& pool) { pool.release(one.address, until); });
      resting_.push_back({released.pod, one.interface, one.network, one.address, until});
    }
  }

  void restore(std::vector<Holding> holdings, Books books) {
    for (const Holding& one : holdings) held_.erase(one.intent);
    // In order of their end, since a block's quarantine is a line.
    std::stable_sort(holdings.begin(), holdings.end(),
                     [](const Holding& a, const Holding& b) { return a.rests < b.rests; });
    for (const Holding& one : holdings) {
      if (one.rests == Duration{}) {
        HeldByIntent& held = held_[one.intent];
        held.pod = one.pod;
        held.addresses.push_back({one.interface, one.network, one.address});
      } else if (!rests(one)) {
        const BootTime until = clock_.now() + one.rests;
        resting_.push_back({one.pod, one.interface, one.network, one.address, until});
      }
    }
    if (books_ != books) {
      log::info("what sandboxes hold of this node's blocks",
                {{"known", books == Books::Complete ? "all" : "not all: they give nothing"}});
    }
    books_ = books;
    restored_ = true;
    for (auto& [uid, pool] : pools_) occupy(pool);
    retryPending();
  }

  void setWanted(std::vector<Pool> pools) {
    wanted_.clear();
    for (const Pool& pool : pools) {
      place(pool);
      wanted_.insert(pool.uid);
      keepRoom(pool.uid);
    }
  }

 private:
  struct HeldByIntent {
    PodUid pod;
    std::vector<Held> addresses;
  };

  bool rests(const Holding& holding) const {
    return std::any_of(resting_.begin(), resting_.end(), [&](const Resting& one) {
      return one.pod == holding.pod && one.network == holding.network &&
             one.address == holding.address;
    });
  }

  NetworkPool* find(const NetworkUid& uid) {
    const auto at = pools_.find(uid);
    return at == pools_.end() ? nullptr : &at->second;
  }

  void forEachPool(const NetworkUid& uid, const std::function<void(NetworkPool&)>& each) {
    for (auto& [poolUid, pool] : pools_) {
      if (uid.empty() || poolUid == uid) each(pool);
    }
  }

  bool heldByAnyone(const Held& what) const {
    return std::any_of(held_.begin(), held_.end(), [&](const auto& holder) {
      const auto& all = holder.second.addresses;
      return std::any_of(all.begin(), all.end(), [&](const Held& one) {
        const bool sameNetwork =
            one.network == what.network || one.network.empty() || what.network.empty();
        return sameNetwork && one.address == what.address;
      });
    });
  }

  // The newest spec of a network; blocks that waited for it come into use.
  void place(const Pool& pool) {
    const auto [at, isNew] = pools_.try_emplace(pool.uid, pool);
    const bool changed = at->second.setPool(pool);
    if (!isNew && !changed) return;
    for (const LeasedBlock& block : own_) {
      if (block.networkUid == pool.uid) at->second.add(block, confirmedAt_);
    }
    occupy(at->second);
  }

  // What the journal and this process know to be held or resting, marked in the blocks. What is
  // marked already stays so.
  void occupy(NetworkPool& pool) {
    const NetworkUid& uid = pool.pool().uid;
    pool.setSealed([&](const IpPrefix& prefix) {
      return books_ == Books::Incomplete && !fresh_.contains({uid, prefix});
    });
    for (const auto& [intent, held] : held_) {
      for (const Held& one : held.addresses) {
        if (one.network.empty() || one.network == uid) static_cast<void>(pool.take(one.address));
      }
    }
    for (const Resting& one : resting_) {
      const bool isHere = one.network.empty() || one.network == uid;
      if (!isHere || one.until <= clock_.now()) continue;
      if (pool.take(one.address)) pool.release(one.address, one.until);
    }
  }

  bool tryClaim(PendingClaim& claim) {
    if (!restored_ || !listed_) return false;
    std::vector<Claimed> all;
    std::vector<Held> taken;
    std::vector<Missing> missing;
    for (const Want& want : claim.wants) {
      NetworkPool& pool = pools_.at(want.pool.uid);
      Claimed claimed;
      for (const IpFamily family : pool.families()) {
        const auto address = one(pool, family, claim.pod, want.interface);
        if (!address.has_value()) {
          missing.push_back({want.pool.uid, family});
          continue;
        }
        claimed.push_back(*address);
        taken.push_back({want.interface, want.pool.uid, address->address.address});
      }
      all.push_back(std::move(claimed));
    }
    if (missing.empty()) {
      forgetResting(claim.pod, taken);
      held_[claim.intent] = {claim.pod, std::move(taken)};
      claim.done(std::move(all));
      for (const Want& want : claim.wants) keepRoom(want.pool.uid);
      return true;
    }
    for (const Held& undo : taken) giveBack(claim.pod, undo);
    for (const Missing& what : missing) startLease({what.network, what.family});
    return false;
  }

  // What the pod's earlier sandbox had, else any.
  std::optional<AddressPlan> one(NetworkPool& pool, IpFamily family, const PodUid& pod,
                                 const InterfaceName& interface) {
    const BootTime now = clock_.now();
    for (const Resting& rest : resting_) {
      if (rest.pod != pod || rest.interface != interface || rest.network != pool.pool().uid ||
          rest.address.family() != family || rest.until <= now) {
        continue;
      }
      if (auto again = pool.reclaim(rest.address)) return again;
    }
    return pool.allocate(family, now, now - options_.confirmedFor);
  }

  // An undone address goes back to where it came from.
  void giveBack(const PodUid& pod, const Held& undo) {
    NetworkPool& pool = pools_.at(undo.network);
    for (const Resting& rest : resting_) {
      if (rest.pod == pod && rest.address == undo.address && rest.network == undo.network) {
        pool.release(undo.address, rest.until);
        return;
      }
    }
    pool.putBack(undo.address);
  }

  void forgetResting(const PodUid& pod, const std::vector<Held>& taken) {
    std::erase_if(resting_, [&](const Resting& rest) {
      if (rest.until <= clock_.now()) return true;
      return std::any_of(taken.begin(), taken.end(), [&](const Held& held) {
        return rest.pod == pod && rest.network == held.network && rest.address == held.address;
      });
    });
  }

  void retryPending() {
    for (auto claim = pending_.begin(); claim != pending_.end();) {
      claim = tryClaim(*claim) ? pending_.erase(claim) : std::next(claim);
    }
  }

  void failLate() {
    for (auto claim = pending_.begin(); claim != pending_.end();) {
      if (clock_.now() < claim->deadline) {
        ++claim;
        continue;
      }
      const PendingClaim late = std::move(*claim);
      claim = pending_.erase(claim);
      late.done(fail(late.waitsFor));
    }
  }

  // Ahead of need: when a quarter of a block is left; single addresses only for pods that are here.
  void keepRoom(const NetworkUid& uid) {
    NetworkPool* pool = find(uid);
    if (pool == nullptr || !listed_ || !restored_) return;
    for (const IpFamily family : pool->families()) {
      const Usage usage = pool->usage(family);
      const std::size_t perBlock = usage.blocks == 0 ? 0 : usage.capacity / usage.blocks;
      const bool low = perBlock > 1 ? usage.available <= perBlock / 4
                                    : usage.available == 0 && wanted_.contains(uid);
      if (!low) continue;
      const auto failed = failedAhead_.find({uid, family});
      if (failed != failedAhead_.end() && clock_.now() < failed->second) continue;
      startLease({uid, family});
    }
  }

  void startLease(const LeaseKey& key) {
    if (!leasing_.insert(key).second) return;
    calls_.post([this, key, pool = pools_.at(key.first).pool()] {
      auto leased = leaseBlock(api_, pool, key.second, options_.node, options_.attempts);
      lane_.post([this, key, leased = std::move(leased)]() mutable {
        leaseEnded(key, std::move(leased));
      });
    });
  }

  void leaseEnded(const LeaseKey& key, Result<LeasedBlock> leased) {
    leasing_.erase(key);
    if (leased.has_value()) {
      log::info("leased block", {{"network", leased->network}, {"block", leased->prefix.str()}});
      own_.push_back(*leased);
      fresh_.emplace(leased->networkUid, leased->prefix);
      failedAhead_.erase(key);
      NetworkPool& pool = pools_.at(key.first);
      pool.add(*leased, clock_.now());
      occupy(pool);
      retryPending();
      return;
    }
    failedAhead_[key] = clock_.now() + kAfterFailedLeaseAhead;
    const Error& error = leased.error();
    const bool isFull = error.code == Code::ResourceExhausted;
    if (isFull && pools_.at(key.first).anySealed(key.second)) return waitForBooks(key);
    if (isFull) return failClaimsOf(key, withUsage(error, key));
    for (PendingClaim& claim : pending_) {
      if (needs(claim, key)) claim.waitsFor = unavailable(error);
    }
    if (!pending_.empty()) lane_.postAfter(options_.retryEvery, [this] { retryPending(); });
  }

  // restore() tries these again.
  void waitForBooks(const LeaseKey& key) {
    for (PendingClaim& claim : pending_) {
      if (!needs(claim, key)) continue;
      claim.waitsFor = {Code::Unavailable, "AddressesUnknown",
                        "claim addresses: sandboxes run on this node whose addresses aren't known "
                        "yet, so its blocks give none; see docs/troubleshooting.md"};
    }
  }

  static bool needs(const PendingClaim& claim, const LeaseKey& key) {
    return std::any_of(claim.wants.begin(), claim.wants.end(),
                       [&](const Want& want) { return want.pool.uid == key.first; });
  }

  static Error unavailable(const Error& error) {
    return Error{Code::Unavailable, error.reason.empty() ? "LeaseFailed" : error.reason,
                 "claim addresses: " + error.message};
  }

  Error withUsage(const Error& error, const LeaseKey& key) {
    const Usage usage = pools_.at(key.first).usage(key.second);
    Error full = error;
    full.message += "; of this node's " + std::to_string(usage.capacity) + " addresses " +
                    std::to_string(usage.taken) + " are in use and " +
                    std::to_string(usage.quarantined) + " in quarantine";
    return full;
  }

  void failClaimsOf(const LeaseKey& key, const Error& error) {
    for (auto claim = pending_.begin(); claim != pending_.end();) {
      if (!needs(*claim, key)) {
        ++claim;
        continue;
      }
      const PendingClaim failed = std::move(*claim);
      claim = pending_.erase(claim);
      failed.done(fail(error));
    }
  }

  void confirm() {
    calls_.post([this] {
      auto listed = api_.listOwn();
      lane_.post([this, listed = std::move(listed)]() mutable { confirmed(std::move(listed)); });
    });
  }

  void confirmed(Result<std::vector<LeasedBlock>> listed) {
    lane_.postAfter(listed.has_value() ? options_.confirmEvery : options_.retryEvery,
                    [this] { confirm(); });
    if (!listed.has_value()) {
      if (listed_) return;
      for (PendingClaim& claim : pending_) claim.waitsFor = unavailable(listed.error());
      return;
    }
    // While a lease or a return is under way the list may be older than what we know.
    if (listed_ && (!leasing_.empty() || returning_ > 0)) return;
    adopt(std::move(*listed));
    listed_ = true;
    retryPending();
    for (const NetworkUid& uid : wanted_) keepRoom(uid);
  }

  void adopt(std::vector<LeasedBlock> listed) {
    const BootTime now = clock_.now();
    confirmedAt_ = now;
    for (auto& [uid, pool] : pools_) {
      for (const LeasedBlock& known : pool.blocks()) {
        const bool stays = std::find(listed.begin(), listed.end(), known) != listed.end();
        if (stays) {
          pool.confirm(known.prefix, now);
        } else {
          // Nothing new comes out of it; what pods hold of it they keep until they end.
          log::error("leased block is gone from the API server",
                     {{"network", known.network}, {"block", known.prefix.str()}});
          pool.drop(known.prefix);
        }
      }
      for (const LeasedBlock& block : listed) {
        if (block.networkUid == uid && !pool.has(block.prefix)) pool.add(block, now);
      }
      occupy(pool);
    }
    own_ = std::move(listed);
  }

  void housekeep() {
    lane_.postAfter(options_.housekeepEvery, [this] { housekeep(); });
    const BootTime now = clock_.now();
    std::erase_if(resting_, [now](const Resting& rest) { return rest.until <= now; });
    failLate();
    if (!listed_ || !restored_ || !pending_.empty()) return;
    if (books_ == Books::Incomplete) return;  // what looks empty may not be
    for (auto& [uid, pool] : pools_) {
      const auto keep = wanted_.contains(uid) ? NetworkPool::Keep::One : NetworkPool::Keep::None;
      for (const LeasedBlock& block : pool.returnable(now, now - options_.returnAfter, keep)) {
        giveBlockBack(pool, block);
      }
    }
  }

  // Out of the books first: between the two nobody gets an address of it.
  void giveBlockBack(NetworkPool& pool, const LeasedBlock& block) {
    pool.drop(block.prefix);
    std::erase(own_, block);
    fresh_.erase({block.networkUid, block.prefix});
    ++returning_;
    calls_.post([this, block] {
      const Status removed = api_.remove(block);
      lane_.post([this, block, removed] {
        --returning_;
        if (removed.has_value()) {
          log::info("returned block", {{"network", block.network}, {"block", block.prefix.str()}});
          return;
        }
        // It is still ours, or the next list says otherwise.
        log::warn("block not returned",
                  {{"block", block.prefix.str()}, {"error", removed.error()}});
      });
    });
  }

  BlockApi& api_;
  const Clock& clock_;
  const LeaseOptions options_;
  // Of lane_ alone:
  bool restored_ = false;
  bool listed_ = false;
  int returning_ = 0;
  BootTime confirmedAt_{};
  std::map<NetworkUid, NetworkPool> pools_;
  std::vector<LeasedBlock> own_;                     // also of networks whose spec isn't known yet
  std::set<std::pair<NetworkUid, IpPrefix>> fresh_;  // leased by this process
  Books books_ = Books::Incomplete;
  std::set<NetworkUid> wanted_;
  std::map<IntentId, HeldByIntent> held_;
  std::vector<Resting> resting_;
  std::list<PendingClaim> pending_;
  std::set<LeaseKey> leasing_;
  std::map<LeaseKey, BootTime> failedAhead_;
  async::Lane calls_;
  async::Lane lane_;
};

LeasingAddresses::LeasingAddresses(BlockApi& api, const Clock& clock, LeaseOptions options)
    : impl_(std::make_unique<Impl>(api, clock, std::move(options))) {}
LeasingAddresses::~LeasingAddresses() = default;

void LeasingAddresses::claim(IntentId intent, PodUid pod, std::vector<Want> wants,
                             BootTime deadline,
                             std::function<void(Result<std::vector<Claimed>>)> done) {
  impl_->post([impl = impl_.get(),
               claim = PendingClaim{std::move(intent), std::move(pod), std::move(wants), deadline,
                                    std::move(done)}]() mutable { impl->claim(std::move(claim)); });
}

void LeasingAddresses::release(IntentId intent) {
  impl_->post([impl = impl_.get(), intent = std::move(intent)] { impl->release(intent); });
}

void LeasingAddresses::restore(std::vector<Holding> holdings, Books books) {
  impl_->post([impl = impl_.get(), holdings = std::move(holdings), books]() mutable {
    impl->restore(std::move(holdings), books);
  });
}

void LeasingAddresses::setWanted(std::vector<Pool> pools) {
  impl_->post([impl = impl_.get(), pools = std::move(pools)]() mutable {
    impl->setWanted(std::move(pools));
  });
}

}  // namespace multinet::agent::addresses
