// A small sqlite database: write-ahead log, checked at open, migrated by number.
//
// The schema belongs to who uses it. One connection, one thread at a time. Errors say what was
// tried, on which file, and what sqlite and the disk said: a full disk is ResourceExhausted, a
// read-only one FailedPrecondition, a broken file DataLoss.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace multinet::store {

/// A prepared statement. Bind from 1, step, read from 0. Must not outlive its database.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, std::int64_t number);
  /// True where a row is there to read, false at the end.
  [[nodiscard]] Result<bool> step();
  /// Steps to the end and makes the statement ready for the next use.
  [[nodiscard]] Status run();
  /// Forgets rows and bindings.
  void reset();
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t number(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, sqlite3_stmt* statement);
  sqlite3* database_;
  sqlite3_stmt* statement_;
};

/// What a commit promises. A relaxed one survives the process, not the power.
enum class Durability { Synced, Relaxed };

/// What open() found on the disk.
enum class Found { Existing, Nothing, Corrupt };

class Database {
 public:
  struct Opened;

  /// Opens or makes `path` and runs `migrations` from the file's version on (SQL scripts; the
  /// version is how many of them ran). A corrupt file is moved aside to `path.corrupt-<time>` and a
  /// new one made. A file written by a newer program is FailedPrecondition/NewerSchema, untouched,
  /// unless its version is at most `readableAhead` beyond ours.
  [[nodiscard]] static Result<Opened> open(const std::string& path,
                                           const std::vector<std::string>& migrations,
                                           std::int64_t readableAhead = 1);

  /// Puts the file and its log out of the way, to the path that is returned: `path`, `why` and the
  /// time; nothing where there is none. No database may be open on it.
  [[nodiscard]] static Result<std::string> moveAside(const std::string& path,
                                                     std::string_view why = "corrupt");

  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  /// One or more statements without results.
  [[nodiscard]] Status execute(const std::string& sql);
  [[nodiscard]] Status begin(Durability durability);
  [[nodiscard]] Status commit();
  /// Undoes an open transaction; nothing to do without one.
  void rollback();
  /// Copies the log into the file; when idle. DataLoss where the file turns out to be broken.
  [[nodiscard]] Status checkpoint();

 private:
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  [[nodiscard]] static Result<Database> connect(const std::string& path);
  [[nodiscard]] Status migrate(const std::vector<std::string>& migrations,
                               std::int64_t readableAhead);
  sqlite3* handle_ = nullptr;
  std::string path_;
  Durability durability_ = Durability::Synced;  ///< of the connection now
};

struct Database::Opened {
  Database database;
  Found found = Found::Existing;
  /// Where a corrupt file went.
  std::string movedTo;
};

}  // namespace multinet::store
