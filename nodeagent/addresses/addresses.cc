#include "nodeagent/addresses/addresses.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <system_error>
#include <utility>

#include "lib/async/backoff.h"
#include "lib/async/lane.h"
#include "lib/base/log.h"
#include "nodeagent/addresses/leaser.h"
#include "nodeagent/addresses/ledger.h"

namespace multinet::agent::addresses {
namespace {

/// What one pod wants of many networks takes a few round trips instead of one for each; a thousand
/// nodes that come back together are as gentle as they were.
constexpr std::size_t kLeasesAtOnce = 8;

using ClaimAnswer = async::Answer<std::vector<Claimed>>;

LedgerOptions ledgerOptions(const LeaseOptions& options) {
  LedgerOptions made;
  made.quarantine = options.quarantine;
  made.confirmedFor = options.confirmedFor;
  made.returnAfter = options.returnAfter;
  return made;
}

}  // namespace

// Carries out what the ledger orders. All but the calls to the API server happens on lane_.
class Addresses::Impl {
 public:
  Impl(async::Lane& lane, Blocks& blocks, const Clock& clock, LeaseOptions options)
      : lane_(lane),
        blocks_(blocks),
        clock_(clock),
        options_(std::move(options)),
        ledger_(ledgerOptions(options_)),
        calls_("leases", clock) {
    lane_.post([this] { allow(options_.allowed); });
    lane_.postAfter(options_.housekeepEvery, [this] { housekeep(); });
  }
  ~Impl() {
    calls_.stop();
    lane_.stop();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  template <class Work>
  void run(Work work) {
    async::runOn(lane_, std::move(work));
  }

  void claim(ClaimRequest request, ClaimAnswer done) {
    const BootTime now = clock_.now();
    const BootTime deadline = request.deadline;
    const Ticket ticket = ++tickets_;
    request.ticket = ticket;
    claims_.emplace(ticket, std::move(done));
    execute(ledger_.claim(std::move(request), now));
    if (!claims_.contains(ticket)) return;
    lane_.postAfter(std::max(Duration{}, Duration(deadline - now)),
                    [this] { execute(ledger_.housekeep(clock_.now())); });
  }
  void release(const IntentId& intent) { execute(ledger_.release(intent, clock_.now())); }
  void restore(std::vector<Holding> holdings, Books books) {
    execute(ledger_.restore(std::move(holdings), books, clock_.now()));
  }
  void setNetworks(std::set<NetworkUid> existing) { ledger_.setNetworks(std::move(existing)); }
  void setWanted(const std::vector<Pool>& pools) {
    execute(ledger_.setWanted(pools, clock_.now()));
  }
  void onContests(std::function<void(std::vector<Contest>)> told) {
    contestsTold_ = std::move(told);
  }
  void allow(const Status& allowed) {
    allowed_ = allowed.has_value();
    if (allowed_) return confirmSoon();
    execute(ledger_.suspend(allowed.error()));
  }
  void blockGone(const LeasedBlock& block) {
    if (ledger_.relies(block)) confirmSoon();
  }
  void storeWentBack() {
    execute(ledger_.storeWentBack(clock_.now()));
    confirmSoon();
  }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

 private:
  void execute(Orders orders) {
    for (Orders::Answer& answer : orders.answers) {
      if (auto claim = claims_.extract(answer.ticket)) claim.mapped()(std::move(answer.result));
    }
    if (!orders.leases.empty()) {
      calls_.post([this, leases = std::move(orders.leases)] { leaseAll(leases); });
    }
    for (const LeasedBlock& block : orders.returns) {
      calls_.post([this, block] {
        lane_.post([this, block, status = blocks_.remove(block)] {
          execute(ledger_.returned(block, status, clock_.now()));
        });
      });
    }
    for (const LeasedBlock& block : orders.renewals) {
      calls_.post([this, block] {
        lane_.post([this, block, result = blocks_.createAgain(block)]() mutable {
          execute(ledger_.renewed(block, std::move(result), clock_.now()));
        });
      });
    }
    if (orders.contests && contestsTold_) contestsTold_(std::move(*orders.contests));
    if (orders.retrySoon) {
      lane_.postAfter(options_.retryEvery, [this] { execute(ledger_.retry(clock_.now())); });
    }
  }

  /// On calls_, which they end before they leave: a list comes after each. Leases of one order are
  /// of different networks or families, and know nothing of each other.
  void leaseAll(const std::vector<Orders::Lease>& leases) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < leases.size(); i = next++) lease(leases[i]);
    };
    std::vector<std::unique_ptr<async::Lane>> helpers;
    try {
      while (helpers.size() + 1 < std::min(kLeasesAtOnce, leases.size())) {
        helpers.push_back(std::make_unique<async::Lane>("lease", clock_));
        helpers.back()->post(work);
      }
    } catch (const std::system_error& error) {
      log::warn("no thread to lease with", {{"error", error.what()}});
    }
    work();
    helpers.clear();  // waits for them
  }

  void lease(const Orders::Lease& lease) {
    auto result = leaseBlock(blocks_, lease, options_.node, options_.attempts);
    lane_.post([this, key = lease.key, result = std::move(result)]() mutable {
      unsure_ = unsure_ || !result.has_value();
      execute(ledger_.leased(key, std::move(result), clock_.now()));
    });
  }

  /// A node without blocks has nothing to be confirmed, and asks for none.
  void confirmInTime() {
    if (ledger_.blocks() > 0 || unsure_) return confirm();
    const std::uint64_t turn = ++confirms_;
    lane_.postAfter(options_.confirmEvery, [this, turn] {
      if (turn == confirms_) confirmInTime();
    });
  }

  void confirmSoon() {
    if (confirming_) {
      confirmAgain_ = true;  // the list under way may be older than what was seen
    } else {
      confirm();
    }
  }

  // One at a time, and all calls on one lane: a list is never older than what was done before it.
  void confirm() {
    if (!allowed_) return;
    confirming_ = true;
    calls_.post([this] {
      const BootTime asked = clock_.now();
      auto listed = blocks_.listOwn();
      lane_.post([this, asked, listed = std::move(listed)]() mutable {
        confirming_ = false;
        const std::uint64_t turn = ++confirms_;
        const bool failed = !listed.has_value();
        if (!failed) {
          backoff_.reset();
          unsure_ = false;
        }
        lane_.postAfter(failed ? backoff_.next() : options_.confirmEvery, [this, turn, failed] {
          if (turn != confirms_) return;
          if (failed) return confirm();
          confirmInTime();
        });
        if (allowed_) execute(ledger_.listed(std::move(listed), asked, clock_.now()));
        if (std::exchange(confirmAgain_, false)) confirm();
      });
    });
  }

  void housekeep() {
    lane_.postAfter(options_.housekeepEvery, [this] { housekeep(); });
    execute(ledger_.housekeep(clock_.now()));
  }

  async::Lane& lane_;
  Blocks& blocks_;
  const Clock& clock_;
  const LeaseOptions options_;
  // Of lane_ alone:
  Ledger ledger_;
  Ticket tickets_ = 0;
  std::map<Ticket, ClaimAnswer> claims_;
  std::function<void(std::vector<Contest>)> contestsTold_;
  bool allowed_ = false;
  bool unsure_ = false;  // of a lease that failed: it may have been made
  async::Backoff backoff_{options_.retryEvery, options_.retryMost};
  std::uint64_t confirms_ = 0;
  bool confirming_ = false;
  bool confirmAgain_ = false;
  async::Lane calls_;
};

