#include "lib/nft/elements.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "lib/netlink/codec.h"

namespace multinet::nft {
namespace {

using Key = std::vector<std::uint8_t>;

/// More are a matter for libnftables, which knows how to cut them.
constexpr std::size_t kMost = 256;
/// The kernel answers once it has committed; others' transactions come first.
constexpr timeval kPatience{10, 0};

std::vector<std::string> partsOf(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(" . ");
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 3);
  }
}

std::optional<Key> nameKey(const std::string& text) {
  if (text.size() >= IFNAMSIZ) return std::nullopt;
  Key key(text.begin(), text.end());
  key.resize(IFNAMSIZ);
  return key;
}

std::optional<Key> macKey(const std::string& text) {
  const auto mac = MacAddress::parse(text);
  if (!mac) return std::nullopt;
  return Key(mac->bytes().begin(), mac->bytes().end());
}

std::optional<Key> addressKey(const std::string& text, bool isV4) {
  const auto address = IpAddress::parse(text);
  if (!address || address->isV4() != isV4) return std::nullopt;
  const auto bytes = address->bytes();
  return Key(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(address->byteCount()));
}

std::optional<Key> portKey(const std::string& text) {
  std::uint16_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return Key{static_cast<std::uint8_t>(number >> 8U), static_cast<std::uint8_t>(number)};
}

/// `0x...`, sixteen bytes of a frame.
std::optional<Key> bytesKey(std::string_view text) {
  constexpr std::size_t kSize = 16;
  if (!text.starts_with("0x") || text.size() > 2 + 2 * kSize) return std::nullopt;
  const std::string digits =
      std::string(2 + 2 * kSize - text.size(), '0') + std::string(text.substr(2));
  Key key(kSize);
  for (std::size_t i = 0; i < kSize; ++i) {
    const char* at = digits.data() + 2 * i;
    const auto read = std::from_chars(at, at + 2, key[i], 16);
    if (read.ec != std::errc() || read.ptr != at + 2) return std::nullopt;
  }
  return key;
}

std::optional<Key> partKey(const std::string& type, const std::string& text) {
  if (type == "ifname" || type == "iifname") return nameKey(text);
  if (type == "ether_addr" || type == "ether saddr") return macKey(text);
  if (type == "ipv4_addr") return addressKey(text, true);
  if (type == "ipv6_addr") return addressKey(text, false);
  if (type == "inet_service") return portKey(text);
  if (type == "@th,64,128") return bytesKey(text);
  return std::nullopt;
}

std::uint8_t familyOf(const Table& table) {
  if (table.family == "bridge") return NFPROTO_BRIDGE;
  return table.family == "netdev" ? NFPROTO_NETDEV : NFPROTO_INET;
}

nfgenmsg batchMark() {
  nfgenmsg what{};
  what.version = NFNETLINK_V0;
  what.res_id = __builtin_bswap16(NFNL_SUBSYS_NFTABLES);
  return what;
}

const std::set<std::string>& of(const Elements& elements, const Set& set) {
  static const std::set<std::string> none;
  const auto found = elements.find(set.name);
  return found == elements.end() ? none : found->second;
}

tl::unexpected<Error> refused(Code code, int error) {
  return fail(code, code == Code::Unavailable ? "NftablesUnavailable" : "NftablesRefused",
              std::string("commit nftables elements: ") + std::strerror(error));
}

}  // namespace

std::optional<Key> keyOf(const std::string& type, const std::string& element) {
  constexpr std::string_view kTypeof = "typeof ";
  const std::vector<std::string> types =
      partsOf(type.starts_with(kTypeof) ? std::string_view(type).substr(kTypeof.size()) : type);
  const std::vector<std::string> texts = partsOf(element);
  if (types.size() != texts.size()) return std::nullopt;
  Key key;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const auto part = partKey(types[i], texts[i]);
    if (!part) return std::nullopt;
    key.insert(key.end(), part->begin(), part->end());
    if (types.size() > 1) key.resize((key.size() + 3) / 4 * 4);
  }
  return key;
}

