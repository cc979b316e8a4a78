#include "nodeagent/cri/http2_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace multinet::agent::cri {
namespace {

tl::unexpected<Error> broken() {
  return fail(Code::Unavailable, "ConnectionBroke", "the connection broke");
}

}  // namespace

Status Http2Socket::read(std::string& buffer) {
  const auto size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (size <= 0) return broken();
  const auto bytes = std::string_view(buffer).substr(0, static_cast<std::size_t>(size));
  auto taken = http2_.receive(bytes);
  if (!taken) static_cast<void>(write());  // it says why
  return taken;
}

Result<bool> Http2Socket::write() {
  bool wrote = false;
  while (!blocked_ && !http2_.output().empty()) {
    const auto bytes = http2_.output();
    const auto size = send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) {
      wrote = true;
      http2_.wrote(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      blocked_ = true;
    } else if (errno != EINTR) {
      return broken();
    }
  }
  return wrote;
}

Status Http2Socket::askPoll(const Fd& poll, void* data) {
  const std::uint32_t wanted = blocked_ ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (polled_ == wanted) return {};
  epoll_event event{};
  event.events = wanted;
  event.data.ptr = data;
  const int operation = std::exchange(polled_, wanted) == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(poll.get(), operation, socket_.get(), &event) == 0) return {};
  return fail(errnoError("poll a connection", errno));
}

}  // namespace multinet::agent::cri
