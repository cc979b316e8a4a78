// One call on its way through: a stream of the kubelet's connection, one of the runtime's.
//
// What nobody looks at passes as it comes: headers, data in pieces, trailers, resets. Of what an
// interceptor looks at whole messages are put together; its decisions may come late and from any
// thread, and are obeyed on the relay's. Both ways a side's window opens only as the other side
// takes the bytes, so that a slow reader holds up the one who sends to it and nobody else.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/http2/connection.h"
#include "nodeagent/cri/grpc_wire.h"
#include "nodeagent/cri/inbox.h"
#include "nodeagent/cri/interceptor.h"

namespace multinet::agent::cri {

class Peer;
class Relay;

/// On the relay's thread, except for its end: whoever still holds a decision may outlive the relay.
class Exchange final : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Relay& relay, Peer& kubelet, http2::StreamId stream, http2::Headers request);

  /// Begins it. `end`: the request has no message.
  void start(bool end);

  // Of the kubelet's stream
  void requestData(std::string_view bytes, bool end);
  void requestHeaders(const http2::Headers& trailers, bool end);
  void replySent(std::size_t bytes);
  void cancelled();

  // Of the runtime's stream
  void replyHeaders(http2::Headers headers, bool end);
  void replyData(std::string_view bytes, bool end);
  void requestSent(std::size_t bytes);
  void replyReset(http2::ErrorCode code);

  /// Ends it with a status of ours.
  void fail(int code, std::string_view message, std::string_view details = {});
  /// Ends it with Unavailable: the kubelet asks again, and gets the agent's successor.
  void endNow();
  /// Whether it goes on until somebody ends it, as the runtime's stream of events does.
  [[nodiscard]] bool endless() const { return endless_; }

 private:
  struct Side {
    Peer* peer = nullptr;  ///< none before it begins and after it has ended
    http2::StreamId stream = 0;
  };

  /// False where that failed, and the call with it.
  [[nodiscard]] bool openRuntime(bool end);
  /// Takes a decision from any thread and obeys it on the relay's.
  template <class Decision>
  [[nodiscard]] std::function<void(Decision)> obeying(void (Exchange::*obey)(Decision));
  void readRequest(bool end);
  void requestDecided(RequestDecision decision);
  void readReplies();
  void replyDecided(ReplyDecision decision);
  void finishReply();
  void sendHead();
  /// Lets the runtime send on, unless what it sent has yet to be judged or taken.
  void creditReply();
  /// Both streams are done for this call.
  void end(int code);

  Relay& relay_;
  const std::shared_ptr<Inbox> inbox_;
  Side kubelet_;
  Side runtime_;
  http2::Headers request_;  ///< until the runtime's stream is opened
  const std::string method_;
  const bool endless_;
  const std::optional<std::chrono::system_clock::time_point> deadline_;
  std::unique_ptr<Interceptor> interceptor_;  ///< none: bytes pass
  bool headSent_ = false;                     ///< the response has begun
  bool ended_ = false;

  // Of an intercepted one
  MessageReader requestReader_;
  bool asked_ = false;
  MessageReader replyReader_;
  bool reading_ = false;                    ///< replies are read one after the other
  bool deciding_ = false;                   ///< on the last one
  std::optional<http2::Headers> head_;      ///< the runtime's, not sent on yet
  std::optional<http2::Headers> trailers_;  ///< the runtime has ended
  std::optional<Refuse> refusal_;           ///< replaces the runtime's status where that is OK
  std::size_t uncredited_ = 0;
};

}  // namespace multinet::agent::cri
