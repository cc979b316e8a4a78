// Addresses 10.9.0.1, 10.9.0.2, ...: one an interface, never one twice.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "lib/async/fake_hang.h"
#include "nodeagent/addresses/addresses.h"

namespace multinet::agent::addresses {

/// Answers on the caller's thread, or when api.release() is called. Thread-safe.
class FakeAddresses final : public Addresses {
 public:
  async::FakeHang api;

  void claim(IntentId intent, PodUid /*pod*/, std::vector<Want> wants, BootTime /*deadline*/,
             async::Answer<std::vector<Claimed>> done) override {
    std::vector<Claimed> all;
    std::optional<Error> error;
    {
      const std::lock_guard lock(mutex_);
      error = error_;
      for (std::size_t i = 0; !error && i < wants.size(); ++i) {
        const IpAddress address(IpFamily::V4, (10U << 24U) + (9U << 16U) + ++last_);
        held_[intent].insert(address);
        all.push_back({AddressPlan{{address, 16}, std::nullopt}});
      }
    }
    if (error.has_value()) return done(fail(*error));
    api.pass([all = std::move(all), done = std::move(done)] { done(all); });
  }
  void release(IntentId intent) override {
    const std::lock_guard lock(mutex_);
    held_.erase(intent);
  }
  void restore(std::vector<Holding> holdings, Books books) override {
    const std::lock_guard lock(mutex_);
    books_ = books;
    for (const Holding& holding : holdings) held_.erase(holding.intent);
    for (const Holding& holding : holdings) {
      if (holding.rests == Duration{}) held_[holding.intent].insert(holding.address);
      last_ = std::max(last_, static_cast<unsigned>(holding.address.number() & 0xffffU));
    }
  }
  void setWanted(std::vector<Pool> pools) override {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(pools);
  }

  void setNetworks(std::set<NetworkUid> /*existing*/) override {}

  void onContests(std::function<void(std::vector<Contest>)> told) override {
    const std::lock_guard lock(mutex_);
    told_ = std::move(told);
  }
  void contest(std::vector<Contest> contests) {
    std::function<void(std::vector<Contest>)> told;
    {
      const std::lock_guard lock(mutex_);
      told = told_;
    }
    if (told) told(std::move(contests));
  }

  void failWith(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  [[nodiscard]] std::vector<Pool> wanted() const {
    const std::lock_guard lock(mutex_);
    return wanted_;
  }
  [[nodiscard]] Books books() const {
    const std::lock_guard lock(mutex_);
    return books_;
  }
  [[nodiscard]] std::map<IntentId, std::set<IpAddress>> held() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Error> error_;
  unsigned last_ = 0;
  std::function<void(std::vector<Contest>)> told_;
  Books books_ = Books::Incomplete;
  std::vector<Pool> wanted_;
  std::map<IntentId, std::set<IpAddress>> held_;
};

}  // namespace multinet::agent::addresses
