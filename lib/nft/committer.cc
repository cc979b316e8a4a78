#include "lib/nft/committer.h"

#include <linux/netfilter/nf_tables.h>
#include <nftables/libnftables.h>

#include <mutex>

#include "lib/base/calls.h"
#include "lib/base/log.h"
#include "lib/netns/netns.h"
#include "lib/nft/elements.h"
#include "lib/nft/skeletons.h"

namespace multinet::nft {
namespace {

/// libnftables writes JSON with strtok (json.c, set_dtype_json), whose state all threads share: two
/// that list concatenated sets at once end the process by an assertion.
std::mutex& writingJson() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

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
    ++commits_;
    if (nft_run_cmd_from_buffer(context, commands.c_str()) == 0) return {};
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
    if (done || done.error().code == Code::Unavailable) {
      ++commits_;
      return done;
    }
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
    ++commits_;
    return socket_.commit(changeOf(tables, gone, added));
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
  return std::string(nft_ctx_get_output_buffer(context));
}

Result<std::optional<Listing>> Committer::list(const Table& table) {
  return calls::timed("nft", "list", [&]() -> Result<std::optional<Listing>> {
    MULTINET_TRY(const bool isThere, socket_.hasTable(table.name, table.family));
    if (!isThere) return std::nullopt;
    MULTINET_TRY(const std::string listed,
                 ask("list table " + table.family + " " + table.name, NFT_CTX_OUTPUT_STATELESS));
    if (listed.empty()) return std::nullopt;
    MULTINET_TRY(auto parsed, parseListing(listed));
    return parsed;
  });
}

Result<bool> Committer::matches(const Table& table) {
  MULTINET_TRY(const auto listing, list(table));
  return listing && listing->matches(table);
}

Result<bool> Committer::exists(const std::string& table, const std::string& family) {
  return calls::timed("nft", "list", [&] { return socket_.hasTable(table, family); });
}

Result<Counts> Committer::counters(const Table& table) {
  MULTINET_TRY(const std::string listed,
               ask("list counters table " + table.family + " " + table.name, 0));
  if (listed.empty()) return Counts{};
  return parseCounts(listed);
}

Result<Counts> Committer::counted(const Table& table, const std::string& set) {
  MULTINET_TRY(const std::string listed,
               ask("list set " + table.family + " " + table.name + " " + set, 0));
  if (listed.empty()) return Counts{};
  return parseCounts(listed);
}

}  // namespace multinet::nft
