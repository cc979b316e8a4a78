#include "nodeagent/cri/peer.h"

#include <grpcpp/support/status_code_enum.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "nodeagent/cri/exchange.h"
#include "nodeagent/cri/relay.h"

namespace multinet::agent::cri {
namespace {

/// What may wait for one who doesn't read: the longest headers twice over. Data has its windows.
constexpr std::size_t kMostOutput = 64U << 20U;

}  // namespace

Peer::Peer(Relay& relay, Fd socket, http2::Connection::Role role)
    : relay_(relay), socket_(std::move(socket)), role_(role), http2_(role, *this) {}

std::optional<http2::StreamId> Peer::open(const http2::Headers& headers, bool end,
                                          std::shared_ptr<Exchange> call) {
  const auto stream = http2_.open(headers, end);
  if (stream) calls_.emplace(*stream, std::move(call));
  return stream;
}

std::vector<std::shared_ptr<Exchange>> Peer::calls() const {
  std::vector<std::shared_ptr<Exchange>> calls;
  calls.reserve(calls_.size());
  for (const auto& [stream, call] : calls_) calls.push_back(call);
  return calls;
}

void Peer::read(std::string& buffer) {
  // Once: what came is handed on before more is taken, so that a long answer is under way on both
  // sides at once.
  const auto size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return close("the connection broke");
  const auto bytes = std::string_view(buffer).substr(0, static_cast<std::size_t>(size));
  if (const auto taken = http2_.receive(bytes); !taken) {
    static_cast<void>(write());  // it says why
    return close(taken.error().message);
  }
  if (http2_.output().size() > kMostOutput) close("nobody reads on the other end");
}

bool Peer::write() {
  bool wrote = false;
  while (!gone_ && !blocked_ && !http2_.output().empty()) {
    const auto bytes = http2_.output();
    const auto size = send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != EAGAIN) {
      close("the connection broke");
      return true;
    }
    if (size < 0) {
      blocked_ = true;
      break;
    }
    wrote = true;
    http2_.wrote(static_cast<std::size_t>(size));
  }
  return wrote;
}

void Peer::close(std::string_view why) {
  if (std::exchange(gone_, true)) return;
  for (const auto& call : calls()) {
    if (ofKubelet()) {
      call->cancelled();
    } else {
      call->fail(grpc::StatusCode::UNAVAILABLE,
                 std::string("relay call to the runtime: ").append(why));
    }
  }
  calls_.clear();
}

std::shared_ptr<Exchange> Peer::find(http2::StreamId stream) const {
  const auto found = calls_.find(stream);
  return found == calls_.end() ? nullptr : found->second;
}

void Peer::headers(http2::StreamId stream, http2::Headers headers, bool end) {
  const auto call = find(stream);
  if (!ofKubelet()) {
    if (call != nullptr) call->replyHeaders(std::move(headers), end);
    return;
  }
  if (call != nullptr) return call->requestHeaders(headers, end);
  const auto made = std::make_shared<Exchange>(relay_, *this, stream, std::move(headers));
  calls_.emplace(stream, made);
  relay_.began(*made);
  made->start(end);
}

void Peer::data(http2::StreamId stream, std::string_view bytes, bool end) {
  const auto call = find(stream);
  if (call == nullptr) return;
  if (ofKubelet()) {
    call->requestData(bytes, end);
  } else {
    call->replyData(bytes, end);
  }
}

void Peer::sent(http2::StreamId stream, std::size_t bytes) {
  const auto call = find(stream);
  if (call == nullptr) return;
  if (ofKubelet()) {
    call->replySent(bytes);
  } else {
    call->requestSent(bytes);
  }
}

void Peer::reset(http2::StreamId stream, http2::ErrorCode code) {
  const auto call = find(stream);
  if (call == nullptr) return;
  if (ofKubelet()) {
    call->cancelled();
  } else {
    call->replyReset(code);
  }
}

}  // namespace multinet::agent::cri
