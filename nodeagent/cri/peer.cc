#include "nodeagent/cri/peer.h"

#include <grpcpp/support/status_code_enum.h>

#include <utility>

#include "lib/base/log.h"
#include "nodeagent/cri/exchange.h"
#include "nodeagent/cri/relay.h"

namespace multinet::agent::cri {
namespace {

/// What may wait for one who doesn't read: the longest headers twice over. Data has its windows.
constexpr std::size_t kMostOutput = 64U << 20U;

}  // namespace

Peer::Peer(Relay& relay, Fd socket, http2::Connection::Role role)
    : relay_(relay), role_(role), socket_(std::move(socket), role, *this) {}

std::optional<http2::StreamId> Peer::open(const http2::Headers& headers, bool end,
                                          std::shared_ptr<Exchange> call) {
  const auto stream = http2().open(headers, end);
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
  if (const auto taken = socket_.read(buffer); !taken) return close(taken.error().message);
  if (http2().output().size() > kMostOutput) close("nobody reads on the other end");
}

bool Peer::write() {
  if (gone_) return false;
  const auto wrote = socket_.write();
  if (wrote) return *wrote;
  close(wrote.error().message);
  return true;
}

void Peer::askPoll(const Fd& poll) {
  if (gone_) return;
  const auto asked = socket_.askPoll(poll, this);
  if (asked) return;
  log::error("can't poll a connection", {{"error", asked.error()}});
  close("it can't be polled");
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
