// What gRPC makes of HTTP/2 (PROTOCOL-HTTP2.md): messages in data, statuses in trailers. Pure.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/http2/frame.h"
#include "lib/http2/hpack.h"

namespace multinet::agent::cri {

/// Puts messages together from data as it comes.
class MessageReader {
 public:
  void append(std::string_view bytes) { bytes_.append(bytes); }
  /// The next message where it is whole. Unimplemented where it is compressed: nobody was told that
  /// we could read that.
  [[nodiscard]] Result<std::optional<std::string>> next();
  /// Whether next() would give one.
  [[nodiscard]] bool whole() const;
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

 private:
  std::string bytes_;
};

/// A message as it goes into data, not compressed.
[[nodiscard]] std::string framed(std::string_view message);

/// `grpc-timeout`: up to eight digits and a unit.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parseTimeout(std::string_view text);
/// The same of what is left, in milliseconds: at least one, and at most 27 hours.
[[nodiscard]] std::string timeoutOf(std::chrono::nanoseconds left);

/// Trailers with a status; `details` as bytes. With `head` they are the whole response, without
/// data before them.
[[nodiscard]] http2::Headers trailersOf(int code, std::string_view message, bool head,
                                        std::string_view details = {});
/// The status in trailers: Unknown where there is none, as for gRPC itself.
[[nodiscard]] int statusOf(const http2::Headers& trailers);
/// What else they say of an error: `grpc-message` as text, `grpc-status-details-bin` as bytes.
[[nodiscard]] std::string messageOf(const http2::Headers& trailers);
[[nodiscard]] std::string detailsOf(const http2::Headers& trailers);
/// What gRPC makes of a stream that was reset.
[[nodiscard]] int statusOf(http2::ErrorCode code);

/// What a caller sent beside what HTTP/2 itself needs; values of `-bin` as the bytes that they are.
[[nodiscard]] std::multimap<std::string, std::string> metadataOf(const http2::Headers& headers);
/// The way back: as a header.
[[nodiscard]] http2::Header headerOf(const std::string& key, const std::string& value);

}  // namespace multinet::agent::cri
