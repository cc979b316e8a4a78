#include "lib/nft/committer.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <mutex>
#include <numeric>

#include "lib/base/calls.h"
#include "lib/base/log.h"
#include "lib/netns/netns.h"
#include "lib/nft/comparison.h"
#include "lib/nft/dump.h"
#include "lib/nft/elements.h"
#include "lib/nft/extent.h"
#include "lib/nft/skeletons.h"

namespace multinet::nft {
namespace {

/// libnftables writes JSON with strtok (json.c, set_dtype_json), whose state all threads share: two
/// that list concatenated sets at once end the process by an assertion.
std::mutex& writingJson() {
  static std::mutex mutex;
  return mutex;
}

/// libnftables keeps what it read last, and its words on it: some MiB of 10,000 elements.
constexpr std::size_t kKept = 64 << 10;
/// Of a table with a few: what somebody in a pod put in isn't read.
constexpr std::size_t kMostCounters = 1024;

/// What a listing may find of a table that is as wished, twice and more.
std::size_t extentOf(const Table& table) {
  constexpr std::size_t kPlenty = 4;
  return std::accumulate(
      table.sets.begin(), table.sets.end(), std::size_t{0},
      [](std::size_t sum, const Set& set) { return sum + kPlenty * set.elements.size(); });
}

std::uint64_t packetsOf(const netlink::Attributes& counter) {
  const auto bytes = counter.nested(NFTA_OBJ_DATA).find(NFTA_COUNTER_PACKETS);
  if (!bytes || bytes->size() != sizeof(std::uint64_t)) return 0;
  return std::accumulate(bytes->begin(), bytes->end(), std::uint64_t{0},
                         [](std::uint64_t sum, std::uint8_t byte) { return sum << 8U | byte; });
}

}  // namespace

bool isRefused(const Status& done) {
  return !done && done.error().reason == "NftablesRefused";
}

void Committer::Free::operator()(nft_ctx* context) const {
  nft_ctx_free(context);
}

Result<Committer> Committer::open() {
  MULTINET_TRY(auto netns, netns::openOwn());
  MULTINET_TRY(auto socket, BatchSocket::open());
  return Committer(std::move(netns), std::move(socket));
}

/// Opened by who needs it first: it reads several files, and has a socket of its own.
Result<nft_ctx*> Committer::context() {
  if (context_) return context_.get();
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns_));
  std::unique_ptr<nft_ctx, Free> context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_output(context.get()) != 0 ||
      nft_ctx_buffer_error(context.get()) != 0) {
    return fail(Code::Unavailable, "NftablesUnavailable",
                "open nftables: libnftables gave no context");
  }
  context_ = std::move(context);
  return context_.get();
}

Status Committer::commit(const std::string& commands) {
  return calls::timed("nft", "commit", [&]() -> Status {
    MULTINET_TRY(nft_ctx* const context, this->context());
    nft_ctx_output_set_flags(context, 0);
    if (nft_run_cmd_from_buffer(context, commands.c_str()) == 0) {
      ++commits_;
      return {};
    }
    std::string said = nft_ctx_get_error_buffer(context);
    if (said.size() > 500) said.resize(500);
    return fail(Code::Internal, "NftablesRefused", "commit nftables rules: " + said);
  });
}

/// The tables' messages; nullopt where something of them isn't known.
std::optional<Batch> Committer::wholeOf(const Tables& tables, Skeletons& skeletons) {
  Batch batch;
  for (const Table* table : tables) {
    const auto* messages = skeletons.of(*table);
    if (messages == nullptr) return std::nullopt;
    batch.put(netlink::Bytes(*messages));
    for (const Set& set : table->sets) {
      if (!putElements({NFT_MSG_NEWSETELEM, *table, set}, set.elements, batch)) return std::nullopt;
    }
  }
  return batch;
}

Status Committer::replace(const Tables& tables, Skeletons& skeletons) {
  if (auto whole = wholeOf(tables, skeletons)) {
    const Status done =
        calls::timed("nft", "commit", [&] { return socket_.commit(std::move(*whole)); });
    if (done) ++commits_;
    if (done || done.error().code == Code::Unavailable) return done;
    log::debug("nftables' messages were refused, asking libnftables", {{"error", done.error()}});
  }
  std::string commands;
  for (const Table* table : tables) commands += renderReplace(*table);
  return commit(commands);
}

