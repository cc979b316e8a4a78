#include "lib/k8s/selector.h"

#include <algorithm>
#include <cctype>

namespace multinet::k8s {
namespace {

constexpr std::size_t kMaxNamePart = 63;
constexpr std::size_t kMaxPrefix = 253;

bool isAlnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// The name part of a label key, or a label value that isn't empty.
bool isQualifiedName(std::string_view text) {
  if (text.empty() || text.size() > kMaxNamePart) return false;
  if (!isAlnum(text.front()) || !isAlnum(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return isAlnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool isSubdomain(std::string_view text) {
  if (text.empty() || text.size() > kMaxPrefix) return false;
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return std::all_of(text.begin(), text.end(), legal) && isAlnum(text.front()) &&
         isAlnum(text.back());
}

bool isLabelKey(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return isQualifiedName(key);
  return isSubdomain(key.substr(0, slash)) && isQualifiedName(key.substr(slash + 1));
}

bool isLabelValue(std::string_view value) {
  return value.empty() || isQualifiedName(value);
}

bool holds(const LabelSelectorRequirement& requirement, const StringMap& labels) {
  const auto label = labels.find(requirement.key);
  const bool present = label != labels.end();
  const bool listed = present && std::find(requirement.values.begin(), requirement.values.end(),
                                           label->second) != requirement.values.end();
  switch (requirement.op) {
    case SelectorOperator::In:
      return listed;
    case SelectorOperator::NotIn:
      return !listed;
    case SelectorOperator::Exists:
      return present;
    case SelectorOperator::DoesNotExist:
      return !present;
  }
  return false;
}

tl::unexpected<Error> invalid(const std::string& path, const std::string& detail) {
  return fail(Code::InvalidArgument, "InvalidSelector", path + ": " + detail);
}

Status validate(const LabelSelectorRequirement& requirement, const std::string& path) {
  if (!isLabelKey(requirement.key)) {
    return invalid(path + ".key", "\"" + requirement.key + "\" is no label key");
  }
  const bool wantsValues =
      requirement.op == SelectorOperator::In || requirement.op == SelectorOperator::NotIn;
  if (wantsValues && requirement.values.empty()) {
    return invalid(path + ".values", "is empty; In and NotIn need at least one value");
  }
  if (!wantsValues && !requirement.values.empty()) {
    return invalid(path + ".values", "must be empty; Exists and DoesNotExist take no values");
  }
  for (const auto& value : requirement.values) {
    if (!isLabelValue(value))
      return invalid(path + ".values", "\"" + value + "\" is no label value");
  }
  return {};
}

}  // namespace

bool LabelSelector::matches(const StringMap& labels) const {
  const bool allEqual =
      std::all_of(matchLabels.begin(), matchLabels.end(), [&](const auto& wanted) {
        const auto label = labels.find(wanted.first);
        return label != labels.end() && label->second == wanted.second;
      });
  return allEqual && std::all_of(matchExpressions.begin(), matchExpressions.end(),
                                 [&](const auto& wanted) { return holds(wanted, labels); });
}

Status validate(const LabelSelector& selector) {
  for (const auto& [key, value] : selector.matchLabels) {
    if (!isLabelKey(key)) return invalid("matchLabels", "\"" + key + "\" is no label key");
    if (!isLabelValue(value)) {
      return invalid("matchLabels." + key, "\"" + value + "\" is no label value");
    }
  }
  for (std::size_t i = 0; i < selector.matchExpressions.size(); ++i) {
    MULTINET_CHECK(
        validate(selector.matchExpressions[i], "matchExpressions[" + std::to_string(i) + "]"));
  }
  return {};
}

}  // namespace multinet::k8s
