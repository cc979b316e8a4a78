// Events that people see in `kubectl describe`: same ones counted, floods cut, callers never held
// up.
#pragma once

#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/kube/client.h"

namespace multinet::kube {

enum class Severity { Normal, Warning };

/// What an Event is about.
struct ObjectReference {
  std::string apiVersion;
  std::string kind;
  ObjectKey key;
  std::string uid;
};

struct EventOptions {
  std::string component;                      ///< for example `multinet-nodeagent`
  std::string host;                           ///< node name, or empty
  std::size_t queueLimit = 1000;              ///< beyond it the oldest waiting is dropped
  Duration again = std::chrono::minutes(10);  ///< same text within: count instead of new
  int burst = 25;                             ///< a subject's Events at once,
  Duration refill = std::chrono::minutes(5);  ///< then one each so often (client-go's)
};

/// Core v1 Events, since a kubelet's identity may create and patch those. Thread-safe.
/// A reason is a stable CamelCase word that docs list; a message says what, why and the remedy.
class EventRecorder {
 public:
  /// Waits until the system gives it a thread.
  EventRecorder(Client& client, const Clock& clock, EventOptions options);
  /// Tries for a second to send what waits.
  ~EventRecorder();
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void stop();
  void record(const ObjectReference& about, Severity severity, const std::string& reason,
              const std::string& message);
  /// Events that were dropped, for metrics.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::kube
