#include "lib/nft/batch.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace multinet::nft {
namespace {

/// The kernel answers once it has committed; others' transactions come first.
constexpr timeval kPatience{10, 0};
/// Of 100,000 elements and more. Only who is admin of the machine gets it.
constexpr int kSendBuffer = 16 << 20;
constexpr std::size_t kReply = 32768;

netlink::Message batchMark(std::uint16_t type) {
  nfgenmsg what{};
  what.version = NFNETLINK_V0;
  what.res_id = __builtin_bswap16(NFNL_SUBSYS_NFTABLES);
  netlink::Message message(type, 0);
  message.header(what);
  return message;
}

tl::unexpected<Error> refused(Code code, int error) {
  return fail(code, code == Code::Unavailable ? "NftablesUnavailable" : "NftablesRefused",
              std::string("commit nftables' messages: ") + std::strerror(error));
}

}  // namespace

std::uint8_t familyOf(const std::string& family) {
  if (family == "bridge") return NFPROTO_BRIDGE;
  return family == "netdev" ? NFPROTO_NETDEV : NFPROTO_INET;
}

netlink::Message nftMessage(unsigned type, unsigned flags, std::uint8_t family) {
  constexpr unsigned kSubsystem = 8;
  netlink::Message message(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << kSubsystem | type),
                           static_cast<std::uint16_t>(flags));
  message.header(nfgenmsg{family, NFNETLINK_V0, 0});
  return message;
}

Batch::Batch() {
  put(batchMark(NFNL_MSG_BATCH_BEGIN));
}

void Batch::put(const netlink::Message& message) {
  valid_ = valid_ && message.valid();
  put(netlink::Bytes(message.encode(0)));
}

void Batch::put(netlink::Bytes messages) {
  bytes_.insert(bytes_.end(), messages.begin(), messages.end());
}

Result<BatchSocket> BatchSocket::open() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (fd.get() < 0) return refused(Code::Unavailable, errno);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return refused(Code::Unavailable, errno);
  }
  // Without it a long transaction is refused before it is sent, see commit().
  static_cast<void>(
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer));
  return BatchSocket(std::move(fd));
}

/// What was left unread of an earlier one's refusals keeps a full socket from being told more.
Status BatchSocket::send(const std::vector<std::uint8_t>& bytes) const {
  std::array<char, 1> one{};
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), one.data(), one.size(), MSG_DONTWAIT);
    if (size < 0 && errno != EINTR && errno != ENOBUFS) break;
  }
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) >= 0) return {};
  const int error = errno;
  return refused(error == EMSGSIZE ? Code::ResourceExhausted : Code::Unavailable, error);
}

/// The last message is acknowledged after all are committed; before that the kernel says what it
/// refused, of a message or of the whole as its first. The first such word is the answer.
Status BatchSocket::commit(Batch batch) {
  if (!batch.valid_) return refused(Code::ResourceExhausted, EMSGSIZE);
  const std::size_t end = batch.bytes_.size();
  batch.put(batchMark(NFNL_MSG_BATCH_END));
  const std::uint32_t first = sequence_ + 1;
  std::uint32_t last = first;
  for (std::size_t at = 0; at < batch.bytes_.size();) {
    nlmsghdr header{};
    std::memcpy(&header, batch.bytes_.data() + at, sizeof header);
    header.nlmsg_seq = ++sequence_;
    const std::size_t next = at + NLMSG_ALIGN(header.nlmsg_len);
    if (next == end) {
      header.nlmsg_flags |= NLM_F_ACK;
      last = sequence_;
    }
    std::memcpy(batch.bytes_.data() + at, &header, sizeof header);
    at = next;
  }
  MULTINET_CHECK(send(batch.bytes_));
  return receive(first, sequence_, [&](const netlink::Frame& frame) -> Result<bool> {
    if (frame.type != NLMSG_ERROR) return false;
    MULTINET_TRY(const netlink::Ack ack, netlink::parseAck(frame));
    if (ack.errorNumber != 0) return refused(Code::Internal, ack.errorNumber);
    return frame.sequence == last;
  });
}

Result<bool> BatchSocket::hasTable(const std::string& name, const std::string& family) {
  netlink::Message message = nftMessage(NFT_MSG_GETTABLE, 0, familyOf(family));
  message.put(NFTA_TABLE_NAME, name);
  const std::uint32_t sequence = ++sequence_;
  MULTINET_CHECK(send(message.encode(sequence)));
  bool isThere = false;
  MULTINET_CHECK(receive(sequence, sequence, [&](const netlink::Frame& frame) -> Result<bool> {
    isThere = frame.type != NLMSG_ERROR;
    if (isThere) return true;
    MULTINET_TRY(const netlink::Ack ack, netlink::parseAck(frame));
    if (ack.errorNumber != ENOENT) return refused(Code::Internal, ack.errorNumber);
    return true;
  }));
  return isThere;
}

Status BatchSocket::dump(const netlink::Message& request,
                         const std::function<bool(const netlink::Frame&)>& each) {
  const std::uint32_t sequence = ++sequence_;
  MULTINET_CHECK(send(request.encode(sequence)));
  return receive(sequence, sequence, [&](const netlink::Frame& frame) -> Result<bool> {
    if (frame.type == NLMSG_DONE) return true;
    if (frame.type == NLMSG_ERROR) {
      MULTINET_TRY(const netlink::Ack ack, netlink::parseAck(frame));
      return refused(Code::Internal, ack.errorNumber);
    }
    return !each(frame);
  });
}

Status BatchSocket::receive(std::uint32_t first, std::uint32_t last,
                            const std::function<Result<bool>(const netlink::Frame&)>& each) const {
  std::vector<std::uint8_t> reply(kReply);
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    // More was refused than the socket has room to be told of: the first of it is there.
    if (size < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (size < 0) return refused(Code::Unavailable, errno);
    MULTINET_TRY(const auto frames,
                 netlink::parseFrames({reply.data(), static_cast<std::size_t>(size)}));
    for (const netlink::Frame& frame : frames) {
      if (frame.sequence < first || frame.sequence > last) continue;  // an earlier one's
      MULTINET_TRY(const bool isLast, each(frame));
      if (isLast) return {};
    }
  }
}

}  // namespace multinet::nft
