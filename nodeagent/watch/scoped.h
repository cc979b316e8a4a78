// Watches of one kind, one for each scope (a namespace) that this node needs something of: of the
// others nothing is sent here.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/kube/informer.h"

namespace multinet::agent::watch {

template <kube::HasKind T>
class Scoped {
 public:
  using One = std::shared_ptr<const kube::Informer<T>>;
  /// Narrows the options of a watch to a scope.
  using Narrow = std::function<void(kube::WatchOptions& options, const std::string& scope)>;

  /// Gives a watch what it has before it starts, an index for one.
  using Prepare = std::function<void(kube::Informer<T>& watch)>;

  /// `client` outlives it.
  Scoped(
      kube::Client& client, kube::WatchOptions options, Narrow narrow, kube::Handler<T> handler,
      Prepare prepare = [](kube::Informer<T>&) {})
      : client_(client),
        options_(std::move(options)),
        narrow_(std::move(narrow)),
        handler_(std::move(handler)),
        prepare_(std::move(prepare)) {}
  ~Scoped() { follow({}); }
  Scoped(const Scoped&) = delete;
  Scoped& operator=(const Scoped&) = delete;

  /// Begins with scopes that are new, and ends those that are missing: their objects aren't told as
  /// deleted, since they aren't. One thread at a time; waits for the ends of watches.
  void follow(const std::set<std::string>& scopes) {
    std::vector<std::shared_ptr<kube::Informer<T>>> ended;
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(watches_, [&](const auto& one) {
        if (scopes.contains(one.first)) return false;
        ended.push_back(one.second);
        return true;
      });
      for (const std::string& scope : scopes) {
        auto& watch = watches_[scope];
        if (watch != nullptr) continue;
        auto options = options_;
        narrow_(options, scope);
        watch = std::make_shared<kube::Informer<T>>(client_, std::move(options));
        watch->addHandler(handler_);
        prepare_(*watch);
        watch->start();
      }
    }
    for (const auto& one : ended) one->stop();
  }

  /// Null where the scope isn't followed. Any thread, as all below.
  [[nodiscard]] One of(const std::string& scope) const {
    const std::lock_guard lock(mutex_);
    const auto found = watches_.find(scope);
    return found == watches_.end() ? nullptr : found->second;
  }
  /// When the server last said something, of the scope that it said the least of; nothing where
  /// none is followed, or one hasn't heard anything yet.
  [[nodiscard]] auto heardAt() const {
    const std::lock_guard lock(mutex_);
    decltype(kube::WatchHealth::heardAt) oldest;
    for (const auto& [scope, watch] : watches_) {
      const auto heard = watch->health().heardAt;
      if (!heard) return heard;
      oldest = oldest ? std::min(*oldest, *heard) : *heard;
    }
    return oldest;
  }

 private:
  kube::Client& client_;
  const kube::WatchOptions options_;
  const Narrow narrow_;
  const kube::Handler<T> handler_;
  const Prepare prepare_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<kube::Informer<T>>> watches_;
};

}  // namespace multinet::agent::watch
