// Records in memory that outlive the process: for what must be kept sooner than a disk can say so.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/ids.h"
#include "lib/base/result.h"

namespace multinet::agent::journal {

/// A directory with a file for each record. A power cut takes all of them along. Nothing here waits
/// for a disk. Any thread; one at a time for a record.
class Notes {
 public:
  struct Note {
    std::string id;
    std::string text;
  };

  /// Makes the directory if need be. FailedPrecondition/NotInMemory where it isn't in memory
  /// (tmpfs): a write could hang there with the disk.
  [[nodiscard]] static Result<Notes> open(const std::string& directory);

  /// Writes a record that isn't there yet; a directory that somebody removed is made again. After
  /// an error nothing of it is there.
  [[nodiscard]] Status keep(const IntentId& id, std::string_view text) const;
  /// Removes it, if it is there.
  void forget(const IntentId& id) const;
  /// All that are there; text that can't be read is empty.
  [[nodiscard]] Result<std::vector<Note>> all() const;

 private:
  explicit Notes(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
};

}  // namespace multinet::agent::journal
