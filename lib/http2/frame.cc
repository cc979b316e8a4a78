#include "lib/http2/frame.h"

#include <algorithm>

namespace multinet::http2 {
namespace {

std::uint32_t byteAt(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

char lowByte(std::uint32_t number) {
  return static_cast<char>(number & 0xffU);
}

}  // namespace

std::uint16_t number16(std::string_view bytes) {
  return static_cast<std::uint16_t>(byteAt(bytes, 0) << 8U | byteAt(bytes, 1));
}

std::uint32_t number32(std::string_view bytes) {
  return byteAt(bytes, 0) << 24U | byteAt(bytes, 1) << 16U | byteAt(bytes, 2) << 8U |
         byteAt(bytes, 3);
}

void appendNumber32(std::string& out, std::uint32_t number) {
  const char bytes[] = {lowByte(number >> 24U), lowByte(number >> 16U), lowByte(number >> 8U),
                        lowByte(number)};
  out.append(bytes, sizeof(bytes));
}

FrameHeader parseFrameHeader(std::string_view bytes) {
  FrameHeader header;
  header.length = byteAt(bytes, 0) << 16U | byteAt(bytes, 1) << 8U | byteAt(bytes, 2);
  header.type = static_cast<FrameType>(byteAt(bytes, 3));
  header.flags = static_cast<std::uint8_t>(byteAt(bytes, 4));
  header.stream = number32(bytes.substr(5)) & kLastStream;
  return header;
}

void appendFrameHeader(std::string& out, const FrameHeader& header) {
  const char bytes[] = {lowByte(header.length >> 16U),   lowByte(header.length >> 8U),
                        lowByte(header.length),          static_cast<char>(header.type),
                        static_cast<char>(header.flags), lowByte(header.stream >> 24U),
                        lowByte(header.stream >> 16U),   lowByte(header.stream >> 8U),
                        lowByte(header.stream)};
  out.append(bytes, sizeof(bytes));
}

void appendSetting(std::string& out, Setting setting, std::uint32_t value) {
  const auto number = static_cast<std::uint32_t>(setting);
  out.push_back(lowByte(number >> 8U));
  out.push_back(lowByte(number));
  appendNumber32(out, value);
}

void appendWindowUpdate(std::string& out, StreamId stream, std::uint32_t bytes) {
  appendFrameHeader(out, {4, FrameType::WindowUpdate, 0, stream});
  appendNumber32(out, bytes);
}

void appendRstStream(std::string& out, StreamId stream, ErrorCode code) {
  appendFrameHeader(out, {4, FrameType::RstStream, 0, stream});
  appendNumber32(out, static_cast<std::uint32_t>(code));
}

void appendGoAway(std::string& out, StreamId last, ErrorCode code) {
  appendFrameHeader(out, {8, FrameType::GoAway, 0, 0});
  appendNumber32(out, last);
  appendNumber32(out, static_cast<std::uint32_t>(code));
}

void appendPing(std::string& out, std::string_view payload, std::uint8_t flags) {
  appendFrameHeader(out, {8, FrameType::Ping, flags, 0});
  out.append(payload.substr(0, 8));
}

void appendHeaders(std::string& out, StreamId stream, std::string_view block, bool end,
                   std::size_t most) {
  FrameType type = FrameType::Headers;
  std::uint8_t flags = end ? kEndStream : 0;
  do {
    const auto piece = block.substr(0, most);
    block.remove_prefix(piece.size());
    if (block.empty()) flags |= kEndHeaders;
    appendFrameHeader(out, {static_cast<std::uint32_t>(piece.size()), type, flags, stream});
    out.append(piece);
    type = FrameType::Continuation;
    flags = 0;
  } while (!block.empty());
}

}  // namespace multinet::http2
