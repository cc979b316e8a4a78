// A way to a server that is as bad as a test says: a unix socket whose bytes go on to another, late
// or not at all. What a runtime that starts slowly or is stopped by a signal looks like.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/fd.h"

namespace multinet::support {

/// Serves from the constructor to the destructor on a thread of its own.
class Link {
 public:
  /// Listens at `path`; each connection goes on to the socket `to`. The server's bytes come
  /// `delay` after the connection was made, later ones at once.
  Link(const std::string& path, std::string to, std::chrono::milliseconds delay = {});
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Nothing goes on and nobody accepts, as when the server gets SIGSTOP: the kernel still takes
  /// connections and bytes.
  void freeze() { frozen_ = true; }
  void thaw();

 private:
  using Clock = std::chrono::steady_clock;
  struct Pair {
    Fd client;
    Fd server;
    Clock::time_point opensAt;
  };

  void run();
  /// One round; waits for news at most `limit`.
  void carry(std::chrono::milliseconds limit);
  void accept();

  const std::string to_;
  const std::chrono::milliseconds delay_;
  Fd listener_;
  Fd wake_;
  std::atomic<bool> frozen_ = false;
  std::atomic<bool> ends_ = false;
  std::vector<Pair> pairs_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace multinet::support
