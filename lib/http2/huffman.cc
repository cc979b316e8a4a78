#include <array>
#include <cstdint>

#include "lib/http2/hpack.h"

namespace multinet::http2 {
namespace {

constexpr std::size_t kSymbols = 257;
constexpr std::size_t kEnd = 256;
constexpr unsigned kLongest = 30;

// How many bits each byte has, and last the end (RFC 7541, appendix B). The code is canonical:
// among those of one length codes rise with bytes, and shorter ones come first, so that the lengths
// alone tell all of it.
constexpr std::array<std::uint8_t, kSymbols> kBits = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,
    7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30};

struct Lengths {
  std::array<std::uint32_t, kLongest + 1> first{};   ///< the smallest code of each length
  std::array<std::uint32_t, kLongest + 1> count{};   ///< how many codes have that length
  std::array<std::uint32_t, kLongest + 1> offset{};  ///< where their symbols begin
  std::array<std::uint16_t, kSymbols> symbols{};     ///< by length, then by byte
};

constexpr Lengths codeOf() {
  Lengths code;
  for (const auto bits : kBits) ++code.count[bits];
  std::uint32_t next = 0;
  std::uint32_t offset = 0;
  for (unsigned bits = 1; bits <= kLongest; ++bits) {
    next <<= 1U;
    code.first[bits] = next;
    code.offset[bits] = offset;
    for (std::size_t symbol = 0; symbol < kSymbols; ++symbol) {
      if (kBits[symbol] == bits) code.symbols[offset++] = static_cast<std::uint16_t>(symbol);
    }
    next += code.count[bits];
  }
  return code;
}

constexpr Lengths kCode = codeOf();

tl::unexpected<Error> malformed() {
  return fail(Code::InvalidArgument, "Hpack", "decode headers: no valid Huffman code");
}

}  // namespace

Result<std::string> decodeHuffman(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 8 / 5);
  std::uint32_t code = 0;
  unsigned bits = 0;
  for (const char byte : bytes) {
    for (int bit = 7; bit >= 0; --bit) {
      code = code << 1U | (static_cast<unsigned char>(byte) >> static_cast<unsigned>(bit) & 1U);
      if (++bits > kLongest) return malformed();
      if (code - kCode.first[bits] >= kCode.count[bits]) continue;
      const auto symbol = kCode.symbols[kCode.offset[bits] + code - kCode.first[bits]];
      if (symbol == kEnd) return malformed();
      text.push_back(static_cast<char>(symbol));
      code = 0;
      bits = 0;
    }
  }
  // What is left fills the last byte: less than one, all ones.
  if (bits > 7 || code != (1U << bits) - 1) return malformed();
  return text;
}

}  // namespace multinet::http2
