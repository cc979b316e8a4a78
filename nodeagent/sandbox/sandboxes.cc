#include "nodeagent/sandbox/sandboxes.h"

#include <random>

#include "lib/api/names.h"

namespace multinet::agent::sandbox {

IntentId newIntentId() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string text;
  for (int word = 0; word < 2; ++word) {
    std::uint32_t value = random();
    for (int digit = 0; digit < 8; ++digit, value >>= 4U) text += kDigits[value & 0xfU];
  }
  return IntentId(text);
}

// version-traceid-parentid-flags, all of fixed length.
std::string traceId(const CallMetadata& metadata) {
  constexpr std::size_t kBegin = 3;
  constexpr std::size_t kLength = 32;
  const auto parent = metadata.find("traceparent");
  if (parent == metadata.end() || parent->second.size() < kBegin + kLength) return "";
  return parent->second.substr(kBegin, kLength);
}

Error attachError(const PodRef& pod, const Error& why) {
  return why.within("attach networks of pod " + pod.str());
}

bool asksForNetworks(const RunRequest& request) {
  return request.annotations.contains(api::kNetworksAnnotation);
}

bool asksForNetworks(const RuntimeSandbox& sandbox) {
  return sandbox.annotations.contains(api::kNetworksAnnotation);
}

}  // namespace multinet::agent::sandbox
