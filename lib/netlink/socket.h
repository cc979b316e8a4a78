// A route netlink socket: requests with acknowledgement, batches, dumps.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/netlink/codec.h"

namespace multinet::netlink {

/// A request and what it does, for error texts: `create bridge mnb0a1b`.
struct Request {
  Message message;
  std::string what;
};

/// What the kernel says to a request: the bytes of an object, or why not.
using Reply = Result<std::vector<std::uint8_t>>;

/// Names a link of a socket's namespace by index or, where that is 0, by name.
struct LinkRef {
  int index = 0;
  std::string name;
};
/// What of a link may change at any time.
struct Glance {
  bool up = false;  ///< administratively (IFF_UP)
  unsigned mtu = 0;
};

/// Bound for life to the network namespace of the thread that opened it, whatever namespace its
/// user is in later. Not thread-safe: one owner. Errors carry the kernel's own sentence, and codes
/// of errnoError: EEXIST AlreadyExists, ENODEV/ENOENT/ESRCH/ENXIO NotFound, EPERM
/// PermissionDenied, EBUSY/EAGAIN/ENOBUFS Unavailable, ENOMEM ResourceExhausted; timeouts are
/// DeadlineExceeded, and what errno says nothing of is FailedPrecondition.
class Socket {
 public:
  static constexpr Duration kTimeout = std::chrono::seconds(5);

  /// In the calling thread's network namespace. `timeout` bounds each call below.
  [[nodiscard]] static Result<Socket> open(Duration timeout = kTimeout);

  /// Sends one request and waits for its verdict.
  [[nodiscard]] Status run(const Request& request);
  /// Sends all in one system call; the kernel works through them in order and does NOT stop at the
  /// first that fails. One verdict each, in order. DeadlineExceeded: the verdict is unknown.
  [[nodiscard]] std::vector<Status> runAll(const std::vector<Request>& requests);
  /// The same with requests among them that ask for one object, as it is at their place in the
  /// order: their reply is as get()'s, that of the others is empty.
  [[nodiscard]] std::vector<Reply> exchange(const std::vector<Request>& requests);
  /// One object. The reply's bytes (one whole message) are owned by the caller.
  [[nodiscard]] Reply get(const Request& request);
  /// All objects that match; repeated from the start where the kernel says that they changed while
  /// it listed (NLM_F_DUMP_INTR). `each` must not keep the frame.
  [[nodiscard]] Status dump(const Request& request, const std::function<void(const Frame&)>& each);

  /// Waits for nobody: unlike a request it needs no RTNL lock. NotFound where there is no link of
  /// that index and that name.
  [[nodiscard]] Result<Glance> glance(const LinkRef& link) const;

  /// Requests that change something, sent so far: tests assert that a converged state sends none.
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

 private:
  Socket(Fd fd, Duration timeout);
  [[nodiscard]] Status send(const std::vector<std::uint8_t>& bytes, std::string_view what);
  [[nodiscard]] Result<std::vector<Frame>> receive(BootTime deadline, std::string_view what);
  void sendChunk(const std::vector<Request>& requests, std::size_t from, std::size_t to,
                 std::vector<Reply>& replies);
  [[nodiscard]] Result<bool> dumpOnce(const Request& request,
                                      const std::function<void(const Frame&)>& each);

  Fd fd_;
  Duration timeout_;
  std::uint32_t sequence_ = 0;
  std::uint64_t writes_ = 0;
  std::size_t size_;  ///< of the buffer
  std::unique_ptr<std::uint8_t[]> buffer_;
};

/// A socket that hears of changes. Not thread-safe.
class EventSocket {
 public:
  /// Groups are RTNLGRP_* numbers. In the calling thread's network namespace; never blocks.
  [[nodiscard]] static Result<EventSocket> open(const std::vector<unsigned>& groups);
  /// For poll().
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Hands over everything that waits. False where the kernel had to drop events (ENOBUFS) or one
  /// couldn't be read: the caller must look at everything again.
  [[nodiscard]] bool drain(const std::function<void(const Frame&)>& each);

 private:
  explicit EventSocket(Fd fd);
  Fd fd_;
  std::vector<std::uint8_t> buffer_;
};

/// The error of a refused request: `what: kernel's sentence` or `what: strerror`.
[[nodiscard]] Error refusal(std::string_view what, const Ack& ack);

}  // namespace multinet::netlink
