#include "nodeagent/policy/freshness.h"

#include <algorithm>

namespace multinet::agent::policing {

void Freshness::look(const watch::Caches::Heard& heard, bool isNeeded, BootTime now) {
  if (!isNeeded) {
    *this = Freshness(options_);
    return;
  }
  // Of a watch that has heard nothing yet: as long as somebody waits for it. One that was heard
  // stays so, also while another begins that wasn't.
  if (!silentSince_) silentSince_ = now;
  if (heard.policies) silentSince_ = std::max(*silentSince_, now - *heard.policies);
  isOld_ = now - *silentSince_ >= options_.oldest;
  const bool isAlone = isOld_ && heard.anything && *heard.anything <= options_.present;
  if (!isAlone) aloneSince_.reset();
  if (isAlone && !aloneSince_) aloneSince_ = now;
  isSilentAlone_ = aloneSince_ && now - *aloneSince_ >= options_.alone;
  next_ = isOld_ ? now + options_.lookAgain : *silentSince_ + options_.oldest;
}

std::optional<BootTime> Freshness::oldSince() const {
  return isOld_ ? silentSince_ : std::nullopt;
}

}  // namespace multinet::agent::policing
