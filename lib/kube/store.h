// The cache inside an informer, without its watch: takes lists and events in any order that a
// server, a proxy or a stale replica may send them, and tells handlers what changed.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/base/log.h"
#include "lib/k8s/by_name.h"
#include "lib/kube/watch.h"

namespace multinet::kube {

/// Any of them may be empty. `deleted` gets the last state that is known. `synced` comes once,
/// after the first whole list: it may have been empty, and then nothing else tells that waiting is
/// over.
template <class T>
struct Handler {
  std::function<void(const T& object)> added{};
  std::function<void(const T& old, const T& now)> updated{};
  std::function<void(const T& last)> deleted{};
  std::function<void()> synced{};
};

/// Identity and age of an object, read from its JSON.
struct Stamp {
  ObjectKey key;
  std::string uid;
  std::uint64_t revision = 0;
};
/// A resourceVersion as a number (comparable by KEP-5504); 0 where it is none.
[[nodiscard]] std::uint64_t revisionOf(std::string_view text);
/// InvalidArgument when name, uid or a numeric resourceVersion is missing.
[[nodiscard]] Result<Stamp> stampOf(const simdjson::dom::element& object);

/// Written by one thread (the watch's), read by any. Nothing is kept beside an object but its
/// revision: it is found by its own namespace and name, which `decode` therefore reads, and its
/// UID.
template <HasKind T>
class Store {
 public:
  /// Snapshots: an object never changes once it is out, and outlives its removal.
  using Ptr = std::shared_ptr<const T>;
  using IndexFunction = std::function<std::vector<std::string>(const T&)>;

  void addHandler(Handler<T> handler) { handlers_.push_back(std::move(handler)); }
  void addIndex(const std::string& index, IndexFunction keysOf) {
    indexes_[index].keysOf = std::move(keysOf);
  }
  void setFilter(std::function<bool(const T&)> keep) { keep_ = std::move(keep); }

  void listBegin() { forgetList(); }
  void listItem(const simdjson::dom::element& object);
  void listEnd();
  void listAborted() { forgetList(); }
  void event(EventType type, const simdjson::dom::element& object);
  /// What isn't to be kept any more is told as deleted.
  void retain(const std::function<bool(const T&)>& keep);

  [[nodiscard]] bool synced() const;
  [[nodiscard]] bool waitSynced(Duration deadline) const;
  [[nodiscard]] Ptr get(const ObjectKey& key) const;
  [[nodiscard]] std::vector<Ptr> list() const;
  [[nodiscard]] std::vector<Ptr> byIndex(const std::string& index, const std::string& key) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::uint64_t undecodable() const;

 private:
  struct Entry {
    Ptr object;  ///< never null
    std::uint64_t revision = 0;
    const T& operator*() const { return *object; }
  };
  struct Index {
    IndexFunction keysOf;
    std::unordered_map<std::string, std::unordered_set<Ptr>> members;
  };
  using Entries = k8s::SetByName<Entry>;

  void forgetList();

  /// What is known of that very version; null: it isn't.
  Ptr known(const Stamp& stamp) const;
  [[nodiscard]] bool holds(const Entry& entry) const;
  /// Null where the object is filtered out or can't be decoded.
  Ptr decode(const Stamp& stamp, const simdjson::dom::element& object);
  /// Doubled or out of order: what is known is as new. Under the lock.
  bool isOld(const Stamp& stamp, EventType type) const;
  void bury(const Stamp& stamp);
  void put(Entry entry);
  /// `last` is the final state, or null where only the cache knows it.
  void drop(const ObjectKey& key, Ptr last);
  void dropAll(const std::vector<Ptr>& objects);
  void unindex(const Ptr& object);
  void index(const Ptr& object);

  std::vector<Handler<T>> handlers_;
  std::function<bool(const T&)> keep_;
  // Of the list that is coming: what is in it, and the revisions of what is left out of it.
  Entries incoming_;
  std::unordered_map<ObjectKey, std::uint64_t> leftOut_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Entries entries_;
  std::map<std::string, Index> indexes_;
  /// Revisions of the deletions since the last list, so that a late event raises no ghost.
  std::unordered_map<ObjectKey, std::uint64_t> graves_;
  bool synced_ = false;
  std::uint64_t undecodable_ = 0;
};

}  // namespace multinet::kube

#include "lib/kube/store_inl.h"
