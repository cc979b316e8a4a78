// One intent as it stands in the journal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "nodeagent/model/interface.h"

namespace multinet::agent::journal {

/// Where an intent is on its way. The numbers stand on disk and never change their meaning.
enum class State : std::uint8_t {
  Intent = 1,     ///< interfaces and addresses are decided; the runtime may or may not have heard
  Bound = 2,      ///< the runtime made the sandbox; links may or may not exist
  Attached = 3,   ///< all interfaces are in the pod
  Detaching = 4,  ///< the kubelet is stopping the sandbox
  Detached = 5,   ///< nothing is left but addresses in quarantine
  Rollback = 6,   ///< given up: links, sandbox and addresses are being taken back
};
/// `INTENT`, `BOUND`, ...
[[nodiscard]] std::string_view name(State state);

struct Record {
  IntentId id;
  PodRef pod;
  SandboxId sandbox;  ///< empty until the runtime has said it
  State state = State::Intent;
  std::string bootId;  ///< of the boot in which the links were made
  /// Plans and, once attached, what became of them. Their addresses are held until the record goes.
  std::vector<InterfaceStatus> interfaces;
  WallTime changedAt{};
  /// For Detached: nobody gets the addresses before. A wall clock, since it outlives a boot.
  WallTime quarantineUntil{};
  std::string message;  ///< why it was rolled back
  bool operator==(const Record&) const = default;
};

/// JSON with a format number. A reader takes its own format, the one before and the one after;
/// what it doesn't know it ignores, what is missing has its default.
[[nodiscard]] std::string encode(const Record& record);
/// DataLoss/BadRecord says what can't be read.
[[nodiscard]] Result<Record> decode(std::string_view text);

}  // namespace multinet::agent::journal
