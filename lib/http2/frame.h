// The frames of HTTP/2 (RFC 9113, sections 4 and 6) as bytes. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace multinet::http2 {

using StreamId = std::uint32_t;

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::size_t kFrameHeaderBytes = 9;
/// What nobody has to be asked for: of a frame's payload, of a window.
inline constexpr std::uint32_t kDefaultFrameBytes = 16'384;
inline constexpr std::uint32_t kDefaultWindow = 65'535;
inline constexpr std::uint32_t kMostWindow = 0x7fffffff;
inline constexpr StreamId kLastStream = 0x7fffffff;

enum class FrameType : std::uint8_t {
  Data = 0,
  Headers = 1,
  Priority = 2,
  RstStream = 3,
  Settings = 4,
  PushPromise = 5,
  Ping = 6,
  GoAway = 7,
  WindowUpdate = 8,
  Continuation = 9,
};

inline constexpr std::uint8_t kEndStream = 0x1;
inline constexpr std::uint8_t kAck = 0x1;
inline constexpr std::uint8_t kEndHeaders = 0x4;
inline constexpr std::uint8_t kPadded = 0x8;
inline constexpr std::uint8_t kPriority = 0x20;

/// RFC 9113, section 7.
enum class ErrorCode : std::uint32_t {
  NoError = 0,
  Protocol = 1,
  Internal = 2,
  FlowControl = 3,
  SettingsTimeout = 4,
  StreamClosed = 5,
  FrameSize = 6,
  RefusedStream = 7,
  Cancel = 8,
  Compression = 9,
  Connect = 10,
  EnhanceYourCalm = 11,
  InadequateSecurity = 12,
  Http11Required = 13,
};

/// RFC 9113, section 6.5.2.
enum class Setting : std::uint16_t {
  HeaderTableSize = 1,
  EnablePush = 2,
  MaxConcurrentStreams = 3,
  InitialWindowSize = 4,
  MaxFrameSize = 5,
  MaxHeaderListSize = 6,
};

struct FrameHeader {
  std::uint32_t length = 0;
  FrameType type{};
  std::uint8_t flags = 0;
  StreamId stream = 0;

  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

/// `bytes` holds at least kFrameHeaderBytes.
[[nodiscard]] FrameHeader parseFrameHeader(std::string_view bytes);
void appendFrameHeader(std::string& out, const FrameHeader& header);

/// Big-endian, as all numbers of HTTP/2; `bytes` holds as many.
[[nodiscard]] std::uint32_t number32(std::string_view bytes);
[[nodiscard]] std::uint16_t number16(std::string_view bytes);
void appendNumber32(std::string& out, std::uint32_t number);

void appendSetting(std::string& out, Setting setting, std::uint32_t value);
void appendWindowUpdate(std::string& out, StreamId stream, std::uint32_t bytes);
void appendRstStream(std::string& out, StreamId stream, ErrorCode code);
void appendGoAway(std::string& out, StreamId last, ErrorCode code);
/// `payload` has 8 bytes.
void appendPing(std::string& out, std::string_view payload, std::uint8_t flags);
/// A header block, in as many frames as `most` bytes a frame make of it.
void appendHeaders(std::string& out, StreamId stream, std::string_view block, bool end,
                   std::size_t most);

}  // namespace multinet::http2
