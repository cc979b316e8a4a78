// Label selectors: matchLabels and matchExpressions, as metav1.LabelSelector means them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/k8s/metadata.h"

namespace multinet::k8s {

enum class SelectorOperator : std::uint8_t { In, NotIn, Exists, DoesNotExist };

struct LabelSelectorRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::In;  ///< `operator` in JSON
  std::vector<std::string> values;             ///< for In and NotIn only
  bool operator==(const LabelSelectorRequirement&) const = default;
};

/// All requirements must hold; an empty selector matches everything.
struct LabelSelector {
  StringMap matchLabels;
  std::vector<LabelSelectorRequirement> matchExpressions;
  bool operator==(const LabelSelector&) const = default;

  /// NotIn matches where the key is absent, as Kubernetes has it.
  [[nodiscard]] bool matches(const StringMap& labels) const;
};

/// What is wrong with a selector, first finding only: a key or value that no label can have, In
/// without values, Exists with them. The message starts with the field's path below the selector.
[[nodiscard]] Status validate(const LabelSelector& selector);

}  // namespace multinet::k8s
