#include "nodeagent/report/tenure.h"

#include <algorithm>

namespace multinet::agent::report {

Tenure::Move Tenure::next(const api::NodeNetworkSetStatus& there, const api::NodeAgent& self,
                          BootTime now) {
  if (!there.agent || *there.agent == self) {
    if (there.claimant && *there.claimant != self) {
      rival_ = there.claimant;
      rivalAt_ = now;
    }
    Move hold{Step::Hold, self, std::nullopt, std::nullopt};
    if (rival(now)) hold.again = rivalAt_ + options_.askAgain * 2 - now;
    return hold;
  }
  if (there.claimant == self) {
    const BootTime asked = askedAt_.value_or(now);  // else by the process before this one
    askedAt_ = asked;
    const Duration left = asked + options_.patience - now;
    if (left <= Duration{}) return {Step::Take, self, std::nullopt, std::nullopt};
    return {Step::Wait, there.agent, there.claimant, left};
  }
  if (askedAt_) {  // and somebody took the question away
    askedAt_.reset();
    holder_ = there.agent;
    nextAsk_ = now + options_.askAgain;
  }
  if (nextAsk_ && now < *nextAsk_) {
    return {Step::Wait, there.agent, there.claimant, Duration(*nextAsk_ - now)};
  }
  return {Step::Ask, there.agent, self, options_.patience};
}

void Tenure::done(const Move& move, BootTime now) {
  switch (move.step) {
    case Step::Hold:
    case Step::Take:
      askedAt_.reset();
      nextAsk_.reset();
      holder_.reset();
      break;
    case Step::Ask:
      askedAt_ = now;
      break;
    case Step::Wait:
      break;
  }
}

std::optional<api::NodeAgent> Tenure::rival(BootTime now) const {
  return rival_ && now < rivalAt_ + options_.askAgain * 2 ? rival_ : std::nullopt;
}

}  // namespace multinet::agent::report
