#include "lib/nft/table_keeper.h"

namespace multinet::nft {

Result<TableKeeper> TableKeeper::open(Duration compareEvery) {
  MULTINET_TRY(auto committer, Committer::open());
  MULTINET_TRY(auto generation, Generation::open());
  return TableKeeper(std::move(committer), std::move(generation), compareEvery);
}

std::optional<std::uint32_t> TableKeeper::generation() {
  const auto read = generation_.read();
  return read ? std::optional(*read) : std::nullopt;
}

Result<bool> TableKeeper::isCommitted(const Table& table, BootTime now) {
  Kept& kept = tables_[table.name];
  if (!kept.committed || now >= kept.compareAt) {
    kept.compareAt = now + compareEvery_;
    // Read first: who writes while it is listed makes it another.
    const auto at = generation();
    if (kept.committed && at && at == kept.generation) return kept.committed == table;
    kept.generation = at;
    ++listings_;
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
  kept.generation.reset();
  const auto before = generation();
  MULTINET_CHECK(committer_.commit(commands));
  kept.committed = table;
  // One more is this one; any other transaction may have touched the table.
  const auto after = generation();
  if (before && after && *after == *before + 1) kept.generation = after;
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
