// The socket that the kubelet calls: ours, not gRPC's, for three reasons. gRPC removes any file at
// the path when it binds and again when it stops, so that an old process which stops late takes the
// socket of its successor away; it tells nobody who is calling; and a socket made by systemd must
// be served as it is.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "lib/base/fd.h"
#include "lib/base/result.h"

namespace multinet::agent::cri {

/// Listens at `path` (mode 0660). A socket there that nobody serves any more is replaced; one that
/// is served is AlreadyExists; a file of another kind is never touched.
[[nodiscard]] Result<Fd> listenAt(const std::string& path);

/// The descriptor that systemd handed over (LISTEN_PID, LISTEN_FDS, first descriptor 3), made
/// non-blocking and close-on-exec, or an invalid one where there is none. FailedPrecondition where
/// it isn't a unix stream socket that listens.
[[nodiscard]] Result<Fd> inheritedListener();

/// Accepts on its own thread until stopped. Callers that are neither root nor of our own user are
/// hung up on.
class Listener {
 public:
  /// `accepted` gets each connection (non-blocking) on the listener's thread.
  Listener(Fd socket, std::function<void(Fd)> accepted);
  ~Listener() { stop(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  /// No connection is accepted after it returns. The socket file stays for a successor.
  void stop();

 private:
  void run();
  void acceptOne();
  /// Told once, then tried again after a pause instead of at once.
  void cannotAccept(int errorNumber);

  Fd socket_;
  Fd wake_;
  std::function<void(Fd)> accepted_;
  bool accepts_ = true;  ///< false since the last accept failed
  std::thread thread_;
};

}  // namespace multinet::agent::cri