Result<ElementWriter> ElementWriter::open() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (fd.get() < 0) return refused(Code::Unavailable, errno);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return refused(Code::Unavailable, errno);
  }
  return ElementWriter(std::move(fd));
}

bool ElementWriter::canWrite(const Table& table, const Elements& gone, const Elements& added) {
  std::size_t count = 0;
  for (const Set& set : table.sets) {
    for (const Elements* elements : {&gone, &added}) {
      for (const std::string& element : of(*elements, set)) {
        const bool isPlain = set.value.empty() && !set.intervals && keyOf(set.type, element);
        if (!isPlain || ++count > kMost) return false;
      }
    }
  }
  return count > 0;
}

Status ElementWriter::write(const Table& table, const Elements& gone, const Elements& added) {
  std::vector<std::uint8_t> batch;
  bool valid = true;
  const auto put = [&](const netlink::Message& message, std::uint32_t sequence) {
    const auto bytes = message.encode(sequence);
    batch.insert(batch.end(), bytes.begin(), bytes.end());
    valid = valid && message.valid();
  };
  const std::uint32_t first = ++sequence_;
  put(netlink::Message(NFNL_MSG_BATCH_BEGIN, 0).header(batchMark()), first);
  const auto putElements = [&](std::uint8_t type, std::uint16_t flags, const Set& set,
                               const std::set<std::string>& elements) {
    if (elements.empty()) return;
    // Each is acknowledged, so the last one's tells of all.
    netlink::Message message(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | type),
                             static_cast<std::uint16_t>(NLM_F_ACK | flags));
    message.header(nfgenmsg{familyOf(table), NFNETLINK_V0, 0});
    message.put(NFTA_SET_ELEM_LIST_TABLE, table.name);
    message.put(NFTA_SET_ELEM_LIST_SET, set.name);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&](netlink::Message& list) {
      for (const std::string& element : elements) {
        const Key key = keyOf(set.type, element).value_or(Key{});
        list.nest(NFTA_LIST_ELEM, [&](netlink::Message& one) {
          one.nest(NFTA_SET_ELEM_KEY,
                   [&](netlink::Message& data) { data.put(NFTA_DATA_VALUE, netlink::Bytes(key)); });
        });
      }
    });
    put(message, ++sequence_);
  };
  for (const Set& set : table.sets) {
    putElements(NFT_MSG_DELSETELEM, 0, set, of(gone, set));
    putElements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, of(added, set));
  }
  const std::uint32_t last = sequence_;
  put(netlink::Message(NFNL_MSG_BATCH_END, 0).header(batchMark()), ++sequence_);
  if (!valid) return refused(Code::Internal, EMSGSIZE);
  if (::send(fd_.get(), batch.data(), batch.size(), 0) < 0) {
    return refused(Code::Unavailable, errno);
  }
  return verdict(first, last);
}

/// The kernel acknowledges each message after it has committed all; before that it says what it
/// refused, of a message or of the whole as its first (nfnetlink_rcv_batch).
Status ElementWriter::verdict(std::uint32_t first, std::uint32_t last) const {
  std::array<std::uint8_t, 8192> reply{};
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return refused(Code::Unavailable, errno);
    MULTINET_TRY(const auto frames,
                 netlink::parseFrames({reply.data(), static_cast<std::size_t>(size)}));
    for (const netlink::Frame& frame : frames) {
      if (frame.type != NLMSG_ERROR) continue;
      if (frame.sequence < first || frame.sequence > last + 1) continue;  // an earlier one's
      MULTINET_TRY(const netlink::Ack ack, netlink::parseAck(frame));
      if (ack.errorNumber != 0) return refused(Code::Internal, ack.errorNumber);
      if (frame.sequence == last) return {};
    }
  }
}

}  // namespace multinet::nft
