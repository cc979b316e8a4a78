#include "nodeagent/sandbox/sandboxes.h"

#include "lib/api/names.h"

namespace multinet::agent::sandbox {

bool asksForNetworks(const RunRequest& request) {
  return request.annotations.contains(api::kNetworksAnnotation);
}

}  // namespace multinet::agent::sandbox
