// The journal in a sqlite file, on a thread of its own.
//
// Group commit: what arrives while a commit runs goes into the next one, so that a burst of
// sandboxes costs few syncs. A call that needs no sync rides along with those that do.
#pragma once

#include <memory>
#include <string>

#include "nodeagent/journal/journal.h"

namespace multinet::agent::journal {

class SqliteJournal final : public Journal {
 public:
  /// Nothing is opened before load(). Beside `path` a lock file keeps a second agent out.
  explicit SqliteJournal(std::string path);
  /// Commits what waits, then joins the thread.
  ~SqliteJournal() override;

  void load(std::function<void(Result<Loaded>)> done) override;
  void put(Record record, Durability durability, std::function<void(Status)> done) override;
  void erase(IntentId id, std::function<void(Status)> done) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::agent::journal
