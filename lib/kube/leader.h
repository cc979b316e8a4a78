// One leader among several replicas, by a Lease. Words: this is the only thing called a lease.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "lib/async/lane.h"
#include "lib/base/clock.h"
#include "lib/kube/client.h"

namespace multinet::kube {

struct LeaderOptions {
  std::string nameSpace;
  std::string name;
  std::string identity;  ///< unique to this process, for example pod name and a random part
  Duration leaseDuration = std::chrono::seconds(15);
  Duration renewDeadline = std::chrono::seconds(10);  ///< gives up leading; under leaseDuration
  Duration retryPeriod = std::chrono::seconds(2);
  /// On the elector's thread; must not block. Called each time that leading begins, also again
  /// after it lapsed by the clock alone; by then it may have lapsed once more: a loop that finds
  /// leading() false asks again by itself.
  std::function<void()> started = {};
  std::function<void()> stopped = {};  ///< leading is over; work must end at once
};

/// A foreign lease is believed dead only after *we* saw it unchanged for its duration on our own
/// clock, so clocks that differ do no harm. A leader that can't renew stops before its lease can be
/// taken. A process that was stopped and resumes finds `leading()` false from the clock alone.
class LeaderElector {
 public:
  LeaderElector(Client& client, const Clock& clock, LeaderOptions options);
  /// Releases the lease if it is ours.
  ~LeaderElector();
  LeaderElector(const LeaderElector&) = delete;
  LeaderElector& operator=(const LeaderElector&) = delete;

  /// Once, for good: steps on a lane of its own, by the clock.
  void start();
  void stop();
  /// True while we lead and the last renewal is younger than renewDeadline. Thread-safe; ask again
  /// before each write.
  [[nodiscard]] bool leading() const;
  /// The identity that was last seen to hold the lease.
  [[nodiscard]] std::string holder() const;
  /// One step of the elector without its thread, for tests: tries to get or renew. Returns how
  /// long to wait for the next one.
  [[nodiscard]] Duration step();

 private:
  class Impl;
  void turn();

  std::unique_ptr<Impl> impl_;
  const Clock& clock_;
  std::unique_ptr<async::Lane> lane_;
};

}  // namespace multinet::kube
