#include "lib/base/mac.h"

#include <fmt/format.h>

#include <algorithm>

namespace multinet {
namespace {

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

tl::unexpected<Error> refuse(std::string_view text, const std::string& rule) {
  return fail(Code::InvalidArgument, "InvalidMAC", "MAC \"" + std::string(text) + "\": " + rule);
}

}  // namespace

Result<MacAddress> MacAddress::parse(std::string_view text) {
  constexpr std::size_t kLength = 17;
  if (text.size() != kLength) return refuse(text, "must be six bytes, such as 0a:58:0a:14:ff:07");
  std::array<std::uint8_t, 6> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = nibble(text[i * 3]);
    const int low = nibble(text[i * 3 + 1]);
    const bool separated = i + 1 == bytes.size() || text[i * 3 + 2] == ':';
    if (high < 0 || low < 0 || !separated) {
      return refuse(text, "must be six bytes, such as 0a:58:0a:14:ff:07");
    }
    bytes.at(i) = static_cast<std::uint8_t>(high * 16 + low);
  }
  if ((bytes[0] & 1U) != 0)
    return refuse(text, "is a group address; clear the lowest bit of the first byte");
  if (std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; })) {
    return refuse(text, "is all zero");
  }
  return MacAddress(bytes);
}

MacAddress MacAddress::derive(std::string_view seed) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
  for (const char c : seed) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001B3ULL;
  }
  std::array<std::uint8_t, 6> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i, hash >>= 8U) {
    bytes.at(i) = static_cast<std::uint8_t>(hash & 0xFFU);
  }
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0xFCU) | 0x02U);
  return MacAddress(bytes);
}

std::string MacAddress::str() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes_[0], bytes_[1], bytes_[2],
                     bytes_[3], bytes_[4], bytes_[5]);
}

}  // namespace multinet
