#include "lib/store/database.h"

#include <sqlite3.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "lib/base/fd.h"

namespace multinet::store {
namespace {

constexpr int kBusyMilliseconds = 2000;

/// sqlite says only that it can't open a file: here its log.
bool lacksInodes(sqlite3* handle) {
  const char* file = sqlite3_db_filename(handle, "main");
  if (file == nullptr) return false;
  struct statvfs there{};
  const std::string directory = std::filesystem::path(file).parent_path().string();
  return ::statvfs(directory.c_str(), &there) == 0 && there.f_files > 0 && there.f_favail == 0;
}

Error failure(sqlite3* handle, std::string_view what) {
  const int code = handle == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(handle);
  const std::string detail = std::string(what) + ": " +
                             (handle == nullptr ? "out of memory" : sqlite3_errmsg(handle)) +
                             " (sqlite " + std::to_string(code) + ")";
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {Code::ResourceExhausted, "DiskFull", detail + "; free space on its disk"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {Code::FailedPrecondition, "DiskReadOnly", detail + "; make its directory writable"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {Code::DataLoss, "Corrupt", detail};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Code::Unavailable, "Busy", detail + "; another process holds the file"};
    case SQLITE_CANTOPEN:
      if (lacksInodes(handle)) {
        return {Code::ResourceExhausted, "DiskFull",
                detail + ": its file system has no inode left (df -i); remove files there"};
      }
      return {Code::FailedPrecondition, "CannotOpen", detail};
    default:
      return {Code::Internal, "StoreFailed", detail};
  }
}

Status checkIntegrity(Database& database) {
  MULTINET_TRY(Statement check, database.prepare("PRAGMA quick_check(1)"));
  MULTINET_TRY(const bool row, check.step());
  const std::string said = row ? check.text(0) : "no answer";
  if (said == "ok") return {};
  return fail(Code::DataLoss, "Corrupt", "check database: " + said);
}

}  // namespace

Statement::Statement(sqlite3* database, sqlite3_stmt* statement)
    : database_(database), statement_(statement) {}
Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  return *this;
}
Statement::~Statement() {
  sqlite3_finalize(statement_);
}

Statement& Statement::bind(int index, std::string_view text) {
  sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind(int index, std::int64_t number) {
  sqlite3_bind_int64(statement_, index, number);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(failure(database_, "run statement"));
}

Status Statement::run() {
  Status outcome;
  while (true) {
    auto row = step();
    if (row.has_value() && *row) continue;
    if (!row.has_value()) outcome = fail(std::move(row).error());
    break;
  }
  reset();
  return outcome;
}

void Statement::reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

std::string Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}
std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)),
      path_(std::move(other.path_)),
      durability_(other.durability_) {}
Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(path_, other.path_);
  std::swap(durability_, other.durability_);
  return *this;
}
Database::~Database() {
  sqlite3_close_v2(handle_);
}

Result<Database> Database::connect(const std::string& path) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Database database(handle, path);
  if (code != SQLITE_OK) return fail(failure(handle, "open database " + path));
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  MULTINET_CHECK(database.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0"));
  MULTINET_CHECK(checkIntegrity(database));
  return database;
}

Result<Database::Opened> Database::open(const std::string& path,
                                        const std::vector<std::string>& migrations,
                                        std::int64_t readableAhead) {
  const bool existed = ::access(path.c_str(), F_OK) == 0;
  Found found = existed ? Found::Existing : Found::Nothing;
  std::string movedTo;
  auto database = connect(path);
  if (!database.has_value() && database.error().code == Code::DataLoss) {
    MULTINET_TRY(movedTo, moveAside(path));
    found = Found::Corrupt;
    database = connect(path);
  }
  if (!database.has_value()) return fail(std::move(database).error());
  MULTINET_CHECK(database->migrate(migrations, readableAhead));
  return Opened{std::move(*database), found, movedTo};
}

Result<std::string> Database::moveAside(const std::string& path, std::string_view why) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string to =
      path + "." + std::string(why) + "-" +
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    if (::access((path + suffix).c_str(), F_OK) != 0) continue;
    if (std::rename((path + suffix).c_str(), (to + suffix).c_str()) != 0) {
      return fail(errnoError("move database " + path + suffix + " aside", errno));
    }
  }
  return to;
}

Status Database::migrate(const std::vector<std::string>& migrations, std::int64_t readableAhead) {
  std::int64_t version = 0;
  {
    MULTINET_TRY(Statement query, prepare("PRAGMA user_version"));
    MULTINET_CHECK(query.step());
    version = query.number(0);
  }
  const auto newest = static_cast<std::int64_t>(migrations.size());
  if (version > newest + readableAhead) {
    return fail(Code::FailedPrecondition, "NewerSchema",
                "open database " + path_ + ": its version is " + std::to_string(version) +
                    ", this program reads up to " + std::to_string(newest + readableAhead) +
                    "; install the newer program again");
  }
  for (; version < newest; ++version) {
    MULTINET_CHECK(begin(Durability::Synced));
    auto done = execute(migrations[static_cast<std::size_t>(version)] +
                        ";PRAGMA user_version=" + std::to_string(version + 1));
    if (done.has_value()) done = commit();
    if (!done.has_value()) {
      rollback();
      return fail(done.error().within("migrate database " + path_));
    }
  }
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) !=
      SQLITE_OK) {
    return fail(failure(handle_, "prepare statement on " + path_));
  }
  return Statement(handle_, statement);
}

Status Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return fail(failure(handle_, "write database " + path_));
  }
  return {};
}

Status Database::begin(Durability durability) {
  if (durability != durability_) {
    // In WAL mode NORMAL leaves out the sync of the log at commit; order is kept all the same.
    MULTINET_CHECK(execute(durability == Durability::Synced ? "PRAGMA synchronous=FULL"
                                                            : "PRAGMA synchronous=NORMAL"));
    durability_ = durability;
  }
  return execute("BEGIN IMMEDIATE");
}
Status Database::commit() {
  return execute("COMMIT");
}
void Database::rollback() {
  if (sqlite3_get_autocommit(handle_) == 0) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}
Status Database::checkpoint() {
  const int code =
      sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  return fail(failure(handle_, "checkpoint database " + path_));
}

}  // namespace multinet::store
