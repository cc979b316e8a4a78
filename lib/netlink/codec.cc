#include "lib/netlink/codec.h"

#include <linux/netlink.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace multinet::netlink {
namespace {

constexpr std::size_t align(std::size_t size) {
  return (size + 3U) & ~std::size_t{3};
}

struct AttributeHeader {
  std::uint16_t length;
  std::uint16_t type;
};

template <class Number>
std::optional<Number> number(std::optional<Bytes> value) {
  if (!value || value->size() != sizeof(Number)) return std::nullopt;
  Number result;
  std::memcpy(&result, value->data(), sizeof result);
  return result;
}

constexpr std::uint16_t swapped(std::uint16_t value) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(value) << 8U |
                                    static_cast<unsigned>(value) >> 8U);
}
constexpr std::uint16_t networkOrder(std::uint16_t value) {
  return std::endian::native == std::endian::little ? swapped(value) : value;
}

Error truncated(std::string_view what, std::size_t claimed, std::size_t left) {
  return Error{Code::DataLoss, "Truncated",
               "decode netlink " + std::string(what) + ": length " + std::to_string(claimed) +
                   " with " + std::to_string(left) + " bytes left"};
}

}  // namespace

Message::Message(std::uint16_t type, std::uint16_t flags) : type_(type), flags_(flags) {
  payload_.reserve(192);
}

void Message::append(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  payload_.insert(payload_.end(), bytes, bytes + size);
  payload_.resize(align(payload_.size()));
}

Message& Message::put(std::uint16_t attribute, Bytes value) {
  const std::size_t length = sizeof(AttributeHeader) + value.size();
  if (length > std::numeric_limits<std::uint16_t>::max()) {
    valid_ = false;
    return *this;
  }
  const AttributeHeader header{static_cast<std::uint16_t>(length), attribute};
  append(&header, sizeof header);
  append(value.data(), value.size());
  return *this;
}

Message& Message::put(std::uint16_t attribute, std::string_view text) {
  std::vector<std::uint8_t> bytes(text.begin(), text.end());
  bytes.push_back(0);
  return put(attribute, Bytes(bytes));
}

Message& Message::put(std::uint16_t attribute, const IpAddress& address) {
  const auto bytes = address.bytes();
  return put(attribute, Bytes(bytes.data(), address.byteCount()));
}

Message& Message::put(std::uint16_t attribute, const MacAddress& mac) {
  return put(attribute, Bytes(mac.bytes()));
}

Message& Message::putU8(std::uint16_t attribute, std::uint8_t value) {
  return put(attribute, Bytes(&value, 1));
}

Message& Message::putU16(std::uint16_t attribute, std::uint16_t value) {
  std::array<std::uint8_t, sizeof value> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  return put(attribute, Bytes(bytes));
}

Message& Message::putU16Network(std::uint16_t attribute, std::uint16_t value) {
  return putU16(attribute, networkOrder(value));
}

Message& Message::putU32(std::uint16_t attribute, std::uint32_t value) {
  std::array<std::uint8_t, sizeof value> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  return put(attribute, Bytes(bytes));
}

std::size_t Message::beginNest(std::uint16_t attribute) {
  const std::size_t start = payload_.size();
  const AttributeHeader header{0, static_cast<std::uint16_t>(attribute | NLA_F_NESTED)};
  append(&header, sizeof header);
  return start;
}

void Message::endNest(std::size_t start) {
  const std::size_t length = payload_.size() - start;
  if (length > std::numeric_limits<std::uint16_t>::max()) {
    valid_ = false;
    return;
  }
  const auto narrow = static_cast<std::uint16_t>(length);
  std::memcpy(payload_.data() + start, &narrow, sizeof narrow);
}

void Message::withoutAck() {
  flags_ &= static_cast<std::uint16_t>(~NLM_F_ACK);
}

std::vector<std::uint8_t> Message::encode(std::uint32_t sequence) const {
  const nlmsghdr header{static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload_.size()), type_,
                        static_cast<std::uint16_t>(flags_ | NLM_F_REQUEST), sequence, 0};
  std::vector<std::uint8_t> bytes(sizeof header + payload_.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::copy(payload_.begin(), payload_.end(), bytes.begin() + sizeof header);
  return bytes;
}

Result<std::vector<Frame>> parseFrames(Bytes datagram) {
  std::vector<Frame> frames;
  while (!datagram.empty()) {
    MULTINET_TRY(const auto header, readHeader<nlmsghdr>(datagram));
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) {
      return fail(truncated("message", header.nlmsg_len, datagram.size()));
    }
    frames.push_back(Frame{header.nlmsg_type, header.nlmsg_flags, header.nlmsg_seq,
                           header.nlmsg_pid,
                           datagram.subspan(sizeof header, header.nlmsg_len - sizeof header)});
    datagram = datagram.subspan(std::min(align(header.nlmsg_len), datagram.size()));
  }
  return frames;
}

