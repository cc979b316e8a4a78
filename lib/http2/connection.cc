#include "lib/http2/connection.h"

#include <algorithm>
#include <utility>

namespace multinet::http2 {
namespace {

/// Above this, data waits with its stream until some of it is written.
constexpr std::size_t kOutputBytes = 512U << 10U;
/// What a connection without streams keeps, so that a next long answer needs no new pages.
constexpr std::size_t kKeptBytes = 1U << 20U;
/// Of what waits, so much is cut off at once.
constexpr std::size_t kCutBytes = 64U << 10U;
/// grpc-go's bound of metadata, which is what kubelets and runtimes have, and as much again for its
/// coding.
constexpr std::size_t kHeaderBytes = 16U << 20U;
constexpr std::size_t kBlockBytes = 2 * kHeaderBytes;
constexpr std::string_view kLastPing = "goingawy";

std::string_view withoutPadding(const FrameHeader& header, std::string_view payload, bool& wrong) {
  wrong = false;
  if (!header.has(kPadded)) return payload;
  const std::size_t padding =
      payload.empty() ? 1 : static_cast<unsigned char>(payload.front()) + std::size_t{1};
  wrong = padding > payload.size();
  if (wrong) return {};
  return payload.substr(1, payload.size() - padding);
}

}  // namespace

Connection::Connection(Role role, Events& events)
    : role_(role), events_(events), decoder_(kHeaderBytes) {
  if (role == Role::Server) {
    preface_ = kPreface;
  } else {
    output_ = kPreface;
  }
  std::string settings;
  if (role == Role::Client) appendSetting(settings, Setting::EnablePush, 0);
  appendSetting(settings, Setting::InitialWindowSize, kStreamWindow);
  appendFrameHeader(output_,
                    {static_cast<std::uint32_t>(settings.size()), FrameType::Settings, 0, 0});
  output_ += settings;
  appendWindowUpdate(output_, 0, kConnectionWindow - kDefaultWindow);
}

// What comes

Status Connection::error(ErrorCode code, std::string what) {
  closing_ = true;
  appendGoAway(output_, newest_, code);
  return fail(Code::Internal, "Http2", "read HTTP/2: " + std::move(what));
}

Status Connection::receive(std::string_view bytes) {
  MULTINET_CHECK(take(bytes));
  // After all of the bytes: a client may send what it had begun right behind its answer.
  if (knows_ && lastTaken_ == kLastStream) {
    lastTaken_ = newest_;
    appendGoAway(output_, lastTaken_, ErrorCode::NoError);
  }
  return {};
}

Status Connection::take(std::string_view bytes) {
  if (!preface_.empty()) {
    const auto size = std::min(preface_.size(), bytes.size());
    if (bytes.substr(0, size) != preface_.substr(0, size)) {
      return error(ErrorCode::Protocol, "the caller speaks another protocol");
    }
    preface_.remove_prefix(size);
    bytes.remove_prefix(size);
  }
  while (!bytes.empty() || !partial_.empty()) {
    // A frame that isn't whole is made whole first, and only that much is copied.
    const bool whole = partial_.empty();
    if (!whole && partial_.size() < kFrameHeaderBytes) {
      const auto size = std::min(kFrameHeaderBytes - partial_.size(), bytes.size());
      partial_.append(bytes.substr(0, size));
      bytes.remove_prefix(size);
    }
    const std::string_view known = whole ? bytes : std::string_view(partial_);
    if (known.size() < kFrameHeaderBytes) {
      if (whole) partial_ = bytes;
      return {};
    }
    const auto header = parseFrameHeader(known);
    if (header.length > kDefaultFrameBytes) {
      return error(ErrorCode::FrameSize, "a frame is larger than was agreed");
    }
    const std::size_t size = kFrameHeaderBytes + header.length;
    if (whole) {
      if (bytes.size() < size) {
        partial_ = bytes;
        return {};
      }
      MULTINET_CHECK(takeFrame(header, bytes.substr(kFrameHeaderBytes, header.length)));
      bytes.remove_prefix(size);
      continue;
    }
    const auto more = std::min(size - partial_.size(), bytes.size());
    partial_.append(bytes.substr(0, more));
    bytes.remove_prefix(more);
    if (partial_.size() < size) return {};
    const std::string frame = std::exchange(partial_, {});
    MULTINET_CHECK(takeFrame(header, std::string_view(frame).substr(kFrameHeaderBytes)));
  }
  return {};
}

Status Connection::takeFrame(const FrameHeader& header, std::string_view payload) {
  if (blockStream_ != 0 &&
      (header.type != FrameType::Continuation || header.stream != blockStream_)) {
    return error(ErrorCode::Protocol, "a header block is interrupted");
  }
  const bool ofConnection = header.type == FrameType::Settings || header.type == FrameType::Ping ||
                            header.type == FrameType::GoAway;
  const bool ofStream = header.type <= FrameType::Continuation && !ofConnection &&
                        header.type != FrameType::WindowUpdate;
  if ((ofConnection && header.stream != 0) || (ofStream && header.stream == 0)) {
    return error(ErrorCode::Protocol, "a frame has the wrong stream");
  }
  switch (header.type) {
    case FrameType::Data:
      return takeData(header, payload);
    case FrameType::Headers:
      return takeHeaders(header, payload);
    case FrameType::Continuation:
      if (blockStream_ == 0) return error(ErrorCode::Protocol, "a header block has no beginning");
      return takeBlock(payload, header.has(kEndHeaders));
    case FrameType::RstStream:
      return takeReset(header, payload);
    case FrameType::Settings:
      return takeSettings(header, payload);
    case FrameType::Ping:
      if (payload.size() != 8) return error(ErrorCode::FrameSize, "a PING has 8 bytes");
      takePing(header, payload);
      return {};
    case FrameType::GoAway:
      if (payload.size() < 8) return error(ErrorCode::FrameSize, "a GOAWAY has 8 bytes or more");
      takeGoAway(payload);
      return {};
    case FrameType::WindowUpdate:
      return takeWindowUpdate(header, payload);
    case FrameType::PushPromise:
      return error(ErrorCode::Protocol, "nobody asked for a push");
    case FrameType::Priority:
      break;
  }
  return {};  // what isn't known is passed over (RFC 9113, section 5.5)
}

bool Connection::existed(StreamId id) const {
  if (role_ == Role::Client) return id % 2 == 1 && id < next_;
  return id % 2 == 1 && id <= newest_;
}

Status Connection::takeData(const FrameHeader& header, std::string_view payload) {
  received_ += header.length;
  if (received_ > kConnectionWindow) {
    return error(ErrorCode::FlowControl, "more data than the connection's window");
  }
  if (received_ >= kConnectionWindow / 2) {
    appendWindowUpdate(output_, 0, std::exchange(received_, 0));
  }
  bool wrong = false;
  const auto bytes = withoutPadding(header, payload, wrong);
  if (wrong) return error(ErrorCode::Protocol, "padding is longer than its frame");
  Stream* stream = find(header.stream);
  if (stream == nullptr) {
    if (existed(header.stream)) return {};
    return error(ErrorCode::Protocol, "data of a stream that never began");
  }
  if (stream->remoteEnd) {
    return error(ErrorCode::StreamClosed, "data of a stream that has ended");
  }
  stream->receiveWindow -= header.length;
  if (stream->receiveWindow < 0) {
    return error(ErrorCode::FlowControl, "more data than the stream's window");
  }
  const bool end = header.has(kEndStream);
  if (end) stream->remoteEnd = true;
  // Padding has no reader who could consume it.
  consumed(header.stream, header.length - bytes.size());
  events_.data(header.stream, bytes, end);
  if (end) forget(header.stream);
  return {};
}

Status Connection::takeHeaders(const FrameHeader& header, std::string_view payload) {
  bool wrong = false;
  auto piece = withoutPadding(header, payload, wrong);
  constexpr std::size_t kPriorityBytes = 5;
  if (header.has(kPriority)) {
    wrong = wrong || piece.size() < kPriorityBytes;
    if (!wrong) piece.remove_prefix(kPriorityBytes);
  }
  if (wrong) return error(ErrorCode::Protocol, "a header frame is shorter than it says");
  blockStream_ = header.stream;
  blockEnds_ = header.has(kEndStream);
  return takeBlock(piece, header.has(kEndHeaders));
}

Status Connection::takeBlock(std::string_view piece, bool last) {
  if (!last || !block_.empty()) {
    block_.append(piece);
    if (block_.size() > kBlockBytes) {
      return error(ErrorCode::EnhanceYourCalm, "a header block is too long");
    }
    if (!last) return {};
  }
  const std::string kept = std::exchange(block_, {});
  auto headers = decoder_.decode(kept.empty() ? piece : std::string_view(kept));
  if (!headers) return error(ErrorCode::Compression, headers.error().message);
  const StreamId id = std::exchange(blockStream_, 0);
  Stream* stream = find(id);
  if (stream == nullptr) {
    if (existed(id)) return {};
    if (role_ == Role::Client || id % 2 == 0) {
      return error(ErrorCode::Protocol, "headers of a stream that never began");
    }
    newest_ = id;
    if (id > lastTaken_) return {};  // it was told that nobody takes it
    stream = &streams_[id];
    stream->sendWindow = peerWindow_;
  } else if (stream->remoteEnd) {
    return error(ErrorCode::StreamClosed, "headers of a stream that has ended");
  }
  const bool end = blockEnds_;
  if (end) stream->remoteEnd = true;
  events_.headers(id, std::move(*headers), end);
  if (end) forget(id);
  return {};
}

Status Connection::takeSettings(const FrameHeader& header, std::string_view payload) {
  constexpr std::size_t kSettingBytes = 6;
  if (header.has(kAck)) return {};
  if (payload.size() % kSettingBytes != 0) {
    return error(ErrorCode::FrameSize, "a setting has 6 bytes");
  }
  for (; !payload.empty(); payload.remove_prefix(kSettingBytes)) {
    MULTINET_CHECK(
        takeSetting(static_cast<Setting>(number16(payload)), number32(payload.substr(2))));
  }
  appendFrameHeader(output_, {0, FrameType::Settings, kAck, 0});
  startQueued();
  pump();
  return {};
}

Status Connection::takeSetting(Setting setting, std::uint32_t value) {
  if (setting == Setting::MaxConcurrentStreams) peerStreams_ = value;
  if (setting == Setting::MaxFrameSize) {
    if (value < kDefaultFrameBytes || value > 0xffffff) {
      return error(ErrorCode::Protocol, "SETTINGS_MAX_FRAME_SIZE is out of its range");
    }
    peerFrame_ = value;
  }
  if (setting == Setting::InitialWindowSize) {
    if (value > kMostWindow) {
      return error(ErrorCode::FlowControl, "SETTINGS_INITIAL_WINDOW_SIZE is out of its range");
    }
    const std::int64_t change = std::int64_t{value} - peerWindow_;
    peerWindow_ = value;
    for (auto& [id, stream] : streams_) {
      stream.sendWindow += change;
      push(id, stream);
    }
  }
  return {};
}

Status Connection::takeWindowUpdate(const FrameHeader& header, std::string_view payload) {
  if (payload.size() != 4) return error(ErrorCode::FrameSize, "a WINDOW_UPDATE has 4 bytes");
  const std::int64_t more = number32(payload) & kMostWindow;
  if (header.stream == 0) {
    sendWindow_ += more;
    if (more == 0 || sendWindow_ > kMostWindow) {
      return error(ErrorCode::FlowControl, "the connection's window is out of its range");
    }
    pump();
    return {};
  }
  Stream* stream = find(header.stream);
  if (stream == nullptr) {
    if (existed(header.stream)) return {};
    return error(ErrorCode::Protocol, "a window of a stream that never began");
  }
  stream->sendWindow += more;
  if (more == 0 || stream->sendWindow > kMostWindow) {
    return error(ErrorCode::FlowControl, "a stream's window is out of its range");
  }
  push(header.stream, *stream);
  pump();
  return {};
}

Status Connection::takeReset(const FrameHeader& header, std::string_view payload) {
  if (payload.size() != 4) return error(ErrorCode::FrameSize, "a RST_STREAM has 4 bytes");
  Stream* stream = find(header.stream);
  if (stream == nullptr) {
    if (existed(header.stream)) return {};
    return error(ErrorCode::Protocol, "a reset of a stream that never began");
  }
  stream->localEnd = stream->remoteEnd = true;
  forget(header.stream);
  events_.reset(header.stream, static_cast<ErrorCode>(number32(payload)));
  return {};
}

void Connection::takePing(const FrameHeader& header, std::string_view payload) {
  if (!header.has(kAck)) return appendPing(output_, payload, kAck);
  if (role_ == Role::Server && closing_ && payload == kLastPing) knows_ = true;
}

void Connection::takeGoAway(std::string_view payload) {
  if (role_ == Role::Server) return;
  closing_ = true;
  queued_.clear();
  const StreamId last = number32(payload) & kLastStream;
  std::deque<StreamId> refused;
  for (auto& [id, stream] : streams_) {
    if (id <= last && !stream.queued) continue;
    refused.push_back(id);
  }
  for (const StreamId id : refused) {
    Stream* stream = find(id);
    if (stream == nullptr) continue;
    stream->localEnd = stream->remoteEnd = true;
    forget(id);
    events_.reset(id, ErrorCode::RefusedStream);
  }
}

// What is sent

Connection::Stream* Connection::find(StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

std::optional<StreamId> Connection::open(const Headers& headers, bool end) {
  if (closing_ || next_ > kLastStream) return std::nullopt;
  const StreamId id = next_;
  next_ += 2;
  Stream& stream = streams_[id];
  stream.sendWindow = peerWindow_;
  stream.head = encodeHeaders(headers);
  stream.endsAfter = end;
  stream.queued = true;
  queued_.push_back(id);
  startQueued();
  return id;
}

void Connection::startQueued() {
  while (!queued_.empty() && started_ < peerStreams_) {
    const StreamId id = queued_.front();
    queued_.pop_front();
    if (Stream* stream = find(id)) start(id, *stream);
  }
}

void Connection::start(StreamId id, Stream& stream) {
  stream.queued = false;
  ++started_;
  const bool bare = stream.left() == 0;
  appendBlock(id, std::exchange(stream.head, {}), bare && stream.endsAfter && !stream.trailers);
  if (bare) return finish(id, stream);
  push(id, stream);
  pump();
}

void Connection::finish(StreamId id, Stream& stream) {
  if (stream.trailers) {
    appendBlock(id, *std::exchange(stream.trailers, std::nullopt), stream.endsAfter);
  }
  if (stream.endsAfter) ended(id, stream);
}

void Connection::appendBlock(StreamId id, std::string_view block, bool end) {
  if (std::exchange(firstBlock_, false)) {
    return appendHeaders(output_, id, std::string(kNoTable).append(block), end, peerFrame_);
  }
  appendHeaders(output_, id, block, end, peerFrame_);
}

void Connection::sendHeaders(StreamId id, const Headers& headers, bool end) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->localEnd || stream->endsAfter) return;
  auto block = encodeHeaders(headers);
  if (stream->queued || stream->left() > 0) {
    stream->trailers = std::move(block);
    stream->endsAfter = end;
    return;
  }
  appendBlock(id, block, end);
  if (end) ended(id, *stream);
}

