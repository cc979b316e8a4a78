#include "lib/nft/table_keeper.h"

namespace multinet::nft {

Result<TableKeeper> TableKeeper::open(Duration compareEvery) {
  MULTINET_TRY(auto committer, Committer::open());
  return TableKeeper(std::move(committer), compareEvery);
}

Result<bool> TableKeeper::isCommitted(const Table& table, BootTime now) {
  Kept& kept = tables_[table.name];
  if (!kept.committed || now >= kept.compareAt) {
    kept.compareAt = now + compareEvery_;
    const auto same = committer_.matches(kept.committed.value_or(table));
    if (!same) {
      kept.committed.reset();
      return fail(same.error());
    }
    if (!*same) {
      kept.committed.reset();
    } else if (!kept.committed) {
      kept.committed = table;
    }
  }
  return kept.committed == table;
}

Status TableKeeper::commit(const Table& table) {
  Kept& kept = tables_[table.name];
  const bool delta = kept.committed && sameShape(*kept.committed, table);
  const std::string commands = delta ? renderDelta(*kept.committed, table) : renderReplace(table);
  // Until the verdict is in, what the kernel has isn't known.
  kept.committed.reset();
  MULTINET_CHECK(committer_.commit(commands));
  kept.committed = table;
  return {};
}

Status TableKeeper::remove(const Table& like, BootTime now) {
  Kept& kept = tables_[like.name];
  if (!kept.committed && now < kept.compareAt) return {};
  kept.compareAt = now + compareEvery_;
  kept.committed.reset();
  MULTINET_TRY(const bool there, committer_.exists(like.name, like.family));
  return there ? committer_.commit(renderDelete(like.name, like.family)) : Status{};
}

}  // namespace multinet::nft
