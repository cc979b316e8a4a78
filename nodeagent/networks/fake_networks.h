// Networks of a test's making.
#pragma once

#include <mutex>

#include "nodeagent/networks/networks.h"

namespace multinet::agent::networks {

/// In the place of KernelNetworks: shows what a test publishes, remembers what was desired.
/// Thread-safe.
class FakeNetworks {
 public:
  void setDesired(std::vector<DesiredNetwork> networks) {
    const std::lock_guard lock(mutex_);
    desired_ = std::move(networks);
  }
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  void publish(Snapshot snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::make_shared<const Snapshot>(std::move(snapshot));
  }
  [[nodiscard]] std::vector<DesiredNetwork> desired() const {
    const std::lock_guard lock(mutex_);
    return desired_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<DesiredNetwork> desired_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<const Snapshot>();
};

}  // namespace multinet::agent::networks
