#include "nodeagent/networks/guard_keeper.h"

#include "lib/base/failpoint.h"
#include "lib/base/log.h"

namespace multinet::agent::networks {

Result<GuardKeeper> GuardKeeper::open(Duration compareEvery) {
  MULTINET_TRY(auto keeper, nft::TableKeeper::open(compareEvery));
  return GuardKeeper(std::move(keeper));
}

void GuardKeeper::keep(const std::vector<DesiredNetwork>& served, const Host& host,
                       const std::string& defaultUnderlay, BootTime now) {
  refused_.reset();
  const Status done = put(guardTable(served, host, defaultUnderlay), now);
  if (done) return;
  refused_ = done.error();
  log::error("can't guard the tunnels", {{"error", done.error()}});
}

Status GuardKeeper::put(const nft::Table& table, BootTime now) {
  if (guardsNothing(table)) return keeper_.remove(table, now);
  MULTINET_TRY(const bool there, keeper_.isCommitted(table, now));
  if (there) return {};
  MULTINET_CHECK(failpoint::check("networks.guard"));
  MULTINET_CHECK(keeper_.commit(table));
  log::info("guarded tunnels", {{"ports", table.sets.front().elements.size()}});
  return {};
}

}  // namespace multinet::agent::networks
