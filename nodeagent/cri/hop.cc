#include "nodeagent/cri/hop.h"

#include <algorithm>
#include <array>

namespace multinet::agent::cri {

bool ofTheConnection(std::string_view key) {
  constexpr std::array<std::string_view, 5> kForbidden = {
      "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
  return std::find(kForbidden.begin(), kForbidden.end(), key) != kForbidden.end();
}

bool belongsToTheHop(std::string_view key) {
  constexpr std::array<std::string_view, 5> kOfTheHop = {"user-agent", "te", "content-type", "host",
                                                         "trailer"};
  // grpc-timeout comes from the deadline, grpc-status and its details from the status.
  if (key.starts_with(':') || key.starts_with("grpc-")) return true;
  if (ofTheConnection(key)) return true;
  return std::find(kOfTheHop.begin(), kOfTheHop.end(), key) != kOfTheHop.end();
}

}  // namespace multinet::agent::cri
