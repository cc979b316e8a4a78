// What is said on the connection of one health check, and what the answer means. Bytes come in and
// go out; sockets and time are the checker's. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "lib/base/result.h"
#include "nodeagent/gateway/checks.h"

namespace multinet::agent::gateway {

/// One thread; the check that it was made for may be gone meanwhile.
class Exchange {
 public:
  virtual ~Exchange() = default;
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Bytes for the socket.
  [[nodiscard]] virtual std::string_view output() const = 0;
  /// That many of them are written.
  virtual void wrote(std::size_t bytes) = 0;
  /// What came; nothing until it is enough for an answer.
  [[nodiscard]] virtual std::optional<Answer> receive(std::string_view bytes) = 0;
  /// The endpoint closed the connection before that.
  [[nodiscard]] virtual Answer closed() = 0;
};

/// For a connection that was accepted; null where that is the answer (tcpSocket).
[[nodiscard]] Result<std::unique_ptr<Exchange>> exchangeFor(const Check& check);

}  // namespace multinet::agent::gateway
