#include "lib/policy/steps.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>

namespace multinet::policy {
namespace {

using api::ClusterPolicyAction;
using api::Protocol;

constexpr std::array kProtocols{Protocol::TCP, Protocol::UDP, Protocol::SCTP};
/// In an Allowance, behind these: protocols without ports.
constexpr std::size_t kOthers = kProtocols.size();
constexpr std::uint32_t kPastLastPort = std::numeric_limits<std::uint16_t>::max() + 1U;

/// Where ranges of ports begin that some entry tells apart; the last is past all.
using Cuts = std::vector<std::uint32_t>;

Cuts cutsOf(const Steps& steps) {
  std::set<std::uint32_t> all{0, kPastLastPort};
  for (const Step& step : steps) {
    for (const Entry& entry : step.entries) {
      if (!entry.protocol) continue;
      all.insert(entry.first);
      all.insert(entry.last + 1U);
    }
  }
  return {all.begin(), all.end()};
}

enum class State : std::uint8_t { Open, Allowed, Denied, Passed };

/// Of one protocol, by range of ports. Others have all of them alike.
using States = std::vector<State>;

class Allowance {
 public:
  explicit Allowance(const Cuts& cuts) : cuts_(&cuts) {
    states_.fill(States(cuts.size() - 1, State::Open));
  }

  void take(const Entry& entry, ClusterPolicyAction action) {
    for (std::size_t of = 0; of < states_.size(); ++of) {
      if (entry.protocol && (of == kOthers || kProtocols.at(of) != *entry.protocol)) continue;
      for (std::size_t at = 0; at < states_.at(of).size(); ++at) {
        const std::uint32_t port = (*cuts_)[at];
        const bool fits = !entry.protocol || (port >= entry.first && port <= entry.last);
        State& state = states_.at(of)[at];
        if (fits && state == State::Open) state = stateOf(action);
      }
    }
  }
  void nextTier() {
    for (States& states : states_) std::ranges::replace(states, State::Passed, State::Open);
  }

  [[nodiscard]] bool allows(std::size_t protocol, std::size_t at) const {
    return states_.at(protocol)[at] == State::Allowed;
  }
  [[nodiscard]] bool allowsAll() const {
    return std::ranges::all_of(states_, [](const States& states) {
      return std::ranges::count(states, State::Allowed) == std::ssize(states);
    });
  }
  /// Allows no more than the other.
  void narrow(const Allowance& other) {
    for (std::size_t of = 0; of < states_.size(); ++of) {
      for (std::size_t at = 0; at < states_.at(of).size(); ++at) {
        if (!other.allows(of, at)) states_.at(of)[at] = State::Denied;
      }
    }
  }

 private:
  static State stateOf(ClusterPolicyAction action) {
    switch (action) {
      case ClusterPolicyAction::Accept:
        return State::Allowed;
      case ClusterPolicyAction::Deny:
        return State::Denied;
      case ClusterPolicyAction::Pass:
        return State::Passed;
    }
    return State::Denied;
  }

  const Cuts* cuts_;
  std::array<States, kProtocols.size() + 1> states_;
};

/// An entry that fits, by step.
struct Fit {
  std::size_t step = 0;
  const Entry* entry = nullptr;
};
using Fits = std::vector<Fit>;

/// `fits` is in the order of steps.
Allowance judge(const Steps& steps, const Fits& fits, const Cuts& cuts) {
  Allowance out(cuts);
  Tier tier = Tier::Admin;
  for (const Fit& fit : fits) {
    const Step& step = steps[fit.step];
    if (step.tier != tier) out.nextTier();
    tier = step.tier;
    out.take(*fit.entry, step.action);
  }
  return out;
}

/// What `allowance` allows and `already` doesn't.
void addPermits(const Permit& of, const Allowance& allowance, const Allowance* already,
                const Cuts& cuts, std::set<Permit>& out) {
  if (already != nullptr && already->allowsAll()) return;
  if (allowance.allowsAll()) {
    out.insert(of);
    return;
  }
  const auto adds = [&](std::size_t protocol, std::size_t at) {
    return allowance.allows(protocol, at) && (already == nullptr || !already->allows(protocol, at));
  };
  if (adds(kOthers, 0)) {
    Permit others = of;
    others.others = true;
    out.insert(others);
  }
  for (std::size_t protocol = 0; protocol < kProtocols.size(); ++protocol) {
    for (std::size_t at = 0; at + 1 < cuts.size(); ++at) {
      if (!adds(protocol, at)) continue;
      Permit permit = of;
      permit.protocol = kProtocols.at(protocol);
      permit.first = static_cast<std::uint16_t>(cuts[at]);
      while (at + 2 < cuts.size() && adds(protocol, at + 1)) ++at;
      permit.last = static_cast<std::uint16_t>(cuts[at + 1] - 1);
      out.insert(permit);
    }
  }
}

}  // namespace

bool isUnion(const Steps& steps) {
  return std::ranges::all_of(
      steps, [](const Step& step) { return step.action == ClusterPolicyAction::Accept; });
}

std::set<Permit> orderedPermits(Number subject, const Steps& steps, const Layout& layout) {
  const Cuts cuts = cutsOf(steps);
  Fits everybody;
  std::map<Number, Fits> named;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    for (const Entry& entry : steps[at].entries) {
      if (entry.peers.empty()) {
        everybody.push_back({at, &entry});
        continue;
      }
      for (const Number one : layout.classesOf(entry.peers)) named[one].push_back({at, &entry});
    }
  }
  const Allowance rest = judge(steps, everybody, cuts);
  std::map<Number, Allowance> allowances;
  Allowance all = rest;
  for (auto& [one, fits] : named) {
    fits.insert(fits.end(), everybody.begin(), everybody.end());
    std::ranges::stable_sort(fits, {}, &Fit::step);
    all.narrow(allowances.emplace(one, judge(steps, fits, cuts)).first->second);
  }
  std::set<Permit> out;
  addPermits({subject, kEverybody, std::nullopt, 0, 0}, all, nullptr, cuts, out);
  for (const Number one : layout.classesOf(kAnyAddress)) {
    const auto own = allowances.find(one);
    addPermits({subject, one, std::nullopt, 0, 0}, own == allowances.end() ? rest : own->second,
               &all, cuts, out);
  }
  return out;
}

}  // namespace multinet::policy
