#include "bench/pump.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>

#include "lib/base/fd.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/unix_socket.h"

namespace multinet::bench {
namespace {

constexpr std::size_t kBufferBytes = 256U << 10U;

Result<Fd> connectTo(const std::string& path) {
  Fd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = agent::cri::unixAddress(path).value_or(sockaddr_un{});
  if (connect(connection.get(), agent::cri::generic(address), sizeof(address)) == 0) {
    return connection;
  }
  return fail(errnoError("connect to " + path, errno));
}

void copy(const Fd& from, const Fd& to) {
  std::string buffer(kBufferBytes, '\0');
  while (true) {
    const auto size = read(from.get(), buffer.data(), buffer.size());
    if (size <= 0) break;
    const auto length = static_cast<std::size_t>(size);
    if (send(to.get(), buffer.data(), length, MSG_NOSIGNAL) != size) break;
  }
  shutdown(from.get(), SHUT_RDWR);
  shutdown(to.get(), SHUT_RDWR);
}

}  // namespace

Status pump(const std::string& listen, const std::string& runtime) {
  MULTINET_TRY(const Fd listener, agent::cri::listenAt(listen));
  while (true) {
    // The listener doesn't block, what is accepted does.
    const auto caller =
        std::make_shared<Fd>(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!caller->valid()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    MULTINET_TRY(Fd connection, connectTo(runtime));
    const auto callee = std::make_shared<Fd>(std::move(connection));
    std::thread([caller, callee] { copy(*caller, *callee); }).detach();
    std::thread([caller, callee] { copy(*callee, *caller); }).detach();
  }
}

}  // namespace multinet::bench