Status Committer::change(const Tables& tables, const Elements& gone, const Elements& added) {
  if (!canWrite(tables, gone, added)) {
    std::string commands;
    for (const Table* table : tables) commands += renderChange(*table, gone, added);
    return commands.empty() ? Status{} : commit(commands);
  }
  return calls::timed("nft", "commit", [&]() -> Status {
    MULTINET_CHECK(socket_.commit(changeOf(tables, gone, added)));
    ++commits_;
    return {};
  });
}

Result<std::string> Committer::ask(const std::string& command, unsigned flags) {
  MULTINET_TRY(nft_ctx* const context, this->context());
  const std::lock_guard lock(writingJson());
  nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL | flags);
  if (nft_run_cmd_from_buffer(context, command.c_str()) != 0) {
    const std::string said = nft_ctx_get_error_buffer(context);
    // ENOENT has no code of its own here, only its text.
    if (said.find("No such file or directory") != std::string::npos) return std::string();
    return fail(Code::Internal, "NftablesRefused", "list nftables rules: " + said);
  }
  std::string said(nft_ctx_get_output_buffer(context));
  if (said.size() > kKept) context_.reset();
  return said;
}

/// For dumps that may be left off half-way.
Result<BatchSocket> Committer::another() const {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns_));
  return BatchSocket::open();
}

Result<std::optional<Listing>> Committer::list(const Table& table,
                                               std::optional<std::size_t> strangers) {
  return calls::timed("nft", "list", [&]() -> Result<std::optional<Listing>> {
    MULTINET_TRY(const bool isThere, socket_.hasTable(table.name, table.family));
    if (!isThere) return std::nullopt;
    if (strangers) {
      MULTINET_TRY(auto socket, another());
      MULTINET_TRY(const bool isFew,
                   isWithin(std::move(socket), table, extentOf(table) + *strangers));
      if (!isFew) return Listing{};
    }
    MULTINET_TRY(const std::string listed,
                 ask("list table " + table.family + " " + table.name, NFT_CTX_OUTPUT_STATELESS));
    if (listed.empty()) return std::nullopt;
    MULTINET_TRY(auto parsed, parseListing(listed));
    return parsed;
  });
}

Result<std::optional<bool>> Committer::compareWith(const Table& table) const {
  MULTINET_TRY(auto socket, another());
  return compare(std::move(socket), table);
}

Result<bool> Committer::matches(const Table& table, std::optional<std::size_t> strangers) {
  if (strangers) {
    MULTINET_TRY(const bool isThere, exists(table.name, table.family));
    if (!isThere) return false;
    MULTINET_TRY(const auto isSame,
                 calls::timed("nft", "list", [&] { return compareWith(table); }));
    if (isSame) return *isSame;
  }
  MULTINET_TRY(const auto listing, list(table, strangers));
  return listing && listing->matches(table);
}

Result<bool> Committer::exists(const std::string& table, const std::string& family) {
  return calls::timed("nft", "list", [&] { return socket_.hasTable(table, family); });
}

Result<Counts> Committer::counters(const Table& table) {
  return calls::timed("nft", "list", [&]() -> Result<Counts> {
    MULTINET_TRY(auto socket, another());
    Counts counts;
    std::size_t seen = 0;
    MULTINET_CHECK(socket.dump(counterRequest(table), [&](const netlink::Frame& frame) {
      const auto counter = netlink::Attributes::parse(frame.payload, sizeof(nfgenmsg));
      const auto name = counter ? counter->text(NFTA_OBJ_NAME) : std::nullopt;
      const bool isOurs = name && std::ranges::find(table.counters, *name) != table.counters.end();
      if (isOurs) counts[*name] = packetsOf(*counter);
      return ++seen < kMostCounters;
    }));
    return counts;
  });
}

Result<Counts> Committer::counted(const Table& table, const std::string& set) {
  MULTINET_TRY(const std::string listed,
               ask("list set " + table.family + " " + table.name + " " + set, 0));
  if (listed.empty()) return Counts{};
  return parseCounts(listed);
}

}  // namespace multinet::nft
