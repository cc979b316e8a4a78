// What an API server keeps, in memory: objects, one revision counter, the history that watches
// read.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace multinet::testing {

using Json = nlohmann::json;

/// A path of the API taken apart: `/apis/g/v/namespaces/ns/plural/name/status`.
struct ResourcePath {
  std::string collection;  ///< `/apis/g/v/plural`, without namespace
  std::string nameSpace;
  std::string name;
  std::string subresource;
  /// Empty collection where `path` is no resource.
  [[nodiscard]] static ResourcePath parse(std::string_view path);
};

/// An HTTP status and a body, which for a failure is a Status object.
struct StoreAnswer {
  int status = 200;
  Json body;
};
[[nodiscard]] StoreAnswer failure(int status, const std::string& reason,
                                  const std::string& message);

struct StoreEvent {
  std::uint64_t revision = 0;
  std::string type;  ///< ADDED, MODIFIED, DELETED
  ResourcePath path;
  std::shared_ptr<const Json> object;  ///< of one that was deleted its last state
  std::shared_ptr<const Json> before;  ///< null: it wasn't there
};

/// Thread-safe.
class ObjectStore {
 public:
  /// Kinds of these collections ignore status in writes of the object and the rest in writes of
  /// `/status`.
  std::set<std::string> statusSubresources;

  [[nodiscard]] StoreAnswer get(const ResourcePath& path) const;
  /// Items in order of namespace and name; `resume` is the last page's token.
  [[nodiscard]] StoreAnswer list(const ResourcePath& path, const std::string& labels,
                                 const std::string& fields, std::size_t limit,
                                 const std::string& resume) const;
  StoreAnswer create(const ResourcePath& path, Json object);
  StoreAnswer update(const ResourcePath& path, Json object);
  /// Merge patch; with `createIfAbsent` as server-side apply does (fields aren't tracked by owner).
  enum class IfAbsent { Fail, Create };
  StoreAnswer patch(const ResourcePath& path, const Json& patch, IfAbsent ifAbsent);
  StoreAnswer remove(const ResourcePath& path, const Json& options);

  /// Events after `revision`, waiting at most `limit` for the first; false when they are compacted.
  bool eventsAfter(std::uint64_t revision, std::vector<StoreEvent>& events,
                   std::chrono::milliseconds limit) const;
  [[nodiscard]] std::uint64_t revision() const;
  /// Forgets the history up to now: older watches get 410.
  void compact();
  /// As after a restore from a backup: the counter is put to `revision`, the history is gone.
  void goBackTo(std::uint64_t revision);

  [[nodiscard]] static bool matches(const Json& object, const std::string& labels,
                                    const std::string& fields);

 private:
  using Objects = std::map<std::pair<std::string, std::string>, Json>;

  StoreAnswer commit(const std::string& type, const ResourcePath& path, Json object);
  Json* find(const ResourcePath& path);
  StoreAnswer replace(const ResourcePath& path, Json object);
  StoreAnswer createLocked(const ResourcePath& path, Json object);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, Objects> collections_;
  std::vector<StoreEvent> history_;
  std::uint64_t revision_ = 100;
  std::uint64_t compacted_ = 0;
  std::uint64_t uids_ = 0;
};

}  // namespace multinet::testing
