// Whatever stands in a kubeconfig: an answer or an error, never an exception.
#include <cstdint>

#include "lib/kube/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(multinet::kube::parseKubeconfig(
      std::string_view(reinterpret_cast<const char*>(data), size), "", "/nonexistent/config"));
  return 0;
}