Result<Attributes> Attributes::parse(Bytes payload, std::size_t skip) {
  Attributes attributes;
  if (payload.size() < skip) return fail(truncated("header", skip, payload.size()));
  payload = payload.subspan(std::min(align(skip), payload.size()));
  while (payload.size() >= sizeof(AttributeHeader)) {
    MULTINET_TRY(const auto header, readHeader<AttributeHeader>(payload));
    if (header.length < sizeof header || header.length > payload.size()) {
      return fail(truncated("attribute", header.length, payload.size()));
    }
    const auto type =
        static_cast<std::uint16_t>(header.type & ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER));
    attributes.all_.emplace_back(type,
                                 payload.subspan(sizeof header, header.length - sizeof header));
    payload = payload.subspan(std::min(align(header.length), payload.size()));
  }
  return attributes;
}

std::optional<Bytes> Attributes::find(std::uint16_t attribute) const {
  for (auto entry = all_.rbegin(); entry != all_.rend(); ++entry) {
    if (entry->first == attribute) return entry->second;
  }
  return std::nullopt;
}

std::optional<std::uint8_t> Attributes::u8(std::uint16_t attribute) const {
  return number<std::uint8_t>(find(attribute));
}
std::optional<std::uint16_t> Attributes::u16(std::uint16_t attribute) const {
  return number<std::uint16_t>(find(attribute));
}
std::optional<std::uint16_t> Attributes::u16Network(std::uint16_t attribute) const {
  const auto value = u16(attribute);
  if (!value) return std::nullopt;
  return networkOrder(*value);
}
std::optional<std::uint32_t> Attributes::u32(std::uint16_t attribute) const {
  return number<std::uint32_t>(find(attribute));
}

std::optional<MacAddress> Attributes::mac(std::uint16_t attribute) const {
  const auto bytes = number<std::array<std::uint8_t, 6>>(find(attribute));
  if (!bytes) return std::nullopt;
  return MacAddress(*bytes);
}

std::optional<IpAddress> Attributes::ip(std::uint16_t attribute) const {
  const auto value = find(attribute);
  if (const auto v4 = number<std::array<std::uint8_t, 4>>(value)) return IpAddress::fromV4(*v4);
  if (const auto v6 = number<std::array<std::uint8_t, 16>>(value)) return IpAddress::fromV6(*v6);
  return std::nullopt;
}

std::optional<std::string> Attributes::text(std::uint16_t attribute) const {
  const auto value = find(attribute);
  if (!value) return std::nullopt;
  return std::string(value->begin(), std::find(value->begin(), value->end(), std::uint8_t{0}));
}

Attributes Attributes::nested(std::uint16_t attribute) const {
  const auto value = find(attribute);
  if (!value) return {};
  return parse(*value).value_or(Attributes{});
}

Result<int> errnoOf(std::int32_t verdict) {
  constexpr std::int32_t kLargest = 4095;  // MAX_ERRNO of include/linux/err.h
  if (verdict <= 0 && verdict >= -kLargest) return -verdict;
  return fail(Code::DataLoss, "BadVerdict",
              "decode netlink verdict: " + std::to_string(verdict) + " is no negative errno");
}

Result<Ack> parseAck(const Frame& frame) {
  MULTINET_TRY(const auto header, readHeader<nlmsgerr>(frame.payload));
  MULTINET_TRY(const int errorNumber, errnoOf(header.error));
  Ack ack{errorNumber, ""};
  if ((frame.flags & NLM_F_ACK_TLVS) == 0) return ack;
  // Uncapped errors repeat the whole request between the header and the attributes.
  std::size_t offset = sizeof header;
  if ((frame.flags & NLM_F_CAPPED) == 0) {
    if (header.msg.nlmsg_len < sizeof(nlmsghdr) ||
        header.msg.nlmsg_len - sizeof(nlmsghdr) > frame.payload.size() - offset) {
      return fail(truncated("error", header.msg.nlmsg_len, frame.payload.size()));
    }
    offset += align(header.msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  if (offset > frame.payload.size()) return ack;
  MULTINET_TRY(const auto attributes, Attributes::parse(frame.payload.subspan(offset)));
  ack.text = attributes.text(NLMSGERR_ATTR_MSG).value_or("");
  return ack;
}

}  // namespace multinet::netlink
