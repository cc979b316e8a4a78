#include "lib/bpf/map.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace multinet::bpf {

Result<Map> Map::of(Fd fd, std::string name) {
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &length) != 0) {
    return fail(errnoError("read what BPF map " + name + " is", errno));
  }
  Map map(std::move(fd), std::move(name));
  map.keySize_ = info.key_size;
  map.valueSize_ = info.value_size;
  map.capacity_ = info.max_entries;
  return map;
}

Result<Map> Map::keptAt(const std::string& path) {
  Fd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) return fail(errnoError("open the BPF map kept at " + path, errno));
  return of(std::move(fd), path);
}

Status Map::fits(Bytes key, std::size_t value) const {
  if (key.size() == keySize_ && value == valueSize_) return {};
  return fail(Code::Internal, "MapLayout",
              "use BPF map " + name_ + ": its keys have " + std::to_string(keySize_) +
                  " bytes and its values " + std::to_string(valueSize_) + ", not " +
                  std::to_string(key.size()) + " and " + std::to_string(value));
}

Status Map::put(Bytes key, Bytes value) {
  MULTINET_CHECK(fits(key, value.size()));
  if (bpf_map_update_elem(fd_.get(), key.data(), value.data(), BPF_ANY) == 0) return {};
  const int error = errno;
  if (error == E2BIG || error == ENOSPC) {
    return fail(Code::ResourceExhausted, "MapFull",
                "write to BPF map " + name_ + ": it has room for " + std::to_string(capacity_) +
                    " entries, and all of it is taken");
  }
  return fail(errnoError("write to BPF map " + name_, error));
}

Status Map::erase(Bytes key) {
  MULTINET_CHECK(fits(key, valueSize_));
  if (bpf_map_delete_elem(fd_.get(), key.data()) == 0 || errno == ENOENT) return {};
  return fail(errnoError("delete from BPF map " + name_, errno));
}

Result<std::optional<std::vector<std::byte>>> Map::find(Bytes key) const {
  MULTINET_CHECK(fits(key, valueSize_));
  std::vector<std::byte> value(valueSize_);
  if (bpf_map_lookup_elem(fd_.get(), key.data(), value.data()) == 0) {
    return std::optional(std::move(value));
  }
  if (errno == ENOENT) return std::optional<std::vector<std::byte>>();
  return fail(errnoError("read BPF map " + name_, errno));
}

// In batches: of a large map one call an entry would be most of the time.
Status Map::each(const std::function<void(Bytes key, Bytes value)>& entry) const {
  constexpr std::size_t kBatch = 4096;
  std::vector<std::byte> keys(kBatch * keySize_);
  std::vector<std::byte> values(kBatch * valueSize_);
  std::vector<std::byte> place(std::max<std::size_t>(keySize_, sizeof(std::uint32_t)));
  std::vector<std::byte> next(place.size());
  for (bool first = true;; first = false) {
    auto count = static_cast<std::uint32_t>(kBatch);
    const int result = bpf_map_lookup_batch(fd_.get(), first ? nullptr : place.data(), next.data(),
                                            keys.data(), values.data(), &count, nullptr);
    const int error = result == 0 ? 0 : errno;
    if (error != 0 && error != ENOENT) return fail(errnoError("read BPF map " + name_, error));
    for (std::size_t i = 0; i < count; ++i) {
      entry(Bytes(keys).subspan(i * keySize_, keySize_),
            Bytes(values).subspan(i * valueSize_, valueSize_));
    }
    if (error == ENOENT) return {};
    place.swap(next);
  }
}

}  // namespace multinet::bpf
