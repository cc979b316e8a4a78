#include "nodeagent/cri/bytes.h"

#include <vector>

namespace multinet::agent::cri {

grpc::ByteBuffer bufferOf(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return {&slice, 1};
}

std::string bytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const auto& slice : slices) {
    const void* data = slice.begin();
    bytes.append(static_cast<const char*>(data), slice.size());
  }
  return bytes;
}

grpc::ByteBuffer appended(const grpc::ByteBuffer& buffer, std::string_view suffix) {
  std::vector<grpc::Slice> slices;
  if (buffer.Valid()) static_cast<void>(buffer.Dump(&slices));
  slices.emplace_back(suffix.data(), suffix.size());
  return {slices.data(), slices.size()};
}

}  // namespace multinet::agent::cri
