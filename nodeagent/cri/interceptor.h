// What is done with the messages of one intercepted unary call on their way through the relay.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>
#include <functional>
#include <variant>

namespace multinet::agent::cri {

/// Goes on to the runtime (as a request) or to the kubelet (as a reply).
struct Forward {
  grpc::ByteBuffer message;
};
/// Ends the call with an error; the runtime isn't asked.
struct Refuse {
  grpc::Status status;
};
/// Ends the call with a reply of ours; the runtime isn't asked by the relay.
struct Answer {
  grpc::ByteBuffer message;
};

/// A reply that the kubelet doesn't get; the next one of the stream is read.
struct Skip {};

using RequestDecision = std::variant<Forward, Refuse, Answer>;
using ReplyDecision = std::variant<Forward, Refuse, Skip>;

/// One object a call. Called on gRPC's threads, which it must not block; decisions may come later,
/// from any thread, exactly once. After cancelled() a decision is ignored.
class Interceptor {
 public:
  virtual ~Interceptor() = default;
  /// The kubelet's request.
  virtual void request(grpc::ByteBuffer message, std::function<void(RequestDecision)> decide) {
    decide(Forward{std::move(message)});
  }
  /// The runtime's reply, only if it succeeded so far; of a stream each one, in turn.
  virtual void reply(grpc::ByteBuffer message, std::function<void(ReplyDecision)> decide) {
    decide(Forward{std::move(message)});
  }
  /// The caller is gone, by its own will or by its deadline.
  virtual void cancelled() {}
};

}  // namespace multinet::agent::cri
