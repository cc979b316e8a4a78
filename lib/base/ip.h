// IPv4 and IPv6 addresses and prefixes: values that are valid by construction, and their
// arithmetic. No size is ever enumerated: a /64 costs what a /28 costs.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace multinet {

__extension__ using U128 = unsigned __int128;

enum class IpFamily : std::uint8_t { V4 = 4, V6 = 6 };

/// 32 or 128.
[[nodiscard]] constexpr unsigned bits(IpFamily family) {
  return family == IpFamily::V4 ? 32 : 128;
}
/// "IPv4" or "IPv6", as Kubernetes spells them.
[[nodiscard]] std::string_view name(IpFamily family);

/// One address. Ordered by family, then by number.
class IpAddress {
 public:
  /// 0.0.0.0
  IpAddress() = default;
  IpAddress(IpFamily family, U128 number) : number_(number), family_(family) {}
  /// Strict: no leading zeros, no zone, no IPv4-mapped IPv6.
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);
  /// From 4 or 16 bytes in network order.
  [[nodiscard]] static IpAddress fromV4(const std::array<std::uint8_t, 4>& bytes);
  [[nodiscard]] static IpAddress fromV6(const std::array<std::uint8_t, 16>& bytes);

  [[nodiscard]] IpFamily family() const { return family_; }
  [[nodiscard]] bool isV4() const { return family_ == IpFamily::V4; }
  [[nodiscard]] U128 number() const { return number_; }
  /// Network order; the first 4 of them count for IPv4.
  [[nodiscard]] std::array<std::uint8_t, 16> bytes() const;
  /// 4 or 16.
  [[nodiscard]] std::size_t byteCount() const { return bits(family_) / 8; }
  /// Canonical text (RFC 5952 for IPv6).
  [[nodiscard]] std::string str() const;

  [[nodiscard]] bool isUnspecified() const { return number_ == 0; }
  [[nodiscard]] bool isLoopback() const;
  [[nodiscard]] bool isMulticast() const;
  [[nodiscard]] bool isLinkLocal() const;
  /// RFC 1918 or RFC 4193.
  [[nodiscard]] bool isPrivate() const;

  auto operator<=>(const IpAddress& other) const {
    if (family_ != other.family_) return family_ <=> other.family_;
    if (number_ == other.number_) return std::strong_ordering::equal;
    return number_ < other.number_ ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  bool operator==(const IpAddress&) const = default;

 private:
  U128 number_ = 0;
  IpFamily family_ = IpFamily::V4;
};

/// A range of addresses with a common prefix; host bits are zero.
class IpPrefix {
 public:
  /// 0.0.0.0/0
  IpPrefix() = default;
  /// Masks the host bits away. `length` above the family's bits is taken as all of them.
  IpPrefix(IpAddress address, unsigned length);
  /// `a/len`. Host bits are refused, and the message says what would be right.
  [[nodiscard]] static Result<IpPrefix> parse(std::string_view text);

  [[nodiscard]] IpAddress first() const { return first_; }
  [[nodiscard]] IpAddress last() const;
  [[nodiscard]] unsigned length() const { return length_; }
  [[nodiscard]] IpFamily family() const { return first_.family(); }
  [[nodiscard]] bool isV4() const { return first_.isV4(); }
  /// Number of addresses less one (so that /0 of IPv6 fits).
  [[nodiscard]] U128 lastOffset() const;
  /// The address at an offset from the first; the caller keeps it within lastOffset().
  [[nodiscard]] IpAddress at(U128 offset) const;
  [[nodiscard]] bool contains(const IpAddress& address) const;
  [[nodiscard]] bool contains(const IpPrefix& other) const;
  [[nodiscard]] bool overlaps(const IpPrefix& other) const;
  [[nodiscard]] std::string str() const;

  auto operator<=>(const IpPrefix&) const = default;

 private:
  IpAddress first_;
  unsigned length_ = 0;
};

/// An interface's address with the length of its on-link prefix: `10.20.0.5/16`.
struct InterfaceAddress {
  IpAddress address;
  unsigned length = 0;

  [[nodiscard]] static Result<InterfaceAddress> parse(std::string_view text);
  [[nodiscard]] std::string str() const { return address.str() + "/" + std::to_string(length); }
  auto operator<=>(const InterfaceAddress&) const = default;
};

/// Decimal text of a number of addresses.
[[nodiscard]] std::string decimal(U128 number);

}  // namespace multinet

template <>
struct std::hash<multinet::IpAddress> {
  std::size_t operator()(const multinet::IpAddress& address) const {
    const auto low = static_cast<std::uint64_t>(address.number());
    const auto high = static_cast<std::uint64_t>(address.number() >> 64U);
    return std::hash<std::uint64_t>()(low ^ (high * 0x9E3779B97F4A7C15ULL)) ^
           static_cast<std::size_t>(address.family());
  }
};
