// The webhook's parts, in the order in which they start and stop.
#pragma once

#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/result.h"

namespace multinet::webhook {

struct Settings {
  std::string listen = ":8443";
  std::string certificateDirectory = "/tls";
  /// A file with the CAs of clients: only who shows a certificate by one of them gets a review, so
  /// that who asks is the API server. Empty: anybody who reaches the port.
  std::string clientCa;
  std::string healthListen = ":8081";
  std::string kubeconfig;  ///< empty: $KUBECONFIG, else the pod's own service account
  /// How long readiness fails before connections close: until the Service has no way here.
  Duration leaveTime = std::chrono::seconds(3);
};

/// Runs from `start` to `stop`.
class Webhook {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Webhook>> start(const Settings& settings);
  ~Webhook();
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  /// Fails readiness, waits, answers what is under way, ends. Takes at most leaveTime and 10 s.
  void stop();

 private:
  struct Parts;
  explicit Webhook(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace multinet::webhook
