// A map in memory, of a given size; a test looks after each write.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "lib/bpf/table.h"

namespace multinet::agent::services {

class FakeTable final : public bpf::Table {
 public:
  explicit FakeTable(std::size_t capacity = 1'000'000) : capacity_(capacity) {}

  [[nodiscard]] Status put(bpf::Bytes key, bpf::Bytes value) override {
    const std::vector<std::byte> name(key.begin(), key.end());
    if (entries_.size() >= capacity_ && !entries_.contains(name)) {
      return fail(Code::ResourceExhausted, "MapFull", "write to a fake map: it is full");
    }
    entries_[name].assign(value.begin(), value.end());
    ++writes_;
    afterWrite();
    return {};
  }
  [[nodiscard]] Status erase(bpf::Bytes key) override {
    entries_.erase({key.begin(), key.end()});
    ++writes_;
    afterWrite();
    return {};
  }
  [[nodiscard]] Result<std::optional<std::vector<std::byte>>> find(bpf::Bytes key) const override {
    const auto found = entries_.find({key.begin(), key.end()});
    if (found == entries_.end()) return std::optional<std::vector<std::byte>>();
    return std::optional(found->second);
  }
  [[nodiscard]] Status each(
      const std::function<void(bpf::Bytes key, bpf::Bytes value)>& entry) const override {
    for (const auto& [key, value] : entries_) entry(key, value);
    return {};
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t writes() const { return writes_; }
  void setCapacity(std::size_t capacity) { capacity_ = capacity; }
  std::function<void()> afterWrite = [] {};

 private:
  std::size_t capacity_;
  std::size_t writes_ = 0;
  std::map<std::vector<std::byte>, std::vector<std::byte>> entries_;
};

}  // namespace multinet::agent::services
