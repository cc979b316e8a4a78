#include "lib/http2/hpack.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace multinet::http2 {
namespace {

/// RFC 7541, appendix A; the first is number 1.
constexpr std::array<std::pair<std::string_view, std::string_view>, 61> kStatic = {{
    {":authority", ""},
    {":method", "GET"},
    {":method", "POST"},
    {":path", "/"},
    {":path", "/index.html"},
    {":scheme", "http"},
    {":scheme", "https"},
    {":status", "200"},
    {":status", "204"},
    {":status", "206"},
    {":status", "304"},
    {":status", "400"},
    {":status", "404"},
    {":status", "500"},
    {"accept-charset", ""},
    {"accept-encoding", "gzip, deflate"},
    {"accept-language", ""},
    {"accept-ranges", ""},
    {"accept", ""},
    {"access-control-allow-origin", ""},
    {"age", ""},
    {"allow", ""},
    {"authorization", ""},
    {"cache-control", ""},
    {"content-disposition", ""},
    {"content-encoding", ""},
    {"content-language", ""},
    {"content-length", ""},
    {"content-location", ""},
    {"content-range", ""},
    {"content-type", ""},
    {"cookie", ""},
    {"date", ""},
    {"etag", ""},
    {"expect", ""},
    {"expires", ""},
    {"from", ""},
    {"host", ""},
    {"if-match", ""},
    {"if-modified-since", ""},
    {"if-none-match", ""},
    {"if-range", ""},
    {"if-unmodified-since", ""},
    {"last-modified", ""},
    {"link", ""},
    {"location", ""},
    {"max-forwards", ""},
    {"proxy-authenticate", ""},
    {"proxy-authorization", ""},
    {"range", ""},
    {"referer", ""},
    {"refresh", ""},
    {"retry-after", ""},
    {"server", ""},
    {"set-cookie", ""},
    {"strict-transport-security", ""},
    {"transfer-encoding", ""},
    {"user-agent", ""},
    {"vary", ""},
    {"via", ""},
    {"www-authenticate", ""},
}};

/// What an entry of the table counts beside its letters (RFC 7541, section 4.1).
constexpr std::size_t kEntryBytes = 32;
constexpr std::size_t kMostTable = 4096;
constexpr unsigned kMostShift = 28;

tl::unexpected<Error> malformed(const char* what) {
  return fail(Code::InvalidArgument, "Hpack", std::string("decode headers: ") + what);
}

std::size_t sizeOf(const Header& header) {
  return header.first.size() + header.second.size() + kEntryBytes;
}

/// RFC 7541, section 5.1: the low bits of the first byte, and more bytes where they are all ones.
Result<std::size_t> takeNumber(std::string_view& block, unsigned bits) {
  const std::size_t full = (1U << bits) - 1;
  std::size_t number = static_cast<unsigned char>(block.front()) & full;
  block.remove_prefix(1);
  if (number < full) return number;
  for (unsigned shift = 0; shift <= kMostShift; shift += 7) {
    if (block.empty()) return malformed("a number isn't whole");
    const auto byte = static_cast<unsigned char>(block.front());
    block.remove_prefix(1);
    number += static_cast<std::size_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) return number;
  }
  return malformed("a number is too large");
}

/// RFC 7541, section 5.2.
Result<std::string> takeString(std::string_view& block) {
  if (block.empty()) return malformed("a string is missing");
  const bool huffman = (static_cast<unsigned char>(block.front()) & 0x80U) != 0;
  MULTINET_TRY(const std::size_t length, takeNumber(block, 7));
  if (length > block.size()) return malformed("a string isn't whole");
  const auto bytes = block.substr(0, length);
  block.remove_prefix(length);
  if (huffman) return decodeHuffman(bytes);
  return std::string(bytes);
}

void appendNumber(std::string& out, std::size_t number, unsigned bits, unsigned char pattern) {
  const std::size_t full = (1U << bits) - 1;
  if (number < full) {
    out.push_back(static_cast<char>(pattern | number));
    return;
  }
  out.push_back(static_cast<char>(pattern | full));
  for (number -= full; number >= 0x80; number >>= 7U) {
    out.push_back(static_cast<char>(0x80U | (number & 0x7fU)));
  }
  out.push_back(static_cast<char>(number));
}

void appendString(std::string& out, std::string_view text) {
  appendNumber(out, text.size(), 7, 0);
  out.append(text);
}

/// Number in the static table, and whether the value is that of the table as well.
std::pair<std::size_t, bool> findStatic(const Header& header) {
  std::size_t name = 0;
  for (std::size_t i = 0; i < kStatic.size(); ++i) {
    if (kStatic.at(i).first != header.first) continue;
    if (kStatic.at(i).second == header.second) return {i + 1, true};
    if (name == 0) name = i + 1;
  }
  return {name, false};
}

}  // namespace

std::string_view valueOf(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

Result<Headers> HpackDecoder::decode(std::string_view block) {
  Headers headers;
  std::size_t bytes = 0;
  while (!block.empty()) {
    const auto first = static_cast<unsigned char>(block.front());
    Header header;
    bool keeps = false;
    if ((first & 0x80U) != 0) {  // 6.1: name and value by number
      MULTINET_TRY(const std::size_t index, takeNumber(block, 7));
      MULTINET_TRY(header, entry(index));
    } else if ((first & 0xe0U) == 0x20) {  // 6.3: another size of the table
      if (!headers.empty()) return malformed("the table changes after a header");
      MULTINET_TRY(const std::size_t size, takeNumber(block, 5));
      MULTINET_CHECK(resize(size));
      continue;
    } else {  // 6.2: a value that is spelled out; where 6.2.1 keeps it in the table
      keeps = (first & 0x40U) != 0;
      MULTINET_TRY(const std::size_t index, takeNumber(block, keeps ? 6 : 4));
      if (index > 0) {
        MULTINET_TRY(header, entry(index));
      } else {
        MULTINET_TRY(header.first, takeString(block));
      }
      MULTINET_TRY(header.second, takeString(block));
    }
    bytes += sizeOf(header);
    if (bytes > most_) return malformed("they are too long");
    if (keeps) insert(header);
    headers.push_back(std::move(header));
  }
  return headers;
}

Result<Header> HpackDecoder::entry(std::size_t index) const {
  if (index == 0) return malformed("there is no header number 0");
  if (index <= kStatic.size()) {
    const auto& [name, value] = kStatic.at(index - 1);
    return Header(name, value);
  }
  index -= kStatic.size() + 1;
  if (index >= table_.size()) return malformed("a number names no header");
  return table_[index];
}

Status HpackDecoder::resize(std::size_t bytes) {
  if (bytes > kMostTable) return malformed("the table is larger than was agreed");
  tableLimit_ = bytes;
  evict();
  return {};
}

void HpackDecoder::insert(Header header) {
  tableBytes_ += sizeOf(header);
  table_.push_front(std::move(header));
  evict();
}

void HpackDecoder::evict() {
  while (tableBytes_ > tableLimit_) {
    tableBytes_ -= sizeOf(table_.back());
    table_.pop_back();
  }
}

std::string encodeHeaders(const Headers& headers) {
  std::string block;
  for (const Header& header : headers) {
    const auto [number, whole] = findStatic(header);
    if (whole) {
      appendNumber(block, number, 7, 0x80);
      continue;
    }
    appendNumber(block, number, 4, 0);
    if (number == 0) appendString(block, header.first);
    appendString(block, header.second);
  }
  return block;
}

}  // namespace multinet::http2
