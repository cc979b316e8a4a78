// One HTTP/2 connection without its socket (RFC 9113): bytes come in, what they mean goes out as
// events; what is said becomes bytes in output(). Both roles. What a relay needs and no more: no
// push, no priorities, no table of headers for what is sent.
//
// - Flow control in both directions. A stream's window opens again when its owner says that bytes
//   are consumed, the connection's as soon as they came: a stream that nobody reads never holds up
//   the others, and holds kStreamWindow bytes at most.
// - What can't be sent yet waits with its stream; headers after data keep behind it.
// - A server that ends a stream ends all of it, as gRPC does: the caller is told to stop sending.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lib/base/result.h"
#include "lib/http2/frame.h"
#include "lib/http2/hpack.h"

namespace multinet::http2 {

inline constexpr std::uint32_t kStreamWindow = 512U << 10U;
inline constexpr std::uint32_t kConnectionWindow = 8U << 20U;

/// One thread at a time. Not thread-safe.
class Connection {
 public:
  enum class Role { Client, Server };

  /// What the other end did. May send on this connection and others, never receive().
  class Events {
   public:
    virtual ~Events() = default;
    /// First of a server's stream it is the request, of a client's the response; later trailers.
    virtual void headers(StreamId stream, Headers headers, bool end) = 0;
    virtual void data(StreamId stream, std::string_view bytes, bool end) = 0;
    /// Of the data given to sendData(), so many bytes more are in output().
    virtual void sent(StreamId stream, std::size_t bytes) = 0;
    /// The stream is gone.
    virtual void reset(StreamId stream, ErrorCode code) = 0;
  };

  Connection(Role role, Events& events);

  /// What came. After an error the connection is over: write output(), which says why, and close.
  [[nodiscard]] Status receive(std::string_view bytes);

  /// A client's new stream; none where the other end takes no more on this connection. It waits
  /// where the other end wants no more at once.
  [[nodiscard]] std::optional<StreamId> open(const Headers& headers, bool end);
  /// These do nothing where the stream is gone, or its sending has ended.
  void sendHeaders(StreamId stream, const Headers& headers, bool end);
  void sendData(StreamId stream, std::string_view bytes, bool end);
  void reset(StreamId stream, ErrorCode code);
  /// Opens the stream's window by bytes that data() gave.
  void consumed(StreamId stream, std::size_t bytes);
  /// What sendData() got and couldn't send yet.
  [[nodiscard]] std::size_t waiting(StreamId stream) const;

  /// A server takes no new streams: tells, waits until that has been read, serves what came
  /// meanwhile (RFC 9113, section 6.8).
  void goAway();
  /// Whether no new streams can come, or be opened.
  [[nodiscard]] bool closing() const { return closing_; }
  [[nodiscard]] std::size_t streams() const { return streams_.size(); }
  /// After goAway(): whether the other end knows, and all that came has ended.
  [[nodiscard]] bool drained() const {
    return closing_ && lastTaken_ != kLastStream && streams_.empty();
  }

  /// Bytes for the socket.
  [[nodiscard]] std::string_view output() const {
    return std::string_view(output_).substr(written_);
  }
  /// That many of them are written; what waited for room comes after them.
  void wrote(std::size_t bytes);

 private:
  struct Stream {
    bool localEnd = false;   ///< END_STREAM is in output()
    bool remoteEnd = false;  ///< and came
    bool queued = false;     ///< a client's that waits for others to end
    bool ready = false;      ///< it stands in ready_
    bool endsAfter = false;  ///< END_STREAM follows what waits
    std::string head;        ///< of one that is queued
    std::string waiting;     ///< data
    std::size_t begin = 0;   ///< of it, what is sent already
    std::optional<std::string> trailers;
    std::int64_t sendWindow = 0;
    std::int64_t receiveWindow = kStreamWindow;
    std::uint32_t consumed = 0;  ///< not told yet

    [[nodiscard]] std::size_t left() const { return waiting.size() - begin; }
  };

  [[nodiscard]] Status error(ErrorCode code, std::string what);
  [[nodiscard]] Status take(std::string_view bytes);
  [[nodiscard]] Status takeFrame(const FrameHeader& header, std::string_view payload);
  [[nodiscard]] Status takeData(const FrameHeader& header, std::string_view payload);
  [[nodiscard]] Status takeHeaders(const FrameHeader& header, std::string_view payload);
  [[nodiscard]] Status takeBlock(std::string_view piece, bool last);
  [[nodiscard]] Status takeSettings(const FrameHeader& header, std::string_view payload);
  [[nodiscard]] Status takeSetting(Setting setting, std::uint32_t value);
  [[nodiscard]] Status takeWindowUpdate(const FrameHeader& header, std::string_view payload);
  [[nodiscard]] Status takeReset(const FrameHeader& header, std::string_view payload);
  void takePing(const FrameHeader& header, std::string_view payload);
  void takeGoAway(std::string_view payload);
  /// What closed streams still get is no error; what never was is.
  [[nodiscard]] bool existed(StreamId id) const;

  [[nodiscard]] Stream* find(StreamId id);
  void start(StreamId id, Stream& stream);
  void startQueued();
  void appendBlock(StreamId id, std::string_view block, bool end);
  /// As much of `bytes` as may be sent now.
  std::size_t appendData(StreamId id, Stream& stream, std::string_view bytes, bool end);
  void push(StreamId id, Stream& stream);
  void pump();
  /// What follows the data, all of which is sent.
  void finish(StreamId id, Stream& stream);
  void ended(StreamId id, Stream& stream);
  void forget(StreamId id);
  [[nodiscard]] bool full() const;

  const Role role_;
  Events& events_;
  HpackDecoder decoder_;

  std::string_view preface_;  ///< what a server still expects of it
  std::string partial_;       ///< a frame that isn't whole
  StreamId blockStream_ = 0;  ///< whose header block isn't whole; 0: none
  bool blockEnds_ = false;
  std::string block_;

  std::unordered_map<StreamId, Stream> streams_;
  std::deque<StreamId> ready_;   ///< have data and a window
  std::deque<StreamId> queued_;  ///< a client's that wait for others to end
  StreamId next_ = 1;            ///< a client's
  StreamId newest_ = 0;          ///< a server's
  StreamId lastTaken_ = kLastStream;
  std::size_t started_ = 0;
  bool closing_ = false;
  bool knows_ = false;  ///< the other end answered the ping behind goAway()
  bool firstBlock_ = true;

  std::uint32_t peerStreams_ = UINT32_MAX;
  std::uint32_t peerWindow_ = kDefaultWindow;
  std::uint32_t peerFrame_ = kDefaultFrameBytes;
  std::int64_t sendWindow_ = kDefaultWindow;
  std::uint32_t received_ = 0;  ///< not told yet

  std::string output_;
  std::size_t written_ = 0;
};

}  // namespace multinet::http2
