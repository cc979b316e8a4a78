#include "lib/base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace multinet {
namespace {

U128 maskOf(IpFamily family, unsigned length) {
  const unsigned host = bits(family) - length;
  const U128 all = family == IpFamily::V4 ? U128{0xFFFFFFFFU} : ~U128{0};
  return host >= 128 ? U128{0} : all & ~((U128{1} << host) - 1);
}

tl::unexpected<Error> invalid(std::string_view what, std::string_view text,
                              const std::string& rule) {
  return fail(Code::InvalidArgument, "InvalidAddress",
              std::string(what) + " \"" + std::string(text) + "\": " + rule);
}

struct Parts {
  IpAddress address;
  unsigned length;
};

Result<Parts> parseParts(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return invalid("prefix", text, "must be ADDRESS/LENGTH, such as 10.20.0.0/16 or fd00:20::/64");
  }
  MULTINET_TRY(const IpAddress address, IpAddress::parse(text.substr(0, slash)));
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool leadingZero = digits.size() > 1 && digits.front() == '0';
  if (error != std::errc() || end != digits.data() + digits.size() || leadingZero ||
      length > bits(address.family())) {
    return invalid(
        "prefix", text,
        "the length must be a number from 0 to " + std::to_string(bits(address.family())));
  }
  return Parts{address, length};
}

// Not inet_pton and inet_ntop, whose printf is most of what a review of many networks would take.

/// Only the canonical text counts: others read leading zeros as octal.
std::optional<std::array<std::uint8_t, 4>> parseV4(std::string_view text) {
  std::array<std::uint8_t, 4> bytes{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) {
      if (at == end || *at != '.') return std::nullopt;
      ++at;
    }
    const auto [next, error] = std::from_chars(at, end, bytes.at(i));
    if (error != std::errc() || (*at == '0' && next - at > 1)) return std::nullopt;
    at = next;
  }
  if (at != end) return std::nullopt;
  return bytes;
}

std::size_t writeV4(const std::array<std::uint8_t, 16>& bytes,
                    std::array<char, INET6_ADDRSTRLEN>& text) {
  char* at = text.data();
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) *at++ = '.';
    at = std::to_chars(at, text.data() + text.size(), bytes.at(i)).ptr;
  }
  return static_cast<std::size_t>(at - text.data());
}

bool within(const IpAddress& address, const char* prefix) {
  const auto parsed = IpPrefix::parse(prefix);
  return parsed && parsed->contains(address);
}

}  // namespace

std::string_view name(IpFamily family) {
  return family == IpFamily::V4 ? "IPv4" : "IPv6";
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  if (const auto v4 = parseV4(text)) return fromV4(*v4);
  const std::string copy(text);
  std::array<std::uint8_t, 16> v6{};
  if (text.find('\0') != std::string_view::npos ||
      ::inet_pton(AF_INET6, copy.c_str(), v6.data()) != 1) {
    return invalid("address", text,
                   "must be an IPv4 or IPv6 address, such as 10.20.0.1 or fd00:20::1");
  }
  const IpAddress address = fromV6(v6);
  if ((address.number() >> 32U) == 0xFFFFU) {
    return invalid("address", text, "is IPv4 mapped into IPv6; write the IPv4 address itself");
  }
  return address;
}

IpAddress IpAddress::fromV4(const std::array<std::uint8_t, 4>& bytes) {
  U128 number = 0;
  for (const std::uint8_t byte : bytes) number = (number << 8U) | byte;
  return {IpFamily::V4, number};
}

IpAddress IpAddress::fromV6(const std::array<std::uint8_t, 16>& bytes) {
  U128 number = 0;
  for (const std::uint8_t byte : bytes) number = (number << 8U) | byte;
  return {IpFamily::V6, number};
}

std::array<std::uint8_t, 16> IpAddress::bytes() const {
  std::array<std::uint8_t, 16> out{};
  U128 number = number_;
  for (std::size_t i = byteCount(); i-- > 0; number >>= 8U) {
    out.at(i) = static_cast<std::uint8_t>(number & 0xFFU);
  }
  return out;
}

std::string IpAddress::str() const {
  const auto raw = bytes();
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (isV4()) return {text.data(), writeV4(raw, text)};
  ::inet_ntop(AF_INET6, raw.data(), text.data(), text.size());
  return text.data();
}

bool IpAddress::isLoopback() const {
  return isV4() ? (number_ >> 24U) == 127 : number_ == 1;
}

bool IpAddress::isMulticast() const {
  return isV4() ? (number_ >> 28U) == 0xE : (number_ >> 120U) == 0xFF;
}

bool IpAddress::isLinkLocal() const {
  return isV4() ? (number_ >> 16U) == 0xA9FE : (number_ >> 118U) == (0xFE80U >> 6U);
}

bool IpAddress::isPrivate() const {
  if (!isV4()) return (number_ >> 121U) == (0xFC00U >> 9U);
  return within(*this, "10.0.0.0/8") || within(*this, "172.16.0.0/12") ||
         within(*this, "192.168.0.0/16");
}

IpPrefix::IpPrefix(IpAddress address, unsigned length)
    : length_(std::min(length, bits(address.family()))) {
  first_ = IpAddress(address.family(), address.number() & maskOf(address.family(), length_));
}

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
  MULTINET_TRY(const Parts parts, parseParts(text));
  const IpPrefix prefix(parts.address, parts.length);
  if (prefix.first() != parts.address) {
    return invalid("prefix", text, "has host bits set; " + prefix.str() + " would be right");
  }
  return prefix;
}

IpAddress IpPrefix::last() const {
  return at(lastOffset());
}

U128 IpPrefix::lastOffset() const {
  const U128 all = isV4() ? U128{0xFFFFFFFFU} : ~U128{0};
  return all & ~maskOf(family(), length_);
}

IpAddress IpPrefix::at(U128 offset) const {
  return {family(), first_.number() + offset};
}

bool IpPrefix::contains(const IpAddress& address) const {
  return address.family() == family() &&
         (address.number() & maskOf(family(), length_)) == first_.number();
}

bool IpPrefix::contains(const IpPrefix& other) const {
  return other.length_ >= length_ && contains(other.first_);
}

bool IpPrefix::overlaps(const IpPrefix& other) const {
  return contains(other) || other.contains(*this);
}

std::string IpPrefix::str() const {
  return first_.str() + "/" + std::to_string(length_);
}

Result<InterfaceAddress> InterfaceAddress::parse(std::string_view text) {
  MULTINET_TRY(const Parts parts, parseParts(text));
  return InterfaceAddress{parts.address, parts.length};
}

std::string decimal(U128 number) {
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(number % 10)));
    number /= 10;
  } while (number != 0);
  return digits;
}

}  // namespace multinet
