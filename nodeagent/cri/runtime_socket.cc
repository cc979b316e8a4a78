#include "nodeagent/cri/runtime_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <string_view>

#include "nodeagent/cri/unix_socket.h"

namespace multinet::agent::cri {
namespace {

Result<sockaddr_un> addressOf(std::string_view endpoint) {
  constexpr std::string_view kScheme = "unix:";
  std::string_view path = endpoint;
  const bool known = path.starts_with(kScheme);
  if (known) path.remove_prefix(kScheme.size());
  if (path.starts_with("//")) path.remove_prefix(2);
  const auto address = unixAddress(path);
  if (known && address) return *address;
  return fail(Code::InvalidArgument, "RuntimeEndpoint",
              "connect to the runtime at \"" + std::string(endpoint) +
                  "\": must be unix:// and the path of a socket");
}

}  // namespace

Status checkEndpoint(const std::string& endpoint) {
  MULTINET_CHECK(addressOf(endpoint));
  return {};
}

Result<Fd> connectRuntime(const std::string& endpoint) {
  MULTINET_TRY(const auto address, addressOf(endpoint));
  Fd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection.valid() || connect(connection.get(), generic(address), sizeof(address)) != 0) {
    return fail(errnoError("connect to the runtime at " + endpoint, errno));
  }
  return connection;
}

}  // namespace multinet::agent::cri