void Connection::sendData(StreamId id, std::string_view bytes, bool end) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->localEnd || stream->endsAfter) return;
  if (!stream->queued && stream->left() == 0) {
    const auto size = appendData(id, *stream, bytes, end);
    bytes.remove_prefix(size);
    if (bytes.empty()) {
      if (end && size == 0) appendFrameHeader(output_, {0, FrameType::Data, kEndStream, id});
      if (end) ended(id, *stream);
      if (size > 0) events_.sent(id, size);
      return;
    }
    stream->waiting.append(bytes);
    stream->endsAfter = end;
    push(id, *stream);
    if (size > 0) events_.sent(id, size);
    return;
  }
  stream->waiting.append(bytes);
  stream->endsAfter = end;
}

std::size_t Connection::appendData(StreamId id, Stream& stream, std::string_view bytes, bool end) {
  std::size_t total = 0;
  while (!bytes.empty() && !full() && sendWindow_ > 0 && stream.sendWindow > 0) {
    const auto size =
        static_cast<std::uint32_t>(std::min({static_cast<std::int64_t>(bytes.size()), sendWindow_,
                                             stream.sendWindow, std::int64_t{peerFrame_}}));
    const bool last = end && size == bytes.size();
    appendFrameHeader(output_, {size, FrameType::Data, last ? kEndStream : std::uint8_t{0}, id});
    output_.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    total += size;
    sendWindow_ -= size;
    stream.sendWindow -= size;
  }
  return total;
}

