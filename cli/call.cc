#include "cli/call.h"

#include "cli/command_line.h"
#include "cli/objects.h"

namespace multinet::cli {

using nlohmann::json;

bool Arguments::has(const std::string& flag) const {
  const auto found = values.find(flag);
  return found != values.end() && !found->second.empty();
}

std::string Arguments::value(const std::string& flag) const {
  return has(flag) ? values.at(flag).back() : "";
}

std::vector<std::string> Arguments::all(const std::string& flag) const {
  return has(flag) ? values.at(flag) : std::vector<std::string>();
}

Status Call::open() {
  if (client_ != nullptr) return {};
  kube::ClientOptions options;
  options.fieldManager = "kubectl-multinet";
  if (arguments_.has("request-timeout")) {
    MULTINET_TRY(options.deadline, parseTimeout(arguments_.value("request-timeout")));
  }
  MULTINET_TRY(auto config,
               kube::loadConfig(arguments_.value("kubeconfig"), arguments_.value("context")));
  config.userAgent = "kubectl-multinet";
  config.asUser = arguments_.value("as");
  config.asGroup = arguments_.value("as-group");
  if (config.asUser.empty() && !config.asGroup.empty()) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "flag --as-group needs --as: a group alone is nobody");
  }
  if (arguments_.all("as-group").size() > 1) {
    return fail(Code::InvalidArgument, "InvalidCommandLine",
                "flag --as-group: one group can be asked as, not " +
                    std::to_string(arguments_.all("as-group").size()));
  }
  contextNamespace_ = config.nameSpace;
  MULTINET_TRY(client_, kube::connect(config, options));
  return {};
}

Result<kube::RawClient*> Call::client() {
  MULTINET_CHECK(open());
  return &client_->raw();
}

Result<std::string> Call::nameSpace() {
  MULTINET_CHECK(open());
  if (arguments_.has("all-namespaces")) return std::string();
  const auto named = arguments_.value("namespace");
  return named.empty() ? contextNamespace_ : named;
}

Result<json> Call::list(const kube::Kind& kind, const kube::Selection& selection,
                        std::string* revision) {
  MULTINET_TRY(auto* raw, client());
  json items = json::array();
  MULTINET_TRY(
      auto listed,
      kube::listAll(*raw, kind, selection, {}, [&](const simdjson::dom::element& object) -> Status {
        auto item = json::parse(simdjson::minify(object), nullptr, false);
        dropManagedFields(item);
        // The server leaves them out of a list's items.
        item["apiVersion"] = kind.apiVersion();
        item["kind"] = std::string(kind.kind);
        items.push_back(std::move(item));
        return {};
      }));
  if (revision != nullptr) *revision = std::move(listed);
  return items;
}

Result<json> Call::get(const kube::Kind& kind, const kube::ObjectKey& key) {
  MULTINET_TRY(auto* raw, client());
  MULTINET_TRY(const auto body, raw->get(kind, key));
  auto object = json::parse(body, nullptr, false);
  if (!object.is_object()) {
    return fail(
        Code::DataLoss, "BadAnswer",
        "get " + std::string(kind.kind) + " " + key.name + ": the server's answer is no object");
  }
  dropManagedFields(object);
  return object;
}

Result<bool> Call::exists(const kube::Kind& kind, const kube::ObjectKey& key) {
  const auto found = get(kind, key);
  if (found) return true;
  if (found.error().code == Code::NotFound) return false;
  return fail(found.error());
}

}  // namespace multinet::cli
