#include "lib/kube/access.h"

namespace multinet::kube {
namespace {

constexpr Kind kReview{"authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview",
                       Scope::Cluster};

}  // namespace

AccessQuestion serviceAccountAsks(const std::string& nameSpace, const std::string& account) {
  AccessQuestion question;
  question.user = "system:serviceaccount:" + nameSpace + ":" + account;
  question.groups = {"system:serviceaccounts", "system:serviceaccounts:" + nameSpace,
                     "system:authenticated"};
  return question;
}

Result<AccessAnswer> askAccess(Client& client, const AccessQuestion& question) {
  const Json attributes{{"verb", question.verb},
                        {"group", question.group},
                        {"resource", question.resource},
                        {"namespace", question.nameSpace},
                        {"name", question.name}};
  MULTINET_TRY(const auto body, client.raw().create(kReview,
                                                    {{"metadata", Json::object()},
                                                     {"spec",
                                                      {{"user", question.user},
                                                       {"groups", question.groups},
                                                       {"resourceAttributes", attributes}}}},
                                                    nullptr));
  AccessAnswer answer;
  MULTINET_CHECK(withJson(body, [&](const simdjson::dom::element& root) -> Status {
    if (root["status"]["allowed"].get(answer.allowed)) {
      return fail(Code::DataLoss, "BadReview",
                  "read SubjectAccessReview: it has no status.allowed");
    }
    std::string_view reason;
    if (!root["status"]["reason"].get(reason)) answer.reason = reason;
    return {};
  }));
  return answer;
}

}  // namespace multinet::kube
