#include "lib/kube/discovery.h"

#include <charconv>

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

Result<bool> serves(Client& client, const Kind& kind) {
  const auto path = (kind.group.empty() ? "/api/" : "/apis/") + kind.apiVersion();
  const auto body = client.raw().getPath(path);
  if (!body.has_value()) {
    if (body.error().code == Code::NotFound) return false;
    return fail(body.error());
  }
  bool found = false;
  MULTINET_CHECK(withJson(*body, [&](const simdjson::dom::element& root) -> Status {
    simdjson::dom::array resources;
    if (root["resources"].get(resources)) return {};
    for (const auto resource : resources) {
      std::string_view name;
      if (!resource["name"].get(name) && name == kind.plural) found = true;
    }
    return {};
  }));
  return found;
}

}  // namespace multinet::kube
