// What the agent has promised and done, on disk before any side effect.
#pragma once

#include <vector>

#include "lib/async/answer.h"
#include "lib/store/database.h"
#include "nodeagent/journal/record.h"

namespace multinet::agent::journal {

using store::Durability;

/// What stood in the journal at start.
struct Loaded {
  std::vector<Record> records;
  /// True where there was no journal or it, or a record, couldn't be read: sandboxes may be
  /// missing.
  bool lost = false;
  /// Made with the journal and kept for as long as it: a copy of the disk has it too.
  std::string id{};
  /// Not empty: what stood there was the journal of the node of this name, and was put aside.
  std::string putAsideOf{};
};

/// Any thread may call; nothing blocks. Answers come in order, on a journal's thread.
/// After an error nothing of the call was written; but for Unavailable/JournalSlow: a disk that
/// hangs may still take it, in order, when it goes on.
class Journal {
 public:
  virtual ~Journal() = default;
  /// Opens the file if need be and reads it whole. May be tried again after an error; calls before
  /// the first success fail with FailedPrecondition/JournalClosed or with why it couldn't open.
  virtual void load(async::Answer<Loaded> done) = 0;
  /// Writes or replaces the record of that intent.
  virtual void put(Record record, Durability durability, async::Answer<void> done) = 0;
  /// Keeps a new record beyond this process, though not beyond a power cut, and sooner than put()
  /// does: also before the call returns. Who calls puts the record as well. Where the disk fails or
  /// hangs it answers as put() does.
  virtual void note(Record record, async::Answer<void> done) = 0;
  /// Forgets an intent.
  virtual void erase(IntentId id, async::Answer<void> done) = 0;
};

}  // namespace multinet::agent::journal
