// HTTP/2 on a socket that doesn't block, as the relay's connections and the agent's own have it.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/fd.h"
#include "lib/base/result.h"
#include "lib/http2/connection.h"

namespace multinet::agent::cri {

/// One thread at a time. After an error it is over, and says so to nobody: whoever has it closes.
class Http2Socket {
 public:
  /// `events` outlives it.
  Http2Socket(Fd socket, http2::Connection::Role role, http2::Connection::Events& events)
      : socket_(std::move(socket)), http2_(role, events) {}

  [[nodiscard]] int descriptor() const { return socket_.get(); }
  [[nodiscard]] http2::Connection& http2() { return http2_; }
  [[nodiscard]] const http2::Connection& http2() const { return http2_; }

  /// Takes what came, once: it is handed on before more is taken, so that a long answer is under
  /// way on both sides at once. `buffer` is only borrowed.
  [[nodiscard]] Status read(std::string& buffer);
  /// Writes what the socket takes. True where it wrote something.
  [[nodiscard]] Result<bool> write();
  /// Whether it has more than the socket took.
  [[nodiscard]] bool isBlocked() const { return blocked_; }
  /// The socket takes more.
  void unblock() { blocked_ = false; }
  /// Has `poll` tell what it waits for, with `data`, unless it does already.
  [[nodiscard]] Status askPoll(const Fd& poll, void* data);

 private:
  const Fd socket_;
  http2::Connection http2_;
  bool blocked_ = false;
  std::uint32_t polled_ = 0;  ///< what the poll was asked for last
};

}  // namespace multinet::agent::cri
