// Definitions of Store; included by store.h only.
#pragma once

#include <chrono>
#include <utility>

#include "lib/kube/store.h"

namespace multinet::kube {
namespace detail {

template <class T>
[[nodiscard]] const std::string& uidOf(const T& object) {
  if constexpr (requires { object.metadata; }) {
    return object.metadata.uid;
  } else {
    return object.uid;
  }
}

}  // namespace detail

template <HasKind T>
typename Store<T>::Ptr Store<T>::decode(const Stamp& stamp, const simdjson::dom::element& object) {
  auto decoded = KindTraits<T>::decode(object);
  if (decoded.has_value() &&
      (k8s::nameOf(*decoded) != k8s::nameOf(stamp.key) || detail::uidOf(*decoded) != stamp.uid)) {
    decoded = fail(Code::InvalidArgument, "OtherIdentity",
                   "read object: its namespace, name or UID was read as another");
  }
  if (!decoded.has_value()) {
    {
      const std::lock_guard lock(mutex_);
      ++undecodable_;
    }
    log::warn("left out an object that can't be read", {{"kind", KindTraits<T>::kKind.kind},
                                                        {"object", stamp.key.str()},
                                                        {"revision", stamp.revision},
                                                        {"error", decoded.error()}});
    return nullptr;
  }
  if (keep_ && !keep_(*decoded)) return nullptr;
  return std::make_shared<const T>(std::move(*decoded));
}

template <HasKind T>
typename Store<T>::Ptr Store<T>::known(const Stamp& stamp) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(stamp.key);
  const bool same = found != entries_.end() && found->revision == stamp.revision &&
                    detail::uidOf(**found) == stamp.uid;
  return same ? found->object : nullptr;
}

template <HasKind T>
bool Store<T>::holds(const Entry& entry) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(*entry);
  return found != entries_.end() && found->object == entry.object;
}

template <HasKind T>
void Store<T>::forgetList() {
  incoming_.clear();
  leftOut_.clear();
}

template <HasKind T>
void Store<T>::index(const Ptr& object) {
  for (auto& [name, index] : indexes_) {
    for (const auto& key : index.keysOf(*object)) index.members[key].insert(object);
  }
}

template <HasKind T>
void Store<T>::unindex(const Ptr& object) {
  for (auto& [name, index] : indexes_) {
    for (const auto& key : index.keysOf(*object)) {
      const auto found = index.members.find(key);
      if (found == index.members.end()) continue;
      found->second.erase(object);
      if (found->second.empty()) index.members.erase(found);
    }
  }
}

template <HasKind T>
void Store<T>::put(Entry entry) {
  const Ptr now = entry.object;
  Ptr old;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(*now); found != entries_.end()) {
      old = found->object;
      unindex(old);
      entries_.erase(found);
    }
    index(now);
    entries_.insert(std::move(entry));
  }
  // Another UID under the same name: the deletion in between went unseen.
  if (old && detail::uidOf(*old) != detail::uidOf(*now)) {
    for (const auto& handler : handlers_) {
      if (handler.deleted) handler.deleted(*old);
    }
    old = nullptr;
  }
  for (const auto& handler : handlers_) {
    if (old && handler.updated) handler.updated(*old, *now);
    if (!old && handler.added) handler.added(*now);
  }
}

template <HasKind T>
void Store<T>::drop(const ObjectKey& key, Ptr last) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    unindex(found->object);
    if (!last) last = found->object;
    entries_.erase(found);
  }
  for (const auto& handler : handlers_) {
    if (handler.deleted) handler.deleted(*last);
  }
}

template <HasKind T>
void Store<T>::dropAll(const std::vector<Ptr>& objects) {
  for (const auto& object : objects) {
    const k8s::NameView name = k8s::nameOf(*object);
    drop({std::string(name.nameSpace), std::string(name.name)}, nullptr);
  }
}

template <HasKind T>
void Store<T>::retain(const std::function<bool(const T&)>& keep) {
  std::vector<Ptr> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (!keep(*entry)) gone.push_back(entry.object);
    }
  }
  dropAll(gone);
}

