// Descriptions of the parts that several kinds share; for units that decode or encode.
#pragma once

#include "lib/k8s/conditions.h"
#include "lib/k8s/describe.h"
#include "lib/k8s/selector.h"

namespace multinet::k8s {

template <>
inline constexpr std::array kSpellings<ConditionStatus>{
    std::pair{ConditionStatus::True, std::string_view("True")},
    std::pair{ConditionStatus::False, std::string_view("False")},
    std::pair{ConditionStatus::Unknown, std::string_view("Unknown")},
};
template <>
inline constexpr std::array kSpellings<SelectorOperator>{
    std::pair{SelectorOperator::In, std::string_view("In")},
    std::pair{SelectorOperator::NotIn, std::string_view("NotIn")},
    std::pair{SelectorOperator::Exists, std::string_view("Exists")},
    std::pair{SelectorOperator::DoesNotExist, std::string_view("DoesNotExist")},
};

template <class V>
void describe(V& v, typename V::template Ref<Condition> condition) {
  v.required("type", condition.type);
  v.required("status", condition.status);
  v.field("observedGeneration", condition.observedGeneration);
  v.field("lastTransitionTime", condition.lastTransitionTime);
  v.field("reason", condition.reason);
  v.field("message", condition.message);
}

template <class V>
void describe(V& v, typename V::template Ref<LabelSelectorRequirement> requirement) {
  v.required("key", requirement.key);
  v.required("operator", requirement.op);
  v.field("values", requirement.values);
}

template <class V>
void describe(V& v, typename V::template Ref<LabelSelector> selector) {
  v.field("matchLabels", selector.matchLabels);
  v.field("matchExpressions", selector.matchExpressions);
}

}  // namespace multinet::k8s
