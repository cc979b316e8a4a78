// The way of one pod, as a table: each step, what takes it back, and the names of both.
#pragma once

#include <span>
#include <string_view>

namespace multinet::agent::sandbox {

class RunCommand;
class Rollback;

/// A step begins when the one before has ended. What one did is taken back in reverse order.
struct Step {
  /// In traces; its failpoints are `sandbox.<name>.before` and `.after`.
  std::string_view name;
  void (RunCommand::*run)();
  /// What a call waits for meanwhile, told to people where it waits too long; empty: for what the
  /// step before did.
  std::string_view waitsFor{};
  /// `sandbox.<undoName>.before` and `.after`.
  std::string_view undoName{};
  /// May find nothing to do. nullptr: there never is.
  void (Rollback::*undo)() = nullptr;
};

/// All steps, in order.
[[nodiscard]] std::span<const Step> way();

/// Passes the failpoint `sandbox.<name>.<when>`.
void passPlace(std::string_view name, std::string_view when);

}  // namespace multinet::agent::sandbox