void Connection::push(StreamId id, Stream& stream) {
  if (stream.queued || stream.ready || stream.left() == 0 || stream.sendWindow <= 0) return;
  stream.ready = true;
  ready_.push_back(id);
}

void Connection::pump() {
  while (!ready_.empty() && !full() && sendWindow_ > 0) {
    const StreamId id = ready_.front();
    ready_.pop_front();
    Stream* stream = find(id);
    if (stream == nullptr) continue;
    stream->ready = false;
    // A frame each, so that none of them waits for all of another.
    const auto piece = std::string_view(stream->waiting).substr(stream->begin, peerFrame_);
    const bool all = piece.size() == stream->left();
    const auto size = appendData(id, *stream, piece, all && stream->endsAfter && !stream->trailers);
    stream->begin += size;
    if (stream->left() > 0) {
      if (stream->begin > std::max(kCutBytes, stream->left())) {
        stream->waiting.erase(0, std::exchange(stream->begin, 0));
      }
      push(id, *stream);
    } else {
      stream->waiting.clear();
      stream->begin = 0;
      finish(id, *stream);
    }
    if (size > 0) events_.sent(id, size);
  }
}

void Connection::ended(StreamId id, Stream& stream) {
  stream.localEnd = true;
  if (role_ == Role::Server && !stream.remoteEnd) {
    appendRstStream(output_, id, ErrorCode::NoError);
    stream.remoteEnd = true;
  }
  forget(id);
}

