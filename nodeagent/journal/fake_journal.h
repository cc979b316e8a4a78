// A journal in memory that fails when it is told to.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "lib/async/fake_hang.h"
#include "nodeagent/journal/journal.h"

namespace multinet::agent::journal {

/// Answers on the caller's thread, or when disk.release() is called. Not thread-safe.
class FakeJournal final : public Journal {
 public:
  std::map<IntentId, Record> records;
  bool lost = false;
  std::optional<Error> error;      ///< while set, every call fails with it
  int synced = 0;                  ///< how many calls needed a sync
  std::optional<Error> syncError;  ///< while set, what needs a sync is written and fails with it
  bool onlySyncsHang = false;      ///< then what needs none is answered while the disk hangs
  async::FakeHang disk;            ///< what is written is there at once, what is answered may hang

  void load(async::Answer<Loaded> done) override {
    if (error.has_value()) return done(fail(*error));
    Loaded loaded;
    loaded.lost = lost;
    for (const auto& [id, record] : records) loaded.records.push_back(record);
    done(std::move(loaded));
  }
  void put(Record record, Durability durability, async::Answer<void> done) override {
    if (error.has_value()) return done(fail(*error));
    if (durability == Durability::Synced) ++synced;
    const IntentId id = record.id;
    records.insert_or_assign(id, std::move(record));
    if (durability == Durability::Synced && syncError) return done(fail(*syncError));
    if (onlySyncsHang && durability == Durability::Relaxed) return done({});
    disk.pass([done = std::move(done)] { done({}); });
  }
  void note(Record record, async::Answer<void> done) override {
    put(std::move(record), Durability::Relaxed, std::move(done));
  }
  void erase(IntentId id, async::Answer<void> done) override {
    if (error.has_value()) return done(fail(*error));
    records.erase(id);
    done({});
  }
};

}  // namespace multinet::agent::journal
