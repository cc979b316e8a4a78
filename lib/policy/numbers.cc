#include "lib/policy/numbers.h"

#include <set>

#include "lib/policy/program.h"

namespace multinet::policy {

Number Numbers::of(const std::string& text) {
  const auto known = known_.find(text);
  if (known != known_.end()) return known->second;
  known_.emplace(text, ++last_);
  return last_;
}

void Numbers::keepOnly(const std::vector<const Program*>& programs) {
  std::set<Number> used;
  for (const Program* program : programs) {
    for (const auto* subjects : {&program->egress, &program->ingress}) {
      for (const auto& [pod, number] : *subjects) used.insert(number);
    }
    for (const auto& [number, count] : program->addresses.uses()) used.insert(number);
  }
  std::erase_if(known_, [&](const auto& one) { return !used.contains(one.second); });
}

}  // namespace multinet::policy
