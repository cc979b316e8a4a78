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

/// A message under way.
class Writer {
 public:
  template <class Value>
  void put(const Value& value) {
    bytes(&value, sizeof value);
  }
  void bytes(const void* from, std::size_t size) {
    const auto* begin = static_cast<const std::uint8_t*>(from);
    data_.insert(data_.end(), begin, begin + size);
    data_.resize(NLMSG_ALIGN(data_.size()));
  }
  [[nodiscard]] std::size_t size() const { return data_.size(); }
  [[nodiscard]] std::size_t begin(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence,
                                  nfgenmsg what) {
    const std::size_t at = data_.size();
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    header.nlmsg_seq = sequence;
    put(header);
    put(what);
    return at;
  }
  void end(std::size_t at) {
    const auto length = static_cast<std::uint32_t>(data_.size() - at);
    std::memcpy(&data_[at + offsetof(nlmsghdr, nlmsg_len)], &length, sizeof length);
  }
  void attribute(std::uint16_t type, const void* from, std::size_t size) {
    put(nlattr{static_cast<std::uint16_t>(NLA_HDRLEN + size), type});
    bytes(from, size);
  }
  void text(std::uint16_t type, const std::string& value) {
    attribute(type, value.c_str(), value.size() + 1);
  }
  [[nodiscard]] std::size_t nest(std::uint16_t type) {
    const std::size_t at = data_.size();
    put(nlattr{0, static_cast<std::uint16_t>(type | NLA_F_NESTED)});
    return at;
  }
  void unnest(std::size_t at) {
    const auto length = static_cast<std::uint16_t>(data_.size() - at);
    std::memcpy(&data_[at], &length, sizeof length);
  }
  [[nodiscard]] const std::vector<std::uint8_t>& data() const { return data_; }

 private:
  std::vector<std::uint8_t> data_;
};

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
  Writer batch;
  const std::uint32_t first = ++sequence_;
  batch.end(batch.begin(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, first, batchMark()));
  const auto put = [&](std::uint8_t type, std::uint16_t flags, const Set& set,
                       const std::set<std::string>& elements) {
    if (elements.empty()) return;
    // Each is acknowledged, so the last one's tells of all.
    const std::size_t message =
        batch.begin(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | type),
                    static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags), ++sequence_,
                    {familyOf(table), NFNETLINK_V0, 0});
    batch.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
    batch.text(NFTA_SET_ELEM_LIST_SET, set.name);
    const std::size_t list = batch.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const std::string& element : elements) {
      const Key key = keyOf(set.type, element).value_or(Key{});
      const std::size_t one = batch.nest(NFTA_LIST_ELEM);
      const std::size_t data = batch.nest(NFTA_SET_ELEM_KEY);
      batch.attribute(NFTA_DATA_VALUE, key.data(), key.size());
      batch.unnest(data);
      batch.unnest(one);
    }
    batch.unnest(list);
    batch.end(message);
  };
  for (const Set& set : table.sets) {
    put(NFT_MSG_DELSETELEM, 0, set, of(gone, set));
    put(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, of(added, set));
  }
  const std::uint32_t last = sequence_;
  batch.end(batch.begin(NFNL_MSG_BATCH_END, NLM_F_REQUEST, ++sequence_, batchMark()));
  if (::send(fd_.get(), batch.data().data(), batch.data().size(), 0) < 0) {
    return refused(Code::Unavailable, errno);
  }
  return verdict(first, last);
}

/// The kernel acknowledges each message after it has committed all; before that it says what it
/// refused, of a message or of the whole as its first (nfnetlink_rcv_batch).
Status ElementWriter::verdict(std::uint32_t first, std::uint32_t last) const {
  std::array<char, 8192> reply{};
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return refused(Code::Unavailable, errno);
    nlmsghdr header{};
    nlmsgerr error{};
    if (static_cast<std::size_t>(size) < NLMSG_LENGTH(sizeof error.error)) continue;
    std::memcpy(&header, reply.data(), sizeof header);
    if (header.nlmsg_type != NLMSG_ERROR) continue;
    if (header.nlmsg_seq < first || header.nlmsg_seq > last + 1) continue;  // an earlier one's
    std::memcpy(&error.error, reply.data() + NLMSG_HDRLEN, sizeof error.error);
    if (error.error != 0) return refused(Code::Internal, -error.error);
    if (header.nlmsg_seq == last) return {};
  }
}

}  // namespace multinet::nft
