// A member that few objects have: a pointer's size where it is empty, for caches of many objects.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace multinet::k8s {

/// Holds a T and is used like one: copied, compared and destroyed by value, T{} until something is
/// put in. Reading never allocates; what makes it other than empty does, once. Costs more than a T
/// where it is usually filled. As thread-safe as T.
///
///   Seldom<StringMap> labels;
///   labels["team"] = "red";
///   for (const auto& [key, value] : labels) ...
///   labels.edit().merge(others);
template <class T>
class Seldom {
 public:
  using value_type = T;

  Seldom() = default;
  template <class U>
    requires(!std::same_as<std::remove_cvref_t<U>, Seldom> && std::convertible_to<U, T>)
  Seldom(U&& value) : Seldom(T(std::forward<U>(value)), Whole()) {}  // NOLINT: it is used like a T
  Seldom(const Seldom& other) : Seldom(*other, Whole()) {}
  Seldom(Seldom&& other) noexcept = default;
  Seldom& operator=(const Seldom& other) {
    if (this != &other) *this = Seldom(other);
    return *this;
  }
  Seldom& operator=(Seldom&& other) noexcept = default;
  template <class U = T>  // braces are a T
    requires(!std::same_as<std::remove_cvref_t<U>, Seldom> && std::convertible_to<U, T>)
  Seldom& operator=(U&& value) {
    return *this = Seldom(T(std::forward<U>(value)), Whole());
  }
  ~Seldom() = default;

  /// Valid until it is changed.
  [[nodiscard]] const T& operator*() const { return held_ ? *held_ : nothing(); }
  [[nodiscard]] const T* operator->() const { return &**this; }
  operator const T&() const { return **this; }  // NOLINT: it is used like a T
  /// To change what is in it.
  [[nodiscard]] T& edit() {
    if (!held_) held_ = std::make_unique<T>();
    return *held_;
  }
  void clear() { held_.reset(); }

  [[nodiscard]] bool operator==(const Seldom& other) const { return **this == *other; }
  template <class U>
    requires(!std::same_as<U, Seldom> && std::convertible_to<const U&, T>)
  [[nodiscard]] bool operator==(const U& other) const {
    return **this == other;
  }

  // What a string, a list and a map are asked most.
  [[nodiscard]] bool empty() const { return (**this).empty(); }
  [[nodiscard]] auto size() const { return (**this).size(); }
  [[nodiscard]] auto begin() const { return (**this).begin(); }
  [[nodiscard]] auto end() const { return (**this).end(); }
  template <class Key>
  [[nodiscard]] auto find(const Key& key) const {
    return (**this).find(key);
  }
  template <class Key>
  [[nodiscard]] const auto& at(const Key& key) const {
    if constexpr (std::integral<Key>) {
      return (**this).at(static_cast<std::size_t>(key));
    } else {
      return (**this).at(key);
    }
  }
  template <class Key>
  [[nodiscard]] auto& operator[](const Key& key) {
    return edit()[key];
  }
  template <class Item>
  void push_back(Item&& item) {  // NOLINT(readability-identifier-naming): as of a list
    edit().push_back(std::forward<Item>(item));
  }

 private:
  struct Whole {};
  Seldom(T value, Whole /*tag*/)
      : held_(value == T() ? nullptr : std::make_unique<T>(std::move(value))) {}
  [[nodiscard]] static const T& nothing() {
    static const T kNothing{};
    return kNothing;
  }

  std::unique_ptr<T> held_;
};

}  // namespace multinet::k8s
