#include "nodeagent/cri/grpc_wire.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "lib/base/encoding.h"

namespace multinet::agent::cri {
namespace {

constexpr std::size_t kPrefixBytes = 5;
constexpr int kOk = 0;
constexpr int kCancelled = 1;
constexpr int kUnknown = 2;
constexpr int kResourceExhausted = 8;
constexpr int kInternal = 13;
constexpr int kUnavailable = 14;
constexpr int kLastCode = 16;

std::string percentEncoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte >= 0x20 && byte <= 0x7e && letter != '%') {
      encoded.push_back(letter);
      continue;
    }
    encoded.push_back('%');
    encoded.push_back(kDigits[byte >> 4U]);
    encoded.push_back(kDigits[byte & 0xfU]);
  }
  return encoded;
}

/// What isn't an escape stands for itself, as gRPC has it.
std::string percentDecoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const auto* digits = text.data() + i + 1;
    const bool escape = text[i] == '%' && text.size() - i > 2 &&
                        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
    decoded.push_back(escape ? static_cast<char>(byte) : text[i]);
    if (escape) i += 2;
  }
  return decoded;
}

/// Not padded: as gRPC sends it.
std::string binaryValue(std::string_view bytes) {
  std::string text = encodeBase64(bytes);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

/// What a `-bin` value holds, padded or not; empty where it isn't base64.
std::string bytesOf(std::string text) {
  while (text.size() % 4 != 0) text += '=';
  return decodeBase64(text).value_or(std::string());
}

}  // namespace

bool MessageReader::whole() const {
  if (bytes_.size() < kPrefixBytes) return false;
  return bytes_.size() - kPrefixBytes >= http2::number32(std::string_view(bytes_).substr(1));
}

Result<std::optional<std::string>> MessageReader::next() {
  if (!bytes_.empty() && bytes_.front() != '\0') {
    return fail(Code::Unimplemented, "Compressed",
                "read message: it is compressed, which nobody asked for");
  }
  if (!whole()) return std::nullopt;
  const std::size_t size = http2::number32(std::string_view(bytes_).substr(1));
  std::string message;
  if (bytes_.size() == kPrefixBytes + size) {
    message = std::move(bytes_);
    message.erase(0, kPrefixBytes);
    bytes_.clear();
  } else {
    message = bytes_.substr(kPrefixBytes, size);
    bytes_.erase(0, kPrefixBytes + size);
  }
  return message;
}

std::string framed(std::string_view message) {
  std::string bytes;
  bytes.reserve(kPrefixBytes + message.size());
  bytes.push_back('\0');
  http2::appendNumber32(bytes, static_cast<std::uint32_t>(message.size()));
  bytes.append(message);
  return bytes;
}

std::optional<std::chrono::nanoseconds> parseTimeout(std::string_view text) {
  constexpr std::size_t kMostDigits = 8;
  if (text.size() < 2 || text.size() > kMostDigits + 1) return std::nullopt;
  std::int64_t number = 0;
  const auto* end = text.data() + text.size() - 1;
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 0) return std::nullopt;
  switch (*end) {
    case 'H':
      // More than a year is as good as none, and hours overflow.
      if (number > std::int64_t{24} * 366) return std::nullopt;
      return std::chrono::hours(number);
    case 'M':
      return std::chrono::minutes(number);
    case 'S':
      return std::chrono::seconds(number);
    case 'm':
      return std::chrono::milliseconds(number);
    case 'u':
      return std::chrono::microseconds(number);
    case 'n':
      return std::chrono::nanoseconds(number);
    default:
      return std::nullopt;
  }
}

std::string timeoutOf(std::chrono::nanoseconds left) {
  constexpr std::int64_t kMost = 99'999'999;  // eight digits
  return std::to_string(std::clamp<std::int64_t>(left / std::chrono::milliseconds(1), 1, kMost)) +
         "m";
}

http2::Headers trailersOf(int code, std::string_view message, bool head, std::string_view details) {
  http2::Headers headers;
  if (head) headers = {{":status", "200"}, {"content-type", "application/grpc"}};
  headers.emplace_back("grpc-status", std::to_string(code));
  if (!message.empty()) headers.emplace_back("grpc-message", percentEncoded(message));
  if (!details.empty()) headers.emplace_back("grpc-status-details-bin", binaryValue(details));
  return headers;
}

int statusOf(const http2::Headers& trailers) {
  const auto text = http2::valueOf(trailers, "grpc-status");
  int code = kUnknown;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), code);
  if (text.empty() || parsed.ec != std::errc() || code < kOk || code > kLastCode) return kUnknown;
  return code;
}

std::string messageOf(const http2::Headers& trailers) {
  return percentDecoded(http2::valueOf(trailers, "grpc-message"));
}

std::string detailsOf(const http2::Headers& trailers) {
  return bytesOf(std::string(http2::valueOf(trailers, "grpc-status-details-bin")));
}

int statusOf(http2::ErrorCode code) {
  switch (code) {
    case http2::ErrorCode::Cancel:
      return kCancelled;
    case http2::ErrorCode::RefusedStream:
      return kUnavailable;
    case http2::ErrorCode::EnhanceYourCalm:
      return kResourceExhausted;
    default:
      return kInternal;
  }
}

std::multimap<std::string, std::string> metadataOf(const http2::Headers& headers) {
  std::multimap<std::string, std::string> metadata;
  for (const auto& [key, value] : headers) {
    if (key.starts_with(':')) continue;
    metadata.emplace(key, key.ends_with("-bin") ? bytesOf(value) : value);
  }
  return metadata;
}

http2::Header headerOf(const std::string& key, const std::string& value) {
  return {key, key.ends_with("-bin") ? binaryValue(value) : value};
}

}  // namespace multinet::agent::cri
