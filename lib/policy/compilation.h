// The program of one network from one moment to the next. What changed is found without a look at
// what didn't: members of peers that come and go are one address each, and pods of which the same
// policies speak leave the addresses alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/policy/layout.h"
#include "lib/policy/program.h"
#include "lib/policy/steps.h"

namespace multinet::policy {

class Compilation {
 public:
  explicit Compilation(std::size_t mostPermits = kMostPermits) : mostPermits_(mostPermits) {}

  /// As compile() does it; the way there from the program before. Sources whose peers have
  /// versions have them laid out only where that must be.
  Delta compile(const std::vector<Subject>& subjects, const Network& network, Source& source,
                Numbers& numbers);
  /// The same where members of a peer are all that changed. nullopt: it knew others, and compile()
  /// is to be asked.
  [[nodiscard]] std::optional<Delta> change(const MemberChange& members, Numbers& numbers);

  /// One Numbers gave all numbers of it; until these are forgotten (Numbers::keepOnly) that stays.
  [[nodiscard]] const Program& program() const { return program_; }
  /// See Compiled.
  [[nodiscard]] const std::set<PodKey>& cut() const { return cut_; }
  /// It is of no use after that.
  [[nodiscard]] Compiled take() { return {std::move(program_), std::move(cut_)}; }

 private:
  class Reader;

  void addAllPermits();
  [[nodiscard]] std::set<Permit> permitsOf(Number subject, const Steps& steps) const;

  std::size_t mostPermits_;
  std::map<Number, Steps> steps_;  ///< by subject
  Layout layout_;
  std::uint64_t shape_ = 0;  ///< of the layout that the permits are of
  Program program_;
  std::set<PodKey> cut_;
};

}  // namespace multinet::policy
