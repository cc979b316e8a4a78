#include "lib/kube/discovery.h"

#include <charconv>
#include <utility>

namespace multinet::kube {

Result<ServerVersion> serverVersion(Client& client) {
  MULTINET_TRY(const auto body, client.raw().getPath("/version"));
  ServerVersion version;
  MULTINET_CHECK(withJson(body, [&](const simdjson::dom::element& root) -> Status {
    const auto number = [&](const char* field, int& value) {
      std::string_view text;
      if (root[field].get(text)) return false;
      // Some providers write `37+`.
      return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
    };
    if (number("major", version.major) && number("minor", version.minor)) return {};
    return fail(Code::DataLoss, "BadVersion", "read /version: major or minor is no number");
  }));
  return version;
}

Status requireServer(Client& client, const ServerVersion& least, const std::string& why) {
  MULTINET_TRY(const ServerVersion found, serverVersion(client));
  if (std::pair(found.major, found.minor) >= std::pair(least.major, least.minor)) return {};
  const auto text = [](const ServerVersion& version) {
    return std::to_string(version.major) + "." + std::to_string(version.minor);
  };
  return fail(Code::FailedPrecondition, kServerTooOld,
              "use API server: its version is " + text(found) + "; " + text(least) +
                  " is the oldest that " + why);
}

}  // namespace multinet::kube
