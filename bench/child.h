// A program that runs beside the benchmark, and what it costs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "lib/base/result.h"

namespace multinet::bench {

/// In KiB.
struct ChildMemory {
  long resident = 0;   ///< now
  long anonymous = 0;  ///< of that, what no file holds: neither programs nor libraries
  long highest = 0;    ///< resident, ever
};

/// Ends with this object.
class Child {
 public:
  [[nodiscard]] static Result<Child> start(std::vector<std::string> words);
  ~Child();
  Child(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  Child& operator=(Child&&) = delete;

  /// What all its threads used of processors, the kernel on their behalf too.
  [[nodiscard]] std::chrono::nanoseconds used() const;
  [[nodiscard]] Result<ChildMemory> memory() const;

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = 0;
};

}  // namespace multinet::bench
