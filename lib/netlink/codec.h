// Netlink on the wire: requests are built, replies are taken apart. Pure; bounds are checked here
// and nowhere else. Layout: include/uapi/linux/netlink.h (4-byte alignment, host byte order).
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/base/ip.h"
#include "lib/base/mac.h"
#include "lib/base/result.h"

namespace multinet::netlink {

using Bytes = std::span<const std::uint8_t>;

/// One request under construction. The socket fills in sequence number and NLM_F_REQUEST.
class Message {
 public:
  Message(std::uint16_t type, std::uint16_t flags);

  /// The fixed struct of the message's family (ifinfomsg, rtmsg, ...): first of all, once.
  template <class Header>
    requires std::is_trivially_copyable_v<Header>
  Message& header(const Header& value) {
    append(&value, sizeof value);
    return *this;
  }

  Message& put(std::uint16_t attribute, Bytes value);
  Message& put(std::uint16_t attribute, std::string_view text);  ///< with a final zero byte
  Message& put(std::uint16_t attribute, const IpAddress& address);
  Message& put(std::uint16_t attribute, const MacAddress& mac);
  Message& putU8(std::uint16_t attribute, std::uint8_t value);
  Message& putU16(std::uint16_t attribute, std::uint16_t value);
  Message& putU16Network(std::uint16_t attribute, std::uint16_t value);  ///< big endian
  Message& putU32(std::uint16_t attribute, std::uint32_t value);
  /// An attribute whose content is what `fill` appends to this message.
  template <class Fill>
  Message& nest(std::uint16_t attribute, Fill fill) {
    const std::size_t start = beginNest(attribute);
    fill(*this);
    endNest(start);
    return *this;
  }

  /// Answered only where the kernel refuses it.
  void withoutAck();

  [[nodiscard]] std::uint16_t type() const { return type_; }
  [[nodiscard]] std::uint16_t flags() const { return flags_; }
  /// False once an attribute outgrew its 16-bit length: such a message is never sent.
  [[nodiscard]] bool valid() const { return valid_; }
  /// The finished message.
  [[nodiscard]] std::vector<std::uint8_t> encode(std::uint32_t sequence) const;

 private:
  void append(const void* data, std::size_t size);
  std::size_t beginNest(std::uint16_t attribute);
  void endNest(std::size_t start);

  std::uint16_t type_;
  std::uint16_t flags_;
  bool valid_ = true;
  std::vector<std::uint8_t> payload_;
};

/// One message of a datagram; `payload` points into the datagram.
struct Frame {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t port = 0;
  Bytes payload;
};

/// Takes a datagram apart. DataLoss where a length leaves the datagram.
[[nodiscard]] Result<std::vector<Frame>> parseFrames(Bytes datagram);

/// The attributes of a message or of a nested attribute. Points into the datagram.
class Attributes {
 public:
  /// `skip` is the size of the fixed struct before the attributes. DataLoss on a length that leaves
  /// the payload or is shorter than its own header.
  [[nodiscard]] static Result<Attributes> parse(Bytes payload, std::size_t skip = 0);

  /// The last attribute of that type, as the kernel itself reads them.
  [[nodiscard]] std::optional<Bytes> find(std::uint16_t attribute) const;
  /// Absent, too short or too long read as nullopt.
  [[nodiscard]] std::optional<std::uint8_t> u8(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<std::uint16_t> u16(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<std::uint16_t> u16Network(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<std::uint32_t> u32(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<MacAddress> mac(std::uint16_t attribute) const;
  [[nodiscard]] std::optional<IpAddress> ip(std::uint16_t attribute) const;
  /// Up to the first zero byte.
  [[nodiscard]] std::optional<std::string> text(std::uint16_t attribute) const;
  /// Absent or malformed: no attributes.
  [[nodiscard]] Attributes nested(std::uint16_t attribute) const;
  [[nodiscard]] const std::vector<std::pair<std::uint16_t, Bytes>>& all() const { return all_; }

 private:
  std::vector<std::pair<std::uint16_t, Bytes>> all_;
};

/// The fixed struct at the start of a payload. DataLoss where it is cut short.
template <class Header>
  requires std::is_trivially_copyable_v<Header>
[[nodiscard]] Result<Header> readHeader(Bytes payload) {
  Header header;
  if (payload.size() < sizeof header) {
    return fail(Code::DataLoss, "Truncated",
                "decode netlink message: " + std::to_string(payload.size()) +
                    " bytes where the header needs " + std::to_string(sizeof header));
  }
  std::memcpy(&header, payload.data(), sizeof header);
  return header;
}

/// The kernel's verdict on one request.
struct Ack {
  int errorNumber = 0;  ///< 0 is success, else a positive errno
  std::string text;     ///< the kernel's own sentence (extended ack), often empty
};

/// The errno in a verdict, which the kernel writes negative. DataLoss for what can be none.
[[nodiscard]] Result<int> errnoOf(std::int32_t verdict);

/// Reads NLMSG_ERROR, capped or not, with or without extended acknowledgement.
[[nodiscard]] Result<Ack> parseAck(const Frame& frame);

}  // namespace multinet::netlink