template <HasKind T>
void Store<T>::listItem(const simdjson::dom::element& object) {
  const auto stamp = stampOf(object);
  if (!stamp.has_value()) {
    log::warn("left out an object without identity", {{"error", stamp.error()}});
    return;
  }
  // One that didn't change isn't kept twice while the list comes.
  auto decoded = known(*stamp);
  if (!decoded) decoded = decode(*stamp, object);
  // A page may repeat an object that changed between pages; the newest counts.
  const auto out = leftOut_.find(stamp->key);
  if (out != leftOut_.end() && out->second >= stamp->revision) return;
  const auto found = incoming_.find(stamp->key);
  if (found != incoming_.end()) {
    if (found->revision >= stamp->revision) return;
    incoming_.erase(found);
  }
  if (decoded) {
    incoming_.insert({std::move(decoded), stamp->revision});
  } else {
    leftOut_[stamp->key] = stamp->revision;
  }
}

template <HasKind T>
void Store<T>::listEnd() {
  Entries incoming = std::exchange(incoming_, {});
  forgetList();
  std::vector<Ptr> gone;
  {
    const std::lock_guard lock(mutex_);
    graves_.clear();
    for (const Entry& entry : entries_) {
      if (!incoming.contains(*entry)) gone.push_back(entry.object);
    }
  }
  dropAll(gone);
  // Each goes out of the one set before it comes into the other.
  while (!incoming.empty()) {
    Entry entry = std::move(incoming.extract(incoming.begin()).value());
    if (!holds(entry)) put(std::move(entry));
  }
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = !std::exchange(synced_, true);
  }
  changed_.notify_all();
  if (!first) return;
  for (const auto& handler : handlers_) {
    if (handler.synced) handler.synced();
  }
}

template <HasKind T>
void Store<T>::event(EventType type, const simdjson::dom::element& object) {
  const auto stamp = stampOf(object);
  if (!stamp.has_value()) {
    log::warn("left out an event without identity", {{"error", stamp.error()}});
    return;
  }
  bool namesake = false;
  {
    const std::lock_guard lock(mutex_);
    if (isOld(*stamp, type)) return;
    const auto found = entries_.find(stamp->key);
    namesake = found != entries_.end() && detail::uidOf(**found) != stamp->uid;
    if (type == EventType::Deleted) bury(*stamp);
  }
  auto decoded = decode(*stamp, object);
  // What became filtered out or unreadable is gone for those who read the cache.
  if (type == EventType::Deleted || !decoded) {
    drop(stamp->key, namesake ? nullptr : std::move(decoded));
  } else {
    put({std::move(decoded), stamp->revision});
  }
}

template <HasKind T>
bool Store<T>::isOld(const Stamp& stamp, EventType type) const {
  const auto grave = graves_.find(stamp.key);
  if (grave != graves_.end() && stamp.revision <= grave->second) return true;
  const auto found = entries_.find(stamp.key);
  if (found == entries_.end()) return false;
  const auto known = found->revision;
  return stamp.revision < known || (stamp.revision == known && type != EventType::Deleted);
}

template <HasKind T>
void Store<T>::bury(const Stamp& stamp) {
  constexpr std::size_t kMostGraves = 4096;
  if (graves_.size() >= kMostGraves) graves_.clear();
  graves_[stamp.key] = stamp.revision;
}

template <HasKind T>
bool Store<T>::synced() const {
  const std::lock_guard lock(mutex_);
  return synced_;
}

template <HasKind T>
bool Store<T>::waitSynced(Duration deadline) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, deadline, [this] { return synced_; });
}

template <HasKind T>
typename Store<T>::Ptr Store<T>::get(const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : found->object;
}

template <HasKind T>
std::vector<typename Store<T>::Ptr> Store<T>::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Ptr> objects;
  objects.reserve(entries_.size());
  for (const Entry& entry : entries_) objects.push_back(entry.object);
  return objects;
}

template <HasKind T>
std::vector<typename Store<T>::Ptr> Store<T>::byIndex(const std::string& index,
                                                      const std::string& key) const {
  const std::lock_guard lock(mutex_);
  std::vector<Ptr> objects;
  const auto found = indexes_.find(index);
  if (found == indexes_.end()) return objects;
  const auto members = found->second.members.find(key);
  if (members == found->second.members.end()) return objects;
  objects.assign(members->second.begin(), members->second.end());
  return objects;
}

template <HasKind T>
std::size_t Store<T>::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

template <HasKind T>
std::uint64_t Store<T>::undecodable() const {
  const std::lock_guard lock(mutex_);
  return undecodable_;
}

}  // namespace multinet::kube
