// The informers of all kinds that the controller looks at.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "controller/world/world.h"
#include "lib/kube/informer.h"

namespace multinet::controller {

/// Of one kind: its informer, and which of its objects changed since they were last looked at.
template <class T>
class Cache {
 public:
  Cache(kube::Client& client, const std::function<void()>& changed);

  /// Tells the world of all objects once the first list is whole, then of each that changed. The
  /// world's thread.
  void drainInto(World& world, BootTime time);
  [[nodiscard]] kube::Informer<T>& informer() { return informer_; }
  [[nodiscard]] const kube::Informer<T>& informer() const { return informer_; }

 private:
  void note(const T& object);

  std::mutex mutex_;
  bool listed_ = false;  ///< the world has had the first list, and is told of changes
  std::unordered_set<k8s::ObjectKey> noted_;
  std::function<void()> changed_;
  kube::Informer<T> informer_;  // last: its thread uses all of the above
};

/// Started once, stopped once. `changed` is called on the watches' threads and must not block; not
/// where an object has another version but is the same to us.
class Caches {
 public:
  Caches(kube::Client& client, const std::function<void()>& changed);

  void start();
  void stop();
  /// Names the first cache that isn't filled yet. An optional kind's is waited for by nobody.
  [[nodiscard]] Status synced() const;
  /// As above, and the first of which the server has said nothing for longer than `oldest`.
  [[nodiscard]] Status ready(Duration oldest) const;
  /// How long ago the server last said something of a resource.
  [[nodiscard]] std::map<std::string, Duration> ages() const;
  /// All that are known of one kind.
  template <class T>
  [[nodiscard]] std::vector<std::shared_ptr<const T>> list() const {
    return std::get<std::unique_ptr<Cache<T>>>(kinds_.caches)->informer().list();
  }
  /// Without waiting for the server.
  void drainInto(World& world, BootTime time);

 private:
  template <class... T>
  struct Of {
    Of(kube::Client& client, const std::function<void()>& changed)
        : caches(std::make_unique<Cache<T>>(client, changed)...) {}
    template <class Use>
    void each(const Use& use) const {
      std::apply([&](const auto&... cache) { (use(*cache), ...); }, caches);
    }
    std::tuple<std::unique_ptr<Cache<T>>...> caches;
  };

  ForKinds<Of> kinds_;
};

}  // namespace multinet::controller
