// A BPF map of the kernel.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/fd.h"
#include "lib/bpf/table.h"

namespace multinet::bpf {

/// One descriptor of a map; the map lives while a descriptor, a pin or a program holds it. Any
/// thread.
class Map final : public Table {
 public:
  /// By descriptor. InvalidArgument where it is no map.
  [[nodiscard]] static Result<Map> of(Fd fd, std::string name);
  /// As it is kept at that path in a bpffs. NotFound where nothing is.
  [[nodiscard]] static Result<Map> keptAt(const std::string& path);

  [[nodiscard]] Status put(Bytes key, Bytes value) override;
  [[nodiscard]] Status erase(Bytes key) override;
  [[nodiscard]] Result<std::optional<std::vector<std::byte>>> find(Bytes key) const override;
  [[nodiscard]] Status each(
      const std::function<void(Bytes key, Bytes value)>& entry) const override;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

 private:
  Map(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  [[nodiscard]] Status fits(Bytes key, std::size_t value) const;

  Fd fd_;
  std::string name_;
  std::uint32_t keySize_ = 0;
  std::uint32_t valueSize_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace multinet::bpf
