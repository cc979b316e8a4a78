// A typed cache of one kind that a watch keeps, and who is told of its changes.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/kube/store.h"
#include "lib/kube/watch.h"

namespace multinet::kube {

/// Reading is thread-safe and never waits for the server. Handlers, indexes and the filter are set
/// before `start`; handlers run on the watch's thread and must not block it: add a key to a queue.
template <HasKind T>
class Informer final : private WatchSink {
 public:
  using Ptr = typename Store<T>::Ptr;

  Informer(Client& client, WatchOptions options)
      : watch_(client.raw(), kindOf<T>(), std::move(options), *this) {}
  ~Informer() override { stop(); }
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  void addHandler(Handler<T> handler) { store_.addHandler(std::move(handler)); }
  /// `keysOf` names what an object is found by, for example its node.
  void addIndex(const std::string& index, typename Store<T>::IndexFunction keysOf) {
    store_.addIndex(index, std::move(keysOf));
  }
  /// Objects for which `keep` is false are as if they weren't there.
  void setFilter(std::function<bool(const T&)> keep) { store_.setFilter(std::move(keep)); }

  void start() { watch_.start(); }
  void stop() { watch_.stop(); }

  /// Another selection than the one it was made with, while it runs: what both have stays, and
  /// isn't listed again.
  struct Other {
    Selection now;
    /// What of it the one before hadn't, all of it; nothing, where it had more.
    std::optional<Selection> added;
    /// Whether an object is selected now; what isn't is told as deleted.
    std::function<bool(const T&)> has;
    /// The cache holds all of it, and no more. On the watch's thread, once; not after `stop`.
    std::function<void()> done;
  };
  /// Any thread; returns at once. Not again before `done`, from which it may be called.
  void select(Other other) {
    Selection now = other.now;
    std::optional<Selection> added = other.added;
    {
      const std::lock_guard lock(mutex_);
      other_ = std::move(other);
    }
    watch_.select(std::move(now), std::move(added));
  }

  /// True once the first whole list is in the cache and its handlers have run.
  [[nodiscard]] bool synced() const { return store_.synced(); }
  /// Unavailable where the cache isn't filled yet (NotSynced), or where the server has said nothing
  /// for longer than `oldest` (CacheOld): what is in it may be long untrue.
  [[nodiscard]] Status ready(Duration oldest) const {
    return readinessOf(kindOf<T>().plural, synced(), watch_.health(), oldest);
  }
  /// Waits at most `deadline`; false if it wasn't synced by then.
  [[nodiscard]] bool waitSynced(Duration deadline) const { return store_.waitSynced(deadline); }

  /// Null if it isn't there.
  [[nodiscard]] Ptr get(const ObjectKey& key) const { return store_.get(key); }
  [[nodiscard]] std::vector<Ptr> list() const { return store_.list(); }
  [[nodiscard]] std::vector<Ptr> byIndex(const std::string& index, const std::string& key) const {
    return store_.byIndex(index, key);
  }
  [[nodiscard]] std::size_t size() const { return store_.size(); }
  [[nodiscard]] WatchHealth health() const { return watch_.health(); }
  /// Objects that couldn't be decoded; each is logged once a version and left out.
  [[nodiscard]] std::uint64_t undecodable() const { return store_.undecodable(); }

 private:
  void listBegin() override { store_.listBegin(); }
  void listItem(const simdjson::dom::element& object) override { store_.listItem(object); }
  void listEnd() override { store_.listEnd(); }
  void listAborted() override { store_.listAborted(); }
  void event(EventType type, const simdjson::dom::element& object) override {
    store_.event(type, object);
  }

  void selected() override {
    Other other;
    {
      const std::lock_guard lock(mutex_);
      other = std::exchange(other_, {});
    }
    store_.retain(other.has);
    other.done();
  }

  Store<T> store_;
  std::mutex mutex_;
  Other other_;  ///< that is under way
  Watch watch_;
};

}  // namespace multinet::kube
