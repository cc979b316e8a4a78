// The journal in a sqlite file, on a thread of its own.
//
// Group commit: what arrives while a commit runs goes into the next one, so that a burst of
// sandboxes costs few syncs. A call that needs no sync rides along with those that do.
//
// A note is a file in memory until a commit has written the record; a start reads what a process
// that was killed left there.
//
// What stands in the file is known in memory too. A file that turns out to be broken, cut short or
// replaced while it is open is moved aside and written anew from there.
#pragma once

#include <memory>
#include <string>

#include "lib/async/lane.h"
#include "lib/base/ids.h"
#include "nodeagent/journal/journal.h"

namespace multinet::agent::journal {

struct JournalOptions {
  /// Whose journal it is, by the name of the Node. One that says another's is put aside: it came
  /// with a copy of that node's disk, or from before this machine got its name. One that says none,
  /// as before there was such a word, is taken as this node's. Empty: any is read.
  NodeName node{};
  /// A disk that has taken nothing for so long hangs: calls are answered with JournalSlow, those
  /// after them at once, until it goes on.
  Duration patience = std::chrono::seconds(2);
  const Clock* clock = &kSystemClock;  ///< outlives the journal
  /// Where notes are kept until the file has them; in memory (tmpfs), and this journal's alone.
  /// Empty, or not in memory: a note waits for the file.
  std::string notes{};
};

class SqliteJournal final : public Journal {
 public:
  /// Nothing is opened before load(). Beside `path` a lock file keeps a second agent out.
  explicit SqliteJournal(std::string path, JournalOptions options = {});
  /// Commits what waits, then joins the thread.
  ~SqliteJournal() override;

  void load(async::Answer<Loaded> done) override;
  void put(Record record, Durability durability, async::Answer<void> done) override;
  void note(Record record, async::Answer<void> done) override;
  void erase(IntentId id, async::Answer<void> done) override;

  /// Its thread, for a watchdog.
  [[nodiscard]] const async::Lane& lane() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::agent::journal
