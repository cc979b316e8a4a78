// May this subject do that? (authorization.k8s.io/v1 SubjectAccessReview)
#pragma once

#include <string>
#include <vector>

#include "lib/kube/client.h"

namespace multinet::kube {

struct AccessQuestion {
  std::string user;  ///< for example `system:serviceaccount:shop:default`
  std::vector<std::string> groups;
  std::string verb;
  std::string group;
  std::string resource;
  std::string nameSpace;
  std::string name;
};

struct AccessAnswer {
  bool allowed = false;
  std::string reason;
};

/// Groups of a service account as the API server sees them.
[[nodiscard]] AccessQuestion serviceAccountAsks(const std::string& nameSpace,
                                                const std::string& account);
[[nodiscard]] Result<AccessAnswer> askAccess(Client& client, const AccessQuestion& question);

}  // namespace multinet::kube
