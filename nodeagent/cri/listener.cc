#include "nodeagent/cri/listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "lib/base/log.h"
#include "nodeagent/cri/unix_socket.h"

namespace multinet::agent::cri {
namespace {

constexpr int kBacklog = 1024;
constexpr int kFirstInherited = 3;  // sd_listen_fds(3)
constexpr int kPauseMillis = 100;   // out of descriptors and the like: try again, don't spin

Result<sockaddr_un> addressOf(const std::string& path) {
  if (const auto address = unixAddress(path)) return *address;
  return fail(Code::InvalidArgument, "SocketPath",
              "listen at \"" + path + "\": a socket's path has 1 to " +
                  std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
}

Status removeStale(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return fail(Code::AlreadyExists, "NotASocket", "listen at \"" + path + "\": it is no socket");
  }
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(probe.get(), generic(address), sizeof(address)) == 0 || errno == EAGAIN) {
    return fail(Code::AlreadyExists, "SocketInUse",
                "listen at \"" + path + "\": another process serves it");
  }
  if (errno == ECONNREFUSED) static_cast<void>(unlink(path.c_str()));
  return {};
}

int numberOf(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return -1;
  int number = -1;
  const std::string_view view(text);
  const auto parsed = std::from_chars(view.data(), view.data() + view.size(), number);
  return parsed.ec == std::errc() ? number : -1;
}

int optionOf(int socket, int option) {
  int value = -1;
  socklen_t size = sizeof(value);
  return getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool mayCall(int connection) {
  ucred caller{};
  socklen_t size = sizeof(caller);
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &caller, &size) != 0) return false;
  if (caller.uid == 0 || caller.uid == geteuid()) return true;
  log::warn("refused a caller that is not root", {{"uid", caller.uid}, {"pid", caller.pid}});
  return false;
}

}  // namespace

Result<Fd> listenAt(const std::string& path) {
  MULTINET_TRY(const auto address, addressOf(path));
  MULTINET_CHECK(removeStale(path, address));
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t before = umask(0117);
  const int bound = bind(listener.get(), generic(address), sizeof(address));
  const int bindError = errno;
  umask(before);
  if (bound != 0) return fail(errnoError("listen at \"" + path + "\"", bindError));
  if (listen(listener.get(), kBacklog) != 0) {
    return fail(errnoError("listen at \"" + path + "\"", errno));
  }
  return listener;
}

Result<Fd> inheritedListener() {
  if (numberOf("LISTEN_PID") != getpid() || numberOf("LISTEN_FDS") < 1) return Fd();
  if (optionOf(kFirstInherited, SO_DOMAIN) != AF_UNIX ||
      optionOf(kFirstInherited, SO_TYPE) != SOCK_STREAM ||
      optionOf(kFirstInherited, SO_ACCEPTCONN) != 1) {
    return fail(
        Code::FailedPrecondition, "WrongDescriptor",
        "take over descriptor 3 (LISTEN_FDS): it must be a listening unix stream socket; "
        "multinet-nodeagent.socket needs ListenStream= with an absolute path and Accept=no");
  }
  Fd listener(kFirstInherited);
  const int status = fcntl(listener.get(), F_GETFL);
  if (status < 0 || fcntl(listener.get(), F_SETFL, status | O_NONBLOCK) != 0 ||
      fcntl(listener.get(), F_SETFD, FD_CLOEXEC) != 0) {
    return fail(errnoError("take over descriptor 3 (LISTEN_FDS)", errno));
  }
  return listener;
}

Listener::Listener(Fd socket, std::function<void(Fd)> accepted)
    : socket_(std::move(socket)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      accepted_(std::move(accepted)),
      thread_([this] { run(); }) {}

void Listener::run() {
  pthread_setname_np(pthread_self(), "cri-accept");
  std::array<pollfd, 2> polled{pollfd{socket_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled[1].revents != 0) return;
    if (polled[0].revents != 0) acceptOne();
  }
}

void Listener::acceptOne() {
  Fd connection(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection.valid()) return cannotAccept(errno);
  accepts_ = true;
  if (mayCall(connection.get())) accepted_(std::move(connection));
}

void Listener::cannotAccept(int errorNumber) {
  // The caller went away, or somebody else took it: no news.
  if (errorNumber == EAGAIN || errorNumber == ECONNABORTED || errorNumber == EINTR) return;
  if (std::exchange(accepts_, false)) {
    log::error("can't accept connections", {{"error", errnoError("accept", errorNumber)}});
  }
  pollfd wake{wake_.get(), POLLIN, 0};
  poll(&wake, 1, kPauseMillis);
}

void Listener::stop() {
  if (!thread_.joinable()) return;
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

}  // namespace multinet::agent::cri
