// A runtime that answers at once, so that what is measured around it is gRPC, the sockets and
// whoever stands between.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

namespace grpc {
class Server;
}  // namespace grpc

namespace multinet::bench {

/// One kind of call: what is answered, and how often.
struct CallKind {
  const char* name;
  const char* method;
  std::size_t bytes;  ///< of each message of the answer
  int messages;
  int atOnce;  ///< callers of it where load is measured
  int calls;   ///< of each such caller in a round
};

// A container in a list is about 700 bytes on containerd.
constexpr std::array kCallKinds = {
    CallKind{"Version", "/runtime.v1.RuntimeService/Version", 64, 1, 8, 60},
    CallKind{"ListContainers, 500", "/runtime.v1.RuntimeService/ListContainers", 350'000, 1, 4, 10},
    CallKind{"16 MiB", "/runtime.v1.RuntimeService/ContainerStats", 16U << 20U, 1, 4, 1},
    CallKind{"stream of 1000", "/runtime.v1.RuntimeService/StreamContainers", 256, 1000, 2, 2}};

/// Serves at `unix:/path` until it is destroyed.
class RelayRuntime {
 public:
  explicit RelayRuntime(const std::string& endpoint);
  ~RelayRuntime();
  RelayRuntime(const RelayRuntime&) = delete;
  RelayRuntime& operator=(const RelayRuntime&) = delete;
  /// Until the process is ended.
  void wait();

 private:
  class Service;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace multinet::bench
