// A process that connects and sends, from a pod's network namespace and control group: programs of
// control groups see who made the socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/fd.h"

namespace multinet::bench {

/// Ends with this object. One thread.
class ServiceClient {
 public:
  struct Place {
    const Fd& netns;
    std::string cgroup;  ///< empty: the caller's
  };
  struct Peer {
    std::string address;  ///< IPv4
    std::uint16_t port = 0;
  };
  /// Forks: to be called before the caller has threads.
  [[nodiscard]] static Result<ServiceClient> start(const Place& place, const Peer& peer);
  ~ServiceClient();
  ServiceClient(ServiceClient&& other) noexcept;
  ServiceClient(const ServiceClient&) = delete;
  ServiceClient& operator=(const ServiceClient&) = delete;
  ServiceClient& operator=(ServiceClient&&) = delete;

  /// Milliseconds of so many TCP connections, one after the other, each reset at once.
  [[nodiscard]] Result<double> connects(int count) { return ask('c', count); }
  /// Of datagrams and their echo, on a connected socket.
  [[nodiscard]] Result<double> roundTrips(int count) { return ask('r', count); }
  /// The same where each names its address.
  [[nodiscard]] Result<double> unconnectedRoundTrips(int count) { return ask('u', count); }
  /// Of mebibytes through one TCP connection, and through eight in turn.
  [[nodiscard]] Result<double> stream(int mebibytes) { return ask('s', mebibytes); }
  [[nodiscard]] Result<double> streams(int mebibytes) { return ask('8', mebibytes); }

 private:
  ServiceClient(pid_t child, Fd orders, Fd answers)
      : child_(child), orders_(std::move(orders)), answers_(std::move(answers)) {}
  [[nodiscard]] Result<double> ask(char what, int count);

  pid_t child_ = -1;
  Fd orders_;
  Fd answers_;
};

/// A process that accepts and reads all, and echoes datagrams, on these addresses of `netns`.
class ServiceServer {
 public:
  [[nodiscard]] static Result<ServiceServer> start(const Fd& netns,
                                                   const std::vector<std::string>& addresses,
                                                   std::uint16_t port);
  ~ServiceServer();
  ServiceServer(ServiceServer&& other) noexcept;
  ServiceServer(const ServiceServer&) = delete;
  ServiceServer& operator=(const ServiceServer&) = delete;
  ServiceServer& operator=(ServiceServer&&) = delete;

 private:
  explicit ServiceServer(pid_t child) : child_(child) {}
  pid_t child_ = -1;
};

}  // namespace multinet::bench
