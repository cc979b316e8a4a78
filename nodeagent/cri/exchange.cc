#include "nodeagent/cri/exchange.h"

#include <grpcpp/support/status_code_enum.h>

#include <chrono>
#include <utility>

#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/hop.h"
#include "nodeagent/cri/peer.h"
#include "nodeagent/cri/relay.h"

namespace multinet::agent::cri {
namespace {

/// What may wait for a slow reader of an intercepted stream.
constexpr std::size_t kWaitingBytes = 128U << 10U;

using std::chrono::system_clock;

std::optional<system_clock::time_point> deadlineOf(const http2::Headers& request) {
  const auto timeout = parseTimeout(http2::valueOf(request, "grpc-timeout"));
  if (!timeout) return std::nullopt;
  return system_clock::now() + std::chrono::duration_cast<system_clock::duration>(*timeout);
}

/// What is left of the call's time, where some of it passed here.
void writeTimeout(http2::Headers& request, system_clock::time_point deadline) {
  for (auto& [key, value] : request) {
    if (key == "grpc-timeout") value = timeoutOf(deadline - system_clock::now());
  }
}

}  // namespace

Exchange::Exchange(Relay& relay, Peer& kubelet, http2::StreamId stream, http2::Headers request)
    : relay_(relay),
      inbox_(relay.inbox()),
      kubelet_{&kubelet, stream},
      request_(std::move(request)),
      method_(http2::valueOf(request_, ":path")),
      endless_(method_.ends_with("/GetContainerEvents")),
      deadline_(deadlineOf(request_)) {}

void Exchange::start(bool end) {
  if (const auto& interceptorOf = relay_.options().interceptorOf) {
    interceptor_ = interceptorOf(
        method_, [this] { return metadataOf(request_); },
        deadline_.value_or(system_clock::time_point::max()));
  }
  if (interceptor_ == nullptr) {
    static_cast<void>(openRuntime(end));
    return;
  }
  // Messages are read and made here, so the two ends don't agree on another coding of them.
  std::erase_if(request_, [](const http2::Header& header) {
    return header.first == "grpc-encoding" || header.first == "grpc-accept-encoding";
  });
  if (end) readRequest(true);
}

bool Exchange::openRuntime(bool end) {
  std::erase_if(request_,
                [](const http2::Header& header) { return ofTheConnection(header.first); });
  if (interceptor_ != nullptr && deadline_) writeTimeout(request_, *deadline_);
  auto peer = relay_.peerFor(method_);
  if (!peer) {
    fail(grpc::StatusCode::UNAVAILABLE, peer.error().message);
    return false;
  }
  const auto stream = (*peer)->open(std::exchange(request_, {}), end, shared_from_this());
  if (!stream) {
    fail(grpc::StatusCode::UNAVAILABLE, "relay call: the runtime takes no more calls");
    return false;
  }
  runtime_ = {*peer, *stream};
  return true;
}

// Of the kubelet's stream

void Exchange::requestData(std::string_view bytes, bool end) {
  if (interceptor_ == nullptr) {
    if (runtime_.peer != nullptr) runtime_.peer->http2().sendData(runtime_.stream, bytes, end);
    return;
  }
  // A unary call has one request: whatever would follow is not read, so it can't pass unseen.
  if (!asked_) requestReader_.append(bytes);
  kubelet_.peer->http2().consumed(kubelet_.stream, bytes.size());
  if (!asked_) readRequest(end);
}

void Exchange::requestHeaders(const http2::Headers& trailers, bool end) {
  if (interceptor_ != nullptr) return requestData({}, end);
  if (runtime_.peer != nullptr) runtime_.peer->http2().sendHeaders(runtime_.stream, trailers, end);
}

template <class Decision>
std::function<void(Decision)> Exchange::obeying(void (Exchange::*obey)(Decision)) {
  return [call = shared_from_this(), obey](Decision decision) {
    if (call->inbox_->onThread()) return ((*call).*obey)(std::move(decision));
    call->inbox_->post([call, obey, kept = std::make_shared<Decision>(std::move(decision))] {
      ((*call).*obey)(std::move(*kept));
    });
  };
}

void Exchange::readRequest(bool end) {
  auto message = requestReader_.next();
  if (!message) {
    return fail(static_cast<int>(message.error().code), message.error().message);
  }
  if (*message) {
    asked_ = true;
    interceptor_->request(bufferOf(**message), obeying(&Exchange::requestDecided));
    return;
  }
  if (!end) return;
  asked_ = true;
  // Ended without a request: an interceptor has nothing to say, the runtime judges.
  if (requestReader_.empty()) {
    static_cast<void>(openRuntime(true));
    return;
  }
  fail(grpc::StatusCode::INVALID_ARGUMENT, "read request of " + method_ + ": it isn't whole");
}

void Exchange::requestDecided(RequestDecision decision) {
  if (ended_) return;
  if (const auto* forward = std::get_if<Forward>(&decision)) {
    if (!openRuntime(false)) return;
    runtime_.peer->http2().sendData(runtime_.stream, framed(bytesOf(forward->message)), true);
  } else if (const auto* refuse = std::get_if<Refuse>(&decision)) {
    fail(refuse->status.error_code(), refuse->status.error_message(),
         refuse->status.error_details());
  } else {
    sendHead();
    auto& kubelet = kubelet_.peer->http2();
    kubelet.sendData(kubelet_.stream, framed(bytesOf(std::get<Answer>(decision).message)), false);
    kubelet.sendHeaders(kubelet_.stream, trailersOf(grpc::StatusCode::OK, "", false), true);
    end(grpc::StatusCode::OK);
  }
}

void Exchange::replySent(std::size_t bytes) {
  if (interceptor_ != nullptr) return creditReply();
  if (runtime_.peer != nullptr) runtime_.peer->http2().consumed(runtime_.stream, bytes);
}

void Exchange::cancelled() {
  if (ended_) return;
  if (interceptor_ != nullptr) interceptor_->cancelled();
  end(grpc::StatusCode::CANCELLED);
}

// Of the runtime's stream

void Exchange::replyHeaders(http2::Headers headers, bool end) {
  std::erase_if(headers, [](const http2::Header& header) { return ofTheConnection(header.first); });
  if (interceptor_ == nullptr) {
    headSent_ = true;
    kubelet_.peer->http2().sendHeaders(kubelet_.stream, headers, end);
    if (end) this->end(statusOf(headers));
    return;
  }
  if (!end) {
    head_ = std::move(headers);
    return;
  }
  trailers_ = std::move(headers);
  readReplies();
}

void Exchange::replyData(std::string_view bytes, bool end) {
  if (interceptor_ == nullptr) {
    kubelet_.peer->http2().sendData(kubelet_.stream, bytes, end);
    if (end) this->end(grpc::StatusCode::UNKNOWN);
    return;
  }
  uncredited_ += bytes.size();
  if (!refusal_) replyReader_.append(bytes);
  if (end) trailers_ = trailersOf(grpc::StatusCode::UNKNOWN, "the runtime gave no status", false);
  readReplies();
}

void Exchange::readReplies() {
  if (std::exchange(reading_, true)) return;  // a decision that came at once
  while (!ended_ && !deciding_) {
    if (refusal_) {
      replyReader_ = {};
    } else {
      auto message = replyReader_.next();
      if (!message) {
        fail(grpc::StatusCode::INTERNAL, message.error().message);
        break;
      }
      if (*message) {
        deciding_ = true;
        interceptor_->reply(bufferOf(**message), obeying(&Exchange::replyDecided));
        continue;
      }
    }
    if (trailers_) finishReply();
    break;
  }
  reading_ = false;
  creditReply();
}

void Exchange::replyDecided(ReplyDecision decision) {
  if (ended_) return;
  deciding_ = false;
  if (auto* refuse = std::get_if<Refuse>(&decision)) {
    refusal_ = std::move(*refuse);  // to its end: the status comes after it
  } else if (const auto* forward = std::get_if<Forward>(&decision)) {
    sendHead();
    kubelet_.peer->http2().sendData(kubelet_.stream, framed(bytesOf(forward->message)), false);
  }
  readReplies();
}

void Exchange::finishReply() {
  const int code = statusOf(*trailers_);
  if (refusal_ && code == grpc::StatusCode::OK) {
    return fail(refusal_->status.error_code(), refusal_->status.error_message(),
                refusal_->status.error_details());
  }
  if (head_) sendHead();
  kubelet_.peer->http2().sendHeaders(kubelet_.stream, *trailers_, true);
  end(code);
}

void Exchange::sendHead() {
  if (std::exchange(headSent_, true)) return;
  if (!head_) head_ = http2::Headers{{":status", "200"}, {"content-type", "application/grpc"}};
  kubelet_.peer->http2().sendHeaders(kubelet_.stream, *std::exchange(head_, std::nullopt), false);
}

void Exchange::creditReply() {
  if (ended_ || runtime_.peer == nullptr || deciding_ || replyReader_.whole()) return;
  if (kubelet_.peer->http2().waiting(kubelet_.stream) > kWaitingBytes) return;
  runtime_.peer->http2().consumed(runtime_.stream, std::exchange(uncredited_, 0));
}

void Exchange::requestSent(std::size_t bytes) {
  // What was intercepted is consumed already.
  if (interceptor_ == nullptr) kubelet_.peer->http2().consumed(kubelet_.stream, bytes);
}

void Exchange::replyReset(http2::ErrorCode code) {
  if (ended_) return;
  runtime_.peer->forget(runtime_.stream);
  runtime_ = {};
  kubelet_.peer->http2().reset(kubelet_.stream, code);
  end(statusOf(code));
}

// Its end

void Exchange::fail(int code, std::string_view message, std::string_view details) {
  if (ended_) return;
  const auto trailers = trailersOf(code, message, !headSent_, details);
  kubelet_.peer->http2().sendHeaders(kubelet_.stream, trailers, true);
  end(code);
}

void Exchange::endNow() {
  if (ended_) return;
  if (interceptor_ != nullptr) interceptor_->cancelled();
  fail(grpc::StatusCode::UNAVAILABLE, "relay stream: the agent is stopping");
}

void Exchange::end(int code) {
  if (std::exchange(ended_, true)) return;
  const auto self = shared_from_this();
  if (runtime_.peer != nullptr) {
    runtime_.peer->http2().reset(runtime_.stream, http2::ErrorCode::Cancel);
    runtime_.peer->forget(runtime_.stream);
  }
  kubelet_.peer->forget(kubelet_.stream);
  runtime_ = kubelet_ = {};
  relay_.ended(*this, method_, code);
}

}  // namespace multinet::agent::cri
