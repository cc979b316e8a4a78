// One connection of the relay: the socket of a kubelet or of a runtime, HTTP/2 on it, and the calls
// whose streams it carries.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/fd.h"
#include "lib/http2/connection.h"
#include "nodeagent/cri/http2_socket.h"

namespace multinet::agent::cri {

class Exchange;
class Relay;

/// On the relay's thread.
class Peer final : private http2::Connection::Events {
 public:
  /// A server's role is that towards a kubelet: it brings new calls.
  Peer(Relay& relay, Fd socket, http2::Connection::Role role);
  ~Peer() override = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] bool ofKubelet() const { return role_ == http2::Connection::Role::Server; }
  [[nodiscard]] http2::Connection& http2() { return socket_.http2(); }
  /// Whether it takes no part any more.
  [[nodiscard]] bool gone() const { return gone_; }

  /// A new call on a connection to the runtime.
  [[nodiscard]] std::optional<http2::StreamId> open(const http2::Headers& headers, bool end,
                                                    std::shared_ptr<Exchange> call);
  void forget(http2::StreamId stream) { calls_.erase(stream); }
  [[nodiscard]] std::vector<std::shared_ptr<Exchange>> calls() const;

  /// The socket has bytes. `buffer` is only borrowed.
  void read(std::string& buffer);
  /// Writes what the socket takes. True where it wrote something.
  bool write();
  /// The socket takes more.
  void unblock() { socket_.unblock(); }
  /// Ends it and what it carries, once.
  void close(std::string_view why);

  /// Has `poll` tell what it waits for; ends it where that can't be.
  void askPoll(const Fd& poll);

 private:
  void headers(http2::StreamId stream, http2::Headers headers, bool end) override;
  void data(http2::StreamId stream, std::string_view bytes, bool end) override;
  void sent(http2::StreamId stream, std::size_t bytes) override;
  void reset(http2::StreamId stream, http2::ErrorCode code) override;
  /// Held while it works, since it may end by what it does.
  [[nodiscard]] std::shared_ptr<Exchange> find(http2::StreamId stream) const;

  Relay& relay_;
  const http2::Connection::Role role_;
  Http2Socket socket_;
  std::unordered_map<http2::StreamId, std::shared_ptr<Exchange>> calls_;
  bool gone_ = false;
};

}  // namespace multinet::agent::cri
