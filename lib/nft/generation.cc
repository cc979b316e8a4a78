#include "lib/nft/generation.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace multinet::nft {
namespace {

constexpr std::uint16_t kRequest = (NFNL_SUBSYS_NFTABLES << 8U) | NFT_MSG_GETGEN;
constexpr std::uint16_t kReply = (NFNL_SUBSYS_NFTABLES << 8U) | NFT_MSG_NEWGEN;
constexpr std::size_t kHead = NLMSG_LENGTH(sizeof(nfgenmsg));
/// The kernel answers at once; a second means that it doesn't.
constexpr timeval kPatience{1, 0};

tl::unexpected<Error> refused(int error) {
  return fail(Code::Unavailable, "NftablesUnavailable",
              std::string("read nftables' generation: ") + std::strerror(error));
}

/// The attributes of a reply.
Result<std::uint32_t> idOf(const char* at, std::size_t left) {
  while (left >= sizeof(nlattr)) {
    nlattr attribute{};
    std::memcpy(&attribute, at, sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > left) break;
    std::uint32_t id = 0;
    if ((attribute.nla_type & NLA_TYPE_MASK) == NFTA_GEN_ID &&
        attribute.nla_len >= NLA_HDRLEN + sizeof id) {
      std::memcpy(&id, at + NLA_HDRLEN, sizeof id);
      return ntohl(id);
    }
    const std::size_t step = NLA_ALIGN(attribute.nla_len);
    if (step >= left) break;
    at += step;
    left -= step;
  }
  return refused(EBADMSG);
}

}  // namespace

Result<Generation> Generation::open() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (fd.get() < 0) return refused(errno);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return refused(errno);
  }
  return Generation(std::move(fd));
}

Result<std::uint32_t> Generation::read() {
  std::array<char, kHead> request{};
  nlmsghdr header{};
  header.nlmsg_len = kHead;
  header.nlmsg_type = kRequest;
  header.nlmsg_flags = NLM_F_REQUEST;
  header.nlmsg_seq = ++sequence_;
  std::memcpy(request.data(), &header, sizeof header);
  if (::send(fd_.get(), request.data(), request.size(), 0) < 0) return refused(errno);
  std::array<char, 1024> reply{};
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return refused(errno);
    if (static_cast<std::size_t>(size) < sizeof header) return refused(EBADMSG);
    std::memcpy(&header, reply.data(), sizeof header);
    if (header.nlmsg_seq != sequence_) continue;  // of an earlier one that came too late
    if (header.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr error{};
      if (static_cast<std::size_t>(size) < NLMSG_LENGTH(sizeof error.error))
        return refused(EBADMSG);
      std::memcpy(&error.error, reply.data() + NLMSG_HDRLEN, sizeof error.error);
      return refused(-error.error);
    }
    if (header.nlmsg_type != kReply || static_cast<std::size_t>(size) < kHead) {
      return refused(EBADMSG);
    }
    return idOf(reply.data() + kHead, static_cast<std::size_t>(size) - kHead);
  }
}

}  // namespace multinet::nft
