// Between gRPC's buffers and strings.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <optional>
#include <string>
#include <string_view>

namespace multinet::agent::cri {

[[nodiscard]] grpc::ByteBuffer bufferOf(std::string_view bytes);
[[nodiscard]] std::string bytesOf(const grpc::ByteBuffer& buffer);
/// The buffer with bytes after it; what it held isn't copied.
[[nodiscard]] grpc::ByteBuffer appended(const grpc::ByteBuffer& buffer, std::string_view suffix);

}  // namespace multinet::agent::cri
