// Those objects of a table that are found by one key.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <unordered_set>

namespace multinet::controller {

/// Each once, in no order. A single one, as most keys have, takes nothing beside its pointer.
template <class T>
class Members {
  using Several = std::unordered_set<const T*>;

 public:
  class Iterator {
   public:
    // NOLINTBEGIN(readability-identifier-naming): the standard's names
    using iterator_category = std::forward_iterator_tag;
    using value_type = const T*;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;
    // NOLINTEND(readability-identifier-naming)

    Iterator() = default;
    explicit Iterator(const value_type* one) : one_(one) {}
    explicit Iterator(typename Several::const_iterator at) : at_(at) {}
    reference operator*() const { return one_ != nullptr ? *one_ : *at_; }
    Iterator& operator++() {
      if (one_ != nullptr) {
        ++one_;
      } else {
        ++at_;
      }
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const value_type* one_ = nullptr;
    typename Several::const_iterator at_{};
  };

  [[nodiscard]] std::size_t size() const { return several_ ? several_->size() : one_ ? 1 : 0; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] Iterator begin() const {
    return several_ ? Iterator(several_->cbegin()) : Iterator(&one_);
  }
  [[nodiscard]] Iterator end() const {
    return several_ ? Iterator(several_->cend()) : Iterator(&one_ + (one_ != nullptr ? 1 : 0));
  }

  void insert(const T* object) {
    if (several_) {
      several_->insert(object);
    } else if (one_ == nullptr) {
      one_ = object;
    } else if (one_ != object) {
      several_ = std::make_unique<Several>(Several{one_, object});
      one_ = nullptr;
    }
  }
  void erase(const T* object) {
    if (several_) {
      several_->erase(object);
    } else if (one_ == object) {
      one_ = nullptr;
    }
  }

 private:
  const T* one_ = nullptr;            ///< null where there is none, or several
  std::unique_ptr<Several> several_;  ///< null until there were
};

}  // namespace multinet::controller
