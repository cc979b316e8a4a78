#include "lib/bpf/map.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>
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

Status Map::each(const std::function<void(Bytes key, Bytes value)>& entry) const {
  std::vector<std::byte> key(keySize_);
  std::vector<std::byte> next(keySize_);
  std::vector<std::byte> value(valueSize_);
  const void* at = nullptr;
  while (bpf_map_get_next_key(fd_.get(), at, next.data()) == 0) {
    key = next;
    at = key.data();
    if (bpf_map_lookup_elem(fd_.get(), key.data(), value.data()) != 0) {
      return fail(errnoError("read BPF map " + name_, errno));
    }
    entry(key, value);
  }
  if (errno == ENOENT) return {};
  return fail(errnoError("read BPF map " + name_, errno));
}

}  // namespace multinet::bpf
