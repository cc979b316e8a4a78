// A container runtime that does as a test says: a real CRI server on a unix socket that keeps
// sandboxes as containerd does, and fails, stalls, dies or forgets where it is told to.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace grpc {
class Server;
}  // namespace grpc

namespace multinet::support {

/// What befalls one call. Several may come together: a delay, then an error.
struct Fault {
  std::chrono::milliseconds delay{0};
  int code = 0;             ///< gRPC's, instead of doing the work
  bool hangs = false;       ///< never answers; ends with the caller or the server
  bool losesReply = false;  ///< does the work, then answers Unavailable
  bool sameId = false;  ///< RunPodSandbox as CRI-O: a pod and attempt that exist get their old ID
};

/// Lives in memory; its sandboxes outlive stop() and start(), as real ones outlive their runtime.
/// Any thread.
class Runtime {
 public:
  /// `directory` must exist; the socket and the task bundles are made in it.
  explicit Runtime(std::string directory);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// `unix:<directory>/runtime.sock`
  [[nodiscard]] std::string endpoint() const;
  /// Where the bundles are, as containerd's state directory.
  [[nodiscard]] std::string stateDir() const { return directory_; }

  void start();
  /// Calls under way end Unavailable or cancelled, as when the process dies.
  void stop();

  /// The next call of that method meets this fault, the one after it the next, and so on.
  void inject(const std::string& method, Fault fault);
  /// New sandboxes get a task bundle whose config.json names this network namespace; an empty path
  /// (the default) makes no bundle.
  void giveBundles(std::string netnsPath);
  /// New sandboxes name this network namespace in a verbose status, and this process as their
  /// first.
  void giveVerboseNetns(std::string netnsPath, int process = 0);
  /// How many messages GetContainerEvents sends, and how big they are in bytes.
  void giveEvents(int count, std::size_t size);

  /// Methods in the order of the calls, without the service.
  [[nodiscard]] std::vector<std::string> calls() const;
  /// Messages that left GetContainerEvents so far.
  [[nodiscard]] int eventsSent() const;
  [[nodiscard]] std::vector<multinet::cri::subset::PodSandbox> sandboxes() const;
  /// The last RunPodSandboxRequest as it came.
  [[nodiscard]] std::string lastRunRequest() const;

 private:
  class State;
  class Front;
  std::string directory_;
  std::unique_ptr<State> state_;
  std::unique_ptr<Front> front_;  ///< one a server: gRPC takes a service only once
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace multinet::support
