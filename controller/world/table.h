// The objects of one kind by name, and by what they name.
#pragma once

#include <cstdint>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "controller/world/members.h"
#include "lib/k8s/by_name.h"
#include "lib/k8s/kind.h"

namespace multinet::controller {

/// `By` are the ways in which objects are found: each has a `Key` that hashes and a static
/// `std::vector<Key> of(const T&)`. Every operation costs what it touches. One thread.
template <class T, class... By>
class Table {
 public:
  using Object = T;
  using Ptr = std::shared_ptr<const T>;
  using Members = controller::Members<T>;
  using Objects = k8s::SetByName<Ptr>;

  /// Null where there is none.
  [[nodiscard]] const T* find(const k8s::ObjectKey& key) const {
    ++reads_;
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->get();
  }
  [[nodiscard]] Ptr share(const k8s::ObjectKey& key) const {
    ++reads_;
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : *found;
  }
  template <class Way>
  [[nodiscard]] const Members& by(const typename Way::Key& key) const {
    static const Members kNone;
    const auto& index = std::get<Index<Way>>(indexes_).members;
    const auto found = index.find(key);
    const Members& members = found == index.end() ? kNone : found->second;
    reads_ += members.size() + 1;
    return members;
  }
  [[nodiscard]] const Objects& all() const {
    reads_ += objects_.size();
    return objects_;
  }
  [[nodiscard]] std::size_t size() const { return objects_.size(); }
  /// How many objects were looked at since the start: what work is counted by.
  [[nodiscard]] std::uint64_t reads() const { return reads_; }

  /// Null takes it out; an object has `key` for its name. Returns what stood there.
  Ptr put(const k8s::ObjectKey& key, Ptr object) {
    Ptr before;
    if (const auto found = objects_.find(key); found != objects_.end()) {
      before = *found;
      (unindex<By>(*before), ...);
      objects_.erase(found);
    }
    if (object != nullptr) {
      (index<By>(*object), ...);
      objects_.insert(std::move(object));
    }
    return before;
  }

 private:
  template <class Way>
  struct Index {
    std::unordered_map<typename Way::Key, Members> members;
  };
  template <class Way>
  void index(const T& object) {
    for (const auto& key : Way::of(object)) {
      std::get<Index<Way>>(indexes_).members[key].insert(&object);
    }
  }
  template <class Way>
  void unindex(const T& object) {
    auto& members = std::get<Index<Way>>(indexes_).members;
    for (const auto& key : Way::of(object)) {
      const auto found = members.find(key);
      if (found == members.end()) continue;  // named twice
      found->second.erase(&object);
      if (found->second.empty()) members.erase(found);
    }
  }

  Objects objects_;
  std::tuple<Index<By>...> indexes_;
  mutable std::uint64_t reads_ = 0;
};

}  // namespace multinet::controller
