// A node's policing as it runs in an agent, from what the API tells to the kernel; what tells it is
// the benchmark.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bench/in_turn.h"
#include "nodeagent/policy/guard.h"
#include "nodeagent/policy/policing.h"
#include "nodeagent/watch/fake_caches.h"

namespace multinet::bench {

/// Caches that change while an agent reads them.
class ToldCaches final : public agent::watch::FakeCaches {
 public:
  [[nodiscard]] std::vector<std::shared_ptr<const k8s::Pod>> pods() const override;
  [[nodiscard]] std::vector<std::shared_ptr<const api::PodNetwork>> networks() const override;
  [[nodiscard]] std::optional<PolicySlices> policiesOf(const std::string& name) const override;
  [[nodiscard]] Status needPolicies(const std::string& name) override;
  [[nodiscard]] Heard heard() const override;

  mutable std::mutex mutex;
};

/// With `pods` isolated ones, which `peers` may speak to. One more is known, and not there.
class PolicyNode {
 public:
  /// `guard` outlives it; its ports are named by portOf().
  PolicyNode(agent::policing::PolicyGuard& guard, unsigned pods, unsigned peers);
  ~PolicyNode() { policing_.stop(); }
  PolicyNode(const PolicyNode&) = delete;
  PolicyNode& operator=(const PolicyNode&) = delete;

  /// All pods, as an agent does it that has just begun. Till the kernel has them.
  Status begin();
  /// All pods, as an agent does it that finds them there.
  Status adopt();
  /// From the slice's event to the end of the transaction, in milliseconds.
  Result<double> peerMore();
  Result<double> peerLess();
  /// Of the pod that isn't there yet what its attach waits for: that its policies are known, and
  /// its rules.
  Result<double> attach();
  Status detach();

  [[nodiscard]] static std::string portOf(unsigned number);

 private:
  [[nodiscard]] agent::attach::Policeable policeable(unsigned number) const;
  Status join(unsigned number);
  Status hold(unsigned number);
  Result<double> setFirstSlice(unsigned count);
  void committed(const Status& done);

  agent::policing::PolicyGuard& guard_;
  const unsigned pods_;
  ToldCaches caches_;
  std::mutex mutex_;  // of the next three
  std::condition_variable changed_;
  Steady::time_point at_;
  std::optional<Status> done_;
  agent::policing::Ends ends_;
  std::string hash_;
  unsigned first_ = 0;  ///< members of the first slice
  agent::policing::Policing policing_;
};

}  // namespace multinet::bench
