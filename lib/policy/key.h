// Text that names one thing and no other, whatever stands in its parts. Of this room only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/k8s/describe_shared.h"
#include "lib/k8s/selector.h"

namespace multinet::policy {

/// The same in every version: hashes of it stand in the API (peerHash).
class Key {
 public:
  explicit Key(char what) : text_(1, what) {}
  Key& add(std::string_view part) {
    text_ += std::to_string(part.size());
    text_ += ':';
    text_ += part;
    return *this;
  }
  Key& add(std::int64_t number) { return add(std::to_string(number)); }
  Key& add(const std::optional<k8s::LabelSelector>& selector) {
    if (!selector) return add("-");
    add("+").add(static_cast<std::int64_t>(selector->matchLabels.size()));
    for (const auto& [key, value] : selector->matchLabels) add(key).add(value);
    add(static_cast<std::int64_t>(selector->matchExpressions.size()));
    for (const auto& one : selector->matchExpressions) {
      add(one.key).add(k8s::spell(one.op)).add(static_cast<std::int64_t>(one.values.size()));
      for (const auto& value : one.values) add(value);
    }
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace multinet::policy
