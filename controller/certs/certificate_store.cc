#include "controller/certs/certificate_store.h"

#include "lib/base/encoding.h"

namespace multinet::controller {
namespace {

using nlohmann::json;

constexpr kube::Kind kSecret{"", "v1", "secrets", "Secret", kube::Scope::Namespaced};

kube::Kind configurationKind(const std::string& name) {
  if (name == kMutateConfiguration) {
    return {"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration", kube::Scope::Cluster};
  }
  return {"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
          "ValidatingWebhookConfiguration", kube::Scope::Cluster};
}

json encoded(const SecretData& data) {
  json object = json::object();
  for (const auto& [key, value] : data) object[key] = encodeBase64(value);
  return object;
}

std::string stringAt(const json& object, const std::string& pointer) {
  const auto* found = object.contains(json::json_pointer(pointer))
                          ? &object.at(json::json_pointer(pointer))
                          : nullptr;
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

json webhooksOf(const json& configuration) {
  const auto found = configuration.find("webhooks");
  return found != configuration.end() && found->is_array() ? *found : json::array();
}

Status statusOf(const Result<std::string>& result) {
  return result.has_value() ? Status() : fail(result.error());
}

}  // namespace

Result<std::optional<json>> CertificateStore::read(const kube::Kind& kind,
                                                   const kube::ObjectKey& key) {
  const auto body = client_.raw().get(kind, key);
  if (!body.has_value()) {
    if (body.error().code == Code::NotFound) return std::nullopt;
    return fail(body.error());
  }
  auto object = json::parse(*body, nullptr, false);
  if (!object.is_object()) {
    return fail(Code::Internal, "NotDecoded",
                "read " + std::string(kind.kind) + " " + key.str() + ": the answer is no object");
  }
  return object;
}

Result<std::optional<VersionedSecret>> CertificateStore::readSecret(const std::string& name) {
  MULTINET_TRY(const auto object, read(kSecret, {nameSpace_, name}));
  if (!object) return std::nullopt;
  VersionedSecret secret;
  secret.resourceVersion = stringAt(*object, "/metadata/resourceVersion");
  const auto data = object->find("data");
  if (data == object->end() || !data->is_object()) return secret;
  for (const auto& [key, value] : data->items()) {
    // What can't be decoded is made anew by the plan, as is what isn't there.
    const auto bytes = decodeBase64(value.is_string() ? value.get<std::string>() : std::string());
    secret.data[key] = bytes.has_value() ? *bytes : std::string();
  }
  return secret;
}

Status CertificateStore::createSecret(const std::string& name, const SecretData& data) {
  json object = {{"apiVersion", "v1"},
                 {"kind", "Secret"},
                 {"metadata", {{"name", name}, {"namespace", nameSpace_}}},
                 {"type", "Opaque"},
                 {"data", encoded(data)}};
  return statusOf(client_.raw().create(kSecret, std::move(object), nullptr));
}

Status CertificateStore::replaceSecret(const std::string& name, const VersionedSecret& secret) {
  MULTINET_TRY(const auto standing, read(kSecret, {nameSpace_, name}));
  json object = standing.value_or(json::object());
  object["metadata"]["name"] = name;
  object["metadata"]["namespace"] = nameSpace_;
  // The version that the plan looked at, not the one just read.
  object["metadata"]["resourceVersion"] = secret.resourceVersion;
  object["data"] = encoded(secret.data);
  return statusOf(client_.raw().update(kSecret, std::move(object), kube::Subresource::None));
}

Result<std::optional<VersionedBundles>> CertificateStore::readBundles(
    const std::string& configuration) {
  MULTINET_TRY(const auto object, read(configurationKind(configuration), {"", configuration}));
  if (!object) return std::nullopt;
  VersionedBundles seen{{}, stringAt(*object, "/metadata/resourceVersion")};
  for (const auto& webhook : webhooksOf(*object)) {
    const auto bundle = decodeBase64(stringAt(webhook, "/clientConfig/caBundle"));
    seen.bundles.push_back(bundle.has_value() ? *bundle : std::string());
  }
  return seen;
}

Status CertificateStore::writeBundle(const std::string& configuration, const std::string& bundle,
                                     const std::string& resourceVersion) {
  const auto kind = configurationKind(configuration);
  MULTINET_TRY(const auto object, read(kind, {"", configuration}));
  if (!object) return {};
  auto webhooks = webhooksOf(*object);
  for (auto& webhook : webhooks) webhook["clientConfig"]["caBundle"] = encodeBase64(bundle);
  // The version that the plan looked at, not the one just read.
  const json patch = {{"metadata", {{"resourceVersion", resourceVersion}}},
                      {"webhooks", std::move(webhooks)}};
  return statusOf(client_.raw().patch(kind, {"", configuration}, kube::PatchType::Merge, patch,
                                      kube::Subresource::None, kube::Conflicts::Refuse));
}

}  // namespace multinet::controller
