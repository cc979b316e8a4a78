#include "lib/nft/table_keeper.h"

#include <algorithm>
#include <iterator>

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

std::optional<std::string> TableKeeper::refill(const Table& table) {
  if (!remembers(table)) return std::nullopt;
  ++listings_;
  const auto listed = committer_.list(table);
  if (!listed || !*listed || !(*listed)->hasPartsOf(table)) return std::nullopt;
  Elements gone;
  Elements added;
  for (const Set& set : table.sets) {
    if (!set.filledBy.empty()) continue;
    const auto& there = (*listed)->sets.at(set.name);
    std::ranges::set_difference(there, set.elements,
                                std::inserter(gone[set.name], gone[set.name].end()));
    std::ranges::set_difference(set.elements, there,
                                std::inserter(added[set.name], added[set.name].end()));
  }
  return renderRefill(table, gone, added);
}

Status TableKeeper::commit(const Table& table) {
  Kept& kept = tables_[table.name];
  const bool delta = kept.committed && sameShape(*kept.committed, table);
  const auto refill = delta ? std::nullopt : this->refill(table);
  const std::string commands = delta ? renderDelta(*kept.committed, table) : renderReplace(table);
  // Until the verdict is in, what the kernel has isn't known.
  kept.committed.reset();
  kept.generation.reset();
  const auto before = generation();
  // What of it is as another version had it is made anew.
  if (!refill || !committer_.commit(*refill)) MULTINET_CHECK(committer_.commit(commands));
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
