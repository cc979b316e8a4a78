// A number or a name: `targetPort: 8080` and `targetPort: web`.
#pragma once

#include <cstdint>
#include <string>

namespace multinet::k8s {

/// Neither: the field is absent.
struct IntOrString {
  std::int32_t number = 0;  ///< counts where there is no name
  std::string name;
  bool operator==(const IntOrString&) const = default;

  [[nodiscard]] bool empty() const { return number == 0 && name.empty(); }
  /// As it was written.
  [[nodiscard]] std::string str() const { return name.empty() ? std::to_string(number) : name; }
};

}  // namespace multinet::k8s
