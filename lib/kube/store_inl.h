// Definitions of Store; included by store.h only.
#pragma once

#include <chrono>
#include <utility>

#include "lib/kube/store.h"

namespace multinet::kube {

template <HasKind T>
typename Store<T>::Ptr Store<T>::decode(const Stamp& stamp, const simdjson::dom::element& object) {
  auto decoded = KindTraits<T>::decode(object);
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
  const bool same = found != entries_.end() && found->second.stamp.uid == stamp.uid &&
                    found->second.stamp.revision == stamp.revision;
  return same ? found->second.object : nullptr;
}

template <HasKind T>
void Store<T>::index(const Entry& entry) {
  for (auto& [name, index] : indexes_) {
    for (const auto& key : index.keysOf(*entry.object)) index.members[key].insert(entry.stamp.key);
  }
}

template <HasKind T>
void Store<T>::unindex(const Entry& entry) {
  for (auto& [name, index] : indexes_) {
    for (const auto& key : index.keysOf(*entry.object)) {
      const auto found = index.members.find(key);
      if (found == index.members.end()) continue;
      found->second.erase(entry.stamp.key);
      if (found->second.empty()) index.members.erase(found);
    }
  }
}

template <HasKind T>
void Store<T>::put(const Entry& entry) {
  Ptr old;
  bool replaced = false;
  {
    const std::lock_guard lock(mutex_);
    auto [place, isNew] = entries_.try_emplace(entry.stamp.key);
    if (!isNew) {
      old = place->second.object;
      replaced = place->second.stamp.uid != entry.stamp.uid;
      unindex(place->second);
    }
    place->second = entry;
    index(entry);
  }
  // Another UID under the same name: the deletion in between went unseen.
  if (old && replaced) {
    for (const auto& handler : handlers_) {
      if (handler.deleted) handler.deleted(*old);
    }
    old = nullptr;
  }
  for (const auto& handler : handlers_) {
    if (old && handler.updated) handler.updated(*old, *entry.object);
    if (!old && handler.added) handler.added(*entry.object);
  }
}

template <HasKind T>
void Store<T>::drop(const ObjectKey& key, Ptr last) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    unindex(found->second);
    if (!last) last = found->second.object;
    entries_.erase(found);
  }
  for (const auto& handler : handlers_) {
    if (handler.deleted) handler.deleted(*last);
  }
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
  const auto found = incoming_.find(stamp->key);
  if (found != incoming_.end() && found->second.stamp.revision >= stamp->revision) return;
  incoming_[stamp->key] = Entry{*stamp, std::move(decoded)};
}

template <HasKind T>
void Store<T>::listEnd() {
  Entries incoming = std::exchange(incoming_, {});
  std::vector<ObjectKey> gone;
  std::vector<Entry> changed;
  {
    const std::lock_guard lock(mutex_);
    graves_.clear();
    for (const auto& [key, entry] : entries_) {
      const auto found = incoming.find(key);
      if (found == incoming.end() || !found->second.object) gone.push_back(key);
    }
    for (auto& [key, entry] : incoming) {
      if (!entry.object) continue;
      const auto found = entries_.find(key);
      const bool same = found != entries_.end() && found->second.stamp.uid == entry.stamp.uid &&
                        found->second.stamp.revision == entry.stamp.revision;
      if (!same) changed.push_back(std::move(entry));
    }
  }
  for (const auto& key : gone) drop(key, nullptr);
  for (auto& entry : changed) put(std::move(entry));
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
    namesake = found != entries_.end() && found->second.stamp.uid != stamp->uid;
    if (type == EventType::Deleted) bury(*stamp);
  }
  auto decoded = decode(*stamp, object);
  // What became filtered out or unreadable is gone for those who read the cache.
  if (type == EventType::Deleted || !decoded) {
    drop(stamp->key, namesake ? nullptr : std::move(decoded));
  } else {
    put(Entry{*stamp, std::move(decoded)});
  }
}

template <HasKind T>
bool Store<T>::isOld(const Stamp& stamp, EventType type) const {
  const auto grave = graves_.find(stamp.key);
  if (grave != graves_.end() && stamp.revision <= grave->second) return true;
  const auto found = entries_.find(stamp.key);
  if (found == entries_.end()) return false;
  const auto known = found->second.stamp.revision;
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
  return found == entries_.end() ? nullptr : found->second.object;
}

template <HasKind T>
std::vector<typename Store<T>::Ptr> Store<T>::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Ptr> objects;
  objects.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) objects.push_back(entry.object);
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
  for (const auto& member : members->second) objects.push_back(entries_.at(member).object);
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
