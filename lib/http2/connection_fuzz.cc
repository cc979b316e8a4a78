// Whatever comes in whatever pieces: no crash, and the pieces don't matter.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lib/http2/connection.h"

namespace {

using namespace multinet::http2;

/// Answers what it can, and writes down what it heard.
class End final : public Connection::Events {
 public:
  explicit End(Connection::Role role) : connection(role, *this) {
    if (role == Connection::Role::Client) {
      for (int i = 0; i < 3; ++i) {
        const auto stream = connection.open({{":path", "/p"}}, false);
        connection.sendData(*stream, std::string(100'000, 'x'), i == 0);
      }
    }
  }
  void headers(StreamId stream, Headers headers, bool end) override {
    heard += "h" + std::to_string(stream) + std::to_string(headers.size()) + (end ? "!" : "");
    connection.sendHeaders(stream, headers, false);
    if (end) connection.sendHeaders(stream, headers, true);
  }
  void data(StreamId stream, std::string_view bytes, bool end) override {
    heard += "d" + std::to_string(stream) + std::string(bytes) + (end ? "!" : "");
    connection.consumed(stream, bytes.size());
    connection.sendData(stream, bytes, end);
  }
  void sent(StreamId, std::size_t) override {}
  void reset(StreamId stream, ErrorCode code) override {
    heard += "r" + std::to_string(stream) + std::to_string(static_cast<unsigned>(code));
  }
  Connection connection;
  std::string heard;
};

std::string hear(Connection::Role role, std::string_view bytes, std::size_t piece) {
  End end(role);
  bool open = true;
  if (role == Connection::Role::Server) open = end.connection.receive(kPreface).has_value();
  while (open && !bytes.empty()) {
    const auto part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    open = end.connection.receive(part).has_value();
    end.connection.wrote(end.connection.output().size());
  }
  return end.heard + (open ? "+" : "-");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto role = data[0] % 2 == 0 ? Connection::Role::Server : Connection::Role::Client;
  const std::string bytes(data + 1, data + size);
  if (hear(role, bytes, bytes.size() + 1) != hear(role, bytes, 1 + data[0] / 2)) std::abort();
  return 0;
}