/// Where both ends have ended.
void Connection::forget(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second.localEnd || !found->second.remoteEnd) return;
  const bool started = role_ == Role::Client && !found->second.queued;
  streams_.erase(found);
  if (!started) return;
  --started_;
  if (!queued_.empty()) startQueued();
}

void Connection::reset(StreamId id, ErrorCode code) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  // The other end never heard of one that is queued, and has ended one that ends by itself.
  const bool over = stream->localEnd && stream->remoteEnd;
  if (!stream->queued && !over) appendRstStream(output_, id, code);
  stream->localEnd = stream->remoteEnd = true;
  forget(id);
}

void Connection::consumed(StreamId id, std::size_t bytes) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->remoteEnd) return;
  stream->consumed += static_cast<std::uint32_t>(bytes);
  if (stream->consumed < kStreamWindow / 4) return;
  stream->receiveWindow += stream->consumed;
  appendWindowUpdate(output_, id, std::exchange(stream->consumed, 0));
}

std::size_t Connection::waiting(StreamId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? 0 : found->second.left();
}

void Connection::goAway() {
  if (closing_ || role_ != Role::Server) return;
  closing_ = true;
  appendGoAway(output_, kLastStream, ErrorCode::NoError);
  appendPing(output_, kLastPing, 0);
}

bool Connection::full() const {
  return output_.size() - written_ >= kOutputBytes;
}

void Connection::wrote(std::size_t bytes) {
  written_ += bytes;
  if (written_ == output_.size()) {
    output_.clear();
    written_ = 0;
    if (streams_.empty() && output_.capacity() > kKeptBytes) output_.shrink_to_fit();
  } else if (written_ > kOutputBytes) {
    output_.erase(0, written_);
    written_ = 0;
  }
  pump();
}

}  // namespace multinet::http2
