#include "lib/nft/committer.h"

#include <nftables/libnftables.h>

#include <mutex>

#include "lib/base/calls.h"

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
  std::unique_ptr<nft_ctx, Free> context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_output(context.get()) != 0 ||
      nft_ctx_buffer_error(context.get()) != 0) {
    return fail(Code::Unavailable, "NftablesUnavailable",
                "open nftables: libnftables gave no context");
  }
  MULTINET_TRY(auto elements, ElementWriter::open());
  return Committer(std::move(context), std::move(elements));
}

Status Committer::commit(const std::string& commands) {
  return calls::timed("nft", "commit", [&]() -> Status {
    nft_ctx_output_set_flags(context_.get(), 0);
    ++commits_;
    if (nft_run_cmd_from_buffer(context_.get(), commands.c_str()) == 0) return {};
    std::string said = nft_ctx_get_error_buffer(context_.get());
    if (said.size() > 500) said.resize(500);
    return fail(Code::Internal, "NftablesRefused", "commit nftables rules: " + said);
  });
}

Status Committer::change(const Tables& tables, const Elements& gone, const Elements& added) {
  if (!ElementWriter::canWrite(tables, gone, added)) {
    std::string commands;
    for (const Table* table : tables) commands += renderChange(*table, gone, added);
    return commands.empty() ? Status{} : commit(commands);
  }
  return calls::timed("nft", "commit", [&]() -> Status {
    ++commits_;
    return elements_.write(tables, gone, added);
  });
}

Result<std::string> Committer::ask(const std::string& command, unsigned flags) {
  const std::lock_guard lock(writingJson());
  nft_ctx_output_set_flags(context_.get(),
                           NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL | flags);
  if (nft_run_cmd_from_buffer(context_.get(), command.c_str()) != 0) {
    const std::string said = nft_ctx_get_error_buffer(context_.get());
    // ENOENT has no code of its own here, only its text.
    if (said.find("No such file or directory") != std::string::npos) return std::string();
    return fail(Code::Internal, "NftablesRefused", "list nftables rules: " + said);
  }
  return std::string(nft_ctx_get_output_buffer(context_.get()));
}

Result<std::optional<Listing>> Committer::list(const Table& table) {
  return calls::timed("nft", "list", [&]() -> Result<std::optional<Listing>> {
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
  MULTINET_TRY(const std::string listed,
               ask("list table " + family + " " + table, NFT_CTX_OUTPUT_STATELESS));
  return !listed.empty();
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
