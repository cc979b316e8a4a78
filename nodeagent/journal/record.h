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

/// Why a record isn't believed. Its sandbox runs on, holds its addresses and gets no container.
enum class Doubt : std::uint8_t {
  None,
  Unseen,       ///< nobody could look into its namespace yet
  NoLinks,      ///< it runs and asks for networks, and the kernel has no link of ours in it
  Unconfirmed,  ///< the kernel has links; the API has no set of it yet, or one that says otherwise
};
/// `Unseen`, `NoLinks`, `Unconfirmed`; empty for None.
[[nodiscard]] std::string_view name(Doubt doubt);

struct Record {
  IntentId id;
  PodRef pod;
  SandboxId sandbox;  ///< empty until the runtime has said it
  State state = State::Intent;
  std::string bootId;  ///< of the boot in which the links were made, or of `quarantinedUntil`
  /// Plans and, once attached, what became of them. Their addresses are held until the record goes.
  std::vector<InterfaceStatus> interfaces;
  WallTime changedAt{};
  /// For Detached, and for a Rollback whose addresses are released already: nobody gets them
  /// before, by the clock of the boot `bootId`.
  BootTime quarantinedUntil{};
  Doubt doubt = Doubt::None;
  /// Once: what is left of it shows as NOTREADY until it is gone.
  bool rollbackFailed = false;
  std::string message;  ///< why it was rolled back, or is doubted
  /// JSON of what a newer program wrote and this one doesn't know: it is written again.
  std::string unknown;
  bool operator==(const Record&) const = default;
};

/// True where nothing is held any more: its addresses rest until `quarantinedUntil`.
[[nodiscard]] bool isReleased(const Record& record);

/// How long the addresses of a released record still rest: never longer than `quarantine`, and all
/// of it where the record is of another boot, whose clock says nothing here. The wall clock has no
/// say: it may be set at any time.
[[nodiscard]] Duration quarantineLeft(const Record& record, const std::string& bootId, BootTime now,
                                      Duration quarantine);

/// JSON with a format number. A reader takes its own format, the one before and the one after;
/// what it doesn't know it keeps in `unknown`, what is missing has its default. An attached record
/// without interfaces is in doubt whatever it says.
[[nodiscard]] std::string encode(const Record& record);
/// DataLoss/BadRecord says what can't be read.
[[nodiscard]] Result<Record> decode(std::string_view text);

}  // namespace multinet::agent::journal
