#include "cli/rights.h"

#include "cli/objects.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

constexpr kube::Kind kReviews{"authorization.k8s.io", "v1", "selfsubjectaccessreviews",
                              "SelfSubjectAccessReview", kube::Scope::Cluster};

Result<bool> may(kube::RawClient& client, const Right& right) {
  json review = {{"spec",
                  {{"resourceAttributes",
                    {{"group", right.kind.group},
                     {"version", right.kind.version},
                     {"resource", right.kind.plural},
                     {"subresource", right.subresource},
                     {"verb", right.verb}}}}}};
  MULTINET_TRY(const auto answer, client.create(kReviews, std::move(review), nullptr));
  const json told = json::parse(answer, nullptr, false);
  return told.value(json::json_pointer("/status/allowed"), false);
}

std::string nameOf(const Right& right) {
  std::string text = right.verb + " " + std::string(right.kind.plural);
  if (!right.kind.group.empty()) text += "." + std::string(right.kind.group);
  return right.subresource.empty() ? text : text + "/" + right.subresource;
}

}  // namespace

Status checkRights(Call& call, const std::string& what, const std::vector<Right>& rights) {
  MULTINET_TRY(auto* client, call.client());
  std::string missing;
  for (const Right& right : rights) {
    MULTINET_TRY(const bool allowed, may(*client, right));
    if (!allowed) missing += (missing.empty() ? "" : ", ") + nameOf(right);
  }
  if (missing.empty()) return {};
  return fail(
      Code::PermissionDenied, "NotAllowed",
      what + ": you may not " + missing +
          "; nothing was changed: ask for these rights, or have somebody call it who has them");
}

}  // namespace multinet::cli
