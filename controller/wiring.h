// The controller's parts, and the order in which they start and stop.
#pragma once

#include <memory>
#include <string>

#include "lib/base/result.h"

namespace multinet::controller {

struct Settings {
  std::string kubeconfig;  // empty: in-cluster, or as kubectl finds it
  std::string nameSpace = "multinet-system";
  std::string healthListen = ":8081";
};

/// Runs from `start` until it is destroyed.
class Controller {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Controller>> start(const Settings& settings);
  /// Stops working, then gives the lease back, so that the other replica leads at once.
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

 private:
  class Impl;
  explicit Controller(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::controller
