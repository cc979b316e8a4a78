// A reference CNI plugin, executed for each interface as a container runtime does.
#pragma once

#include <string>

#include "lib/base/fd.h"

namespace multinet::bench {

class CniPlugin {
 public:
  /// `program` lies in a directory with the plugins that it calls itself (host-local); `config` is
  /// the network's configuration (JSON).
  [[nodiscard]] static Result<CniPlugin> prepare(std::string program, const std::string& config);

  /// Adds or removes (`ADD`, `DEL`) the interface net1; from the start of the program to its end.
  /// The error holds what it printed.
  [[nodiscard]] Status run(const std::string& command, const Fd& netns) const;

 private:
  CniPlugin(std::string program, Fd config, Fd output)
      : program_(std::move(program)), config_(std::move(config)), output_(std::move(output)) {}
  std::string program_;
  Fd config_;
  Fd output_;
};

}  // namespace multinet::bench
