// Numbers of subjects and classes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/policy/address_classes.h"

namespace multinet::policy {

struct Program;

/// Gives each subject and class a number that it keeps while it is in use, so that the programs of
/// one moment and the next differ in what changed alone. One for all networks that share a kernel's
/// sets. Not for several threads.
class Numbers {
 public:
  /// From 1; the same for the same text.
  [[nodiscard]] Number of(const std::string& text);
  /// Forgets what none of the programs uses. Numbers aren't given again before all 32 bits were.
  void keepOnly(const std::vector<const Program*>& programs);
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  std::map<std::string, Number> known_;
  Number last_ = 0;
};

}  // namespace multinet::policy
