// libnftables in this process: no `nft` is executed. One command text is one transaction.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "lib/nft/batch.h"
#include "lib/nft/model.h"

struct nft_ctx;

namespace multinet::nft {

class Skeletons;

/// What is read of strangers' elements in a pod's tables: 30 ms of work.
inline constexpr std::size_t kFewStrangers = 10'000;

/// What stands in a table of the kernel.
struct Listing {
  Elements sets;
  /// Of the rules of each chain, see commentOf().
  std::map<std::string, std::vector<std::string>> comments;
  std::set<std::string> counters{};
  /// Whether it is `table`, but for elements that rules put in.
  [[nodiscard]] bool matches(const Table& table) const;
  /// The same but for all elements.
  [[nodiscard]] bool hasShapeOf(const Table& table) const;
  /// Whether sets, chains and counters have the names of those of `table`.
  [[nodiscard]] bool hasPartsOf(const Table& table) const;
};
/// Packets by an element's text or a counter's name.
using Counts = std::map<std::string, std::uint64_t>;

/// Whether the kernel said no, as it does where it hasn't what is to be changed.
[[nodiscard]] bool isRefused(const Status& done);

/// Bound to the network namespace of the thread that opened it. Not thread-safe.
class Committer {
 public:
  [[nodiscard]] static Result<Committer> open();

  /// All of the commands, or none. The error holds what libnftables said.
  [[nodiscard]] Status commit(const std::string& commands);
  /// Puts whole tables in place of whatever has their names, in one transaction: by the kernel's
  /// own messages where `skeletons` has them, else as commit(renderReplace()) does.
  [[nodiscard]] Status replace(const Tables& tables, Skeletons& skeletons);
  /// These elements of the tables' sets less and more, all or none of them; nothing where there are
  /// none. Few of them go without libnftables.
  [[nodiscard]] Status change(const Tables& tables, const Elements& gone, const Elements& added);
  /// Whether the kernel's table is `table`, elements and all. Lists the whole table: for the start
  /// and for slow comparisons, never on a hot path (a list costs O(elements)). `strangers`: as of
  /// list(), and where compare() can say it nothing of theirs is read.
  [[nodiscard]] Result<bool> matches(const Table& table,
                                     std::optional<std::size_t> strangers = std::nullopt);
  /// Whether there is a table of that name, whatever is in it.
  [[nodiscard]] Result<bool> exists(const std::string& table, const std::string& family = "inet");
  /// What is in the kernel's table of `table`'s name and family; nullopt where there is none.
  /// Costs as much as matches(). `strangers`: how much is read that `table` hasn't, since others
  /// than the node's admin may put it in; an element is one or two. Of a table with more than that
  /// nothing is read, and the listing is one of nothing.
  [[nodiscard]] Result<std::optional<Listing>> list(
      const Table& table, std::optional<std::size_t> strangers = std::nullopt);
  /// Packets of each of the table's named counters. Costs O(counters), without libnftables, which
  /// would read all tables of the namespace.
  [[nodiscard]] Result<Counts> counters(const Table& table);
  /// Packets of each element of a set that counts. Costs O(elements) of that set.
  [[nodiscard]] Result<Counts> counted(const Table& table, const std::string& set);
  /// Transactions committed so far.
  [[nodiscard]] std::uint64_t commits() const { return commits_; }

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  Committer(Fd netns, BatchSocket socket) : netns_(std::move(netns)), socket_(std::move(socket)) {}
  [[nodiscard]] Result<nft_ctx*> context();
  [[nodiscard]] static std::optional<Batch> wholeOf(const Tables& tables, Skeletons& skeletons);
  /// What nft answers; empty where there is no such thing.
  [[nodiscard]] Result<std::string> ask(const std::string& command, unsigned flags);
  [[nodiscard]] Result<BatchSocket> another() const;
  [[nodiscard]] Result<std::optional<bool>> compareWith(const Table& table) const;
  Fd netns_;
  BatchSocket socket_;
  std::unique_ptr<nft_ctx, Free> context_;  ///< none before it is needed
  std::uint64_t commits_ = 0;
};

/// Reads what `list table` prints as JSON. Pure. DataLoss where it can't be read.
[[nodiscard]] Result<Listing> parseListing(const std::string& json);
/// The same, compared.
[[nodiscard]] Result<bool> listingMatches(const std::string& json, const Table& table);
/// Reads what `list set` prints as JSON. Pure. DataLoss where it can't be read.
[[nodiscard]] Result<Counts> parseCounts(const std::string& json);

}  // namespace multinet::nft