Addresses::Addresses(async::Lane& lane, Blocks& blocks, const Clock& clock, LeaseOptions options)
    : impl_(std::make_unique<Impl>(lane, blocks, clock, std::move(options))) {}
Addresses::~Addresses() = default;

void Addresses::claim(IntentId intent, PodUid pod, std::vector<AddressRequest> wants,
                      BootTime deadline, async::Answer<std::vector<Claimed>> done) {
  impl_->run(
      [impl = impl_.get(),
       request = ClaimRequest{0, std::move(intent), std::move(pod), std::move(wants), deadline},
       done = std::move(done)]() mutable { impl->claim(std::move(request), std::move(done)); });
}

void Addresses::release(IntentId intent) {
  impl_->run([impl = impl_.get(), intent = std::move(intent)] { impl->release(intent); });
}

void Addresses::restore(std::vector<Holding> holdings, Books books) {
  impl_->run([impl = impl_.get(), holdings = std::move(holdings), books]() mutable {
    impl->restore(std::move(holdings), books);
  });
}

void Addresses::setWanted(std::vector<Pool> pools) {
  impl_->run([impl = impl_.get(), pools = std::move(pools)] { impl->setWanted(pools); });
}

void Addresses::setNetworks(std::set<NetworkUid> existing) {
  impl_->run([impl = impl_.get(), existing = std::move(existing)]() mutable {
    impl->setNetworks(std::move(existing));
  });
}

void Addresses::onContests(std::function<void(std::vector<Contest>)> told) {
  impl_->run([impl = impl_.get(), told = std::move(told)]() mutable {
    impl->onContests(std::move(told));
  });
}

void Addresses::allow(Status allowed) {
  impl_->run([impl = impl_.get(), allowed = std::move(allowed)] { impl->allow(allowed); });
}

void Addresses::blockGone(LeasedBlock block) {
  impl_->run([impl = impl_.get(), block = std::move(block)] { impl->blockGone(block); });
}

void Addresses::storeWentBack() {
  impl_->run([impl = impl_.get()] { impl->storeWentBack(); });
}

std::vector<Holding> Addresses::held() const {
  return impl_->ledger().held();
}

Books Addresses::books() const {
  return impl_->ledger().books();
}

}  // namespace multinet::agent::addresses
