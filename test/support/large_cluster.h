// A cluster of the largest size that we state, behind the client's seam. Its objects are made as
// they are asked for and kept nowhere, so that what a process grows by is what it keeps of them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "lib/kube/transport.h"

namespace multinet::testing {

/// docs/install.md states these.
struct LargeSize {
  int nodes = 5000;
  int networks = 1000;
  int networksPerNode = 10;  ///< a NetworkPeer and an IPBlock for each
  int namespaces = 1000;
  int attachments = 100000;
  int pods = 150000;            ///< as many as Kubernetes states
  int podsOfNetworks = 100000;  ///< of these; each has a PodInterfaceSet
};

/// Thread-safe.
class LargeCluster final : public kube::Transport {
 public:
  explicit LargeCluster(LargeSize size = {}) : size_(size) {}

  /// As after a compaction: every watch has to list all again.
  void expire();
  /// Whether each kind that was asked for was sent to its end, and taken, so often.
  [[nodiscard]] bool listed(int times) const;
  /// Objects of a kind; 0 of one that isn't there.
  [[nodiscard]] int count(std::string_view plural) const;

  /// Lists are empty and writes are refused: whoever follows a kind does so by a stream.
  [[nodiscard]] Result<kube::HttpResponse> call(const kube::HttpRequest& request,
                                                Duration deadline) override;
  [[nodiscard]] Result<kube::HttpResponse> stream(const kube::HttpRequest& request,
                                                  const std::function<Duration()>& patience,
                                                  const kube::ByteSink& sink,
                                                  const std::stop_token& stop) override;

 private:
  [[nodiscard]] std::string object(std::string_view plural, int number) const;

  const LargeSize size_;
  mutable std::mutex mutex_;
  std::condition_variable_any expired_;
  std::uint64_t compactions_ = 0;
  std::set<std::string> followed_;
  std::atomic<int> lists_ = 0;
};

/// What it says at last: true, or false after so long.
template <class Condition>
[[nodiscard]] bool comesTrue(const Condition& condition, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

/// The largest resident set of this process since the last call, in bytes.
[[nodiscard]] std::uint64_t peakOfMemory();
/// `limits: {memory: 256Mi}` of a manifest, in bytes.
[[nodiscard]] std::uint64_t memoryLimitOf(const std::string& manifest);

}  // namespace multinet::testing
