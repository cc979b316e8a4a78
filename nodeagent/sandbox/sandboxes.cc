#include "nodeagent/sandbox/sandboxes.h"

#include <atomic>

#include "lib/api/names.h"

namespace multinet::agent::sandbox {

CallId newCall() {
  static std::atomic<CallId> last{0};
  return ++last;
}

bool asksForNetworks(const RunRequest& request) {
  return request.annotations.contains(api::kNetworksAnnotation);
}

bool asksForNetworks(const RuntimeSandbox& sandbox) {
  return sandbox.annotations.contains(api::kNetworksAnnotation);
}

}  // namespace multinet::agent::sandbox
