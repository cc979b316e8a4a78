// Transactions as the kernel's own messages (net/netfilter/nfnetlink.c, nfnetlink_rcv_batch).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "lib/netlink/codec.h"

namespace multinet::nft {

/// The kernel's number of `inet`, `bridge` or `netdev`.
[[nodiscard]] std::uint8_t familyOf(const std::string& family);
/// A message of nftables' about a family, without attributes. `type`: of enum nf_tables_msg_types.
[[nodiscard]] netlink::Message nftMessage(unsigned type, unsigned flags, std::uint8_t family);

/// One transaction under construction.
class Batch {
 public:
  Batch();
  void put(const netlink::Message& message);
  /// Whole messages, encoded before.
  void put(netlink::Bytes messages);

 private:
  friend class BatchSocket;
  std::vector<std::uint8_t> bytes_;
  bool valid_ = true;
};

/// Bound to the network namespace of the thread that opened it. Not thread-safe.
class BatchSocket {
 public:
  [[nodiscard]] static Result<BatchSocket> open();
  /// All of it or nothing. Internal/NftablesRefused with the kernel's word; ResourceExhausted where
  /// the socket can't take so much at once: nothing was sent; Unavailable where nobody answers.
  [[nodiscard]] Status commit(Batch batch);
  /// Whether there is such a table: one small request.
  [[nodiscard]] Result<bool> hasTable(const std::string& name, const std::string& family);
  /// All objects that a request of type `get` lists in the caller's tables, as long as `each` asks
  /// for more. Where it doesn't the kernel isn't done with it, and this is of no use any more.
  [[nodiscard]] Status dump(const netlink::Message& request,
                            const std::function<bool(const netlink::Frame&)>& each);

 private:
  explicit BatchSocket(Fd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Status send(const std::vector<std::uint8_t>& bytes) const;
  /// Hands over what comes in as answers to these, until `each` says that it was the last.
  [[nodiscard]] Status receive(
      std::uint32_t first, std::uint32_t last,
      const std::function<Result<bool>(const netlink::Frame&)>& each) const;
  Fd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace multinet::nft
