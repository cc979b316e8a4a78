#include "nodeagent/cri/hop.h"

#include <algorithm>
#include <array>

namespace multinet::agent::cri {

bool belongsToTheHop(std::string_view key) {
  constexpr std::array<std::string_view, 10> kOfTheHop = {
      "user-agent",        "te",         "content-type", "host",
      "connection",        "keep-alive", "trailer",      "proxy-connection",
      "transfer-encoding", "upgrade"};
  // grpc-timeout comes from the deadline, grpc-status and its details from the status.
  if (key.starts_with(':') || key.starts_with("grpc-")) return true;
  return std::find(kOfTheHop.begin(), kOfTheHop.end(), key) != kOfTheHop.end();
}

}  // namespace multinet::agent::cri
