// A reference CNI plugin, executed for each interface as a container runtime does.
#pragma once

#include <string>

#include "lib/base/fd.h"

namespace multinet::bench {

class CniPlugin {
 public:
  /// `plugins` is the directory of those that it calls itself (host-local); `config` is the
  /// network's configuration (JSON).
  [[nodiscard]] static Result<CniPlugin> prepare(std::string program, std::string plugins,
                                                 const std::string& config);

  /// Adds or removes (`ADD`, `DEL`) the interface of that name; from the start of the program to
  /// its end. The error holds what it printed.
  [[nodiscard]] Status run(const std::string& command, const std::string& interface,
                           const Fd& netns) const;

 private:
  CniPlugin(std::string program, std::string plugins, Fd config, Fd output)
      : program_(std::move(program)),
        plugins_(std::move(plugins)),
        config_(std::move(config)),
        output_(std::move(output)) {}
  std::string program_;
  std::string plugins_;
  Fd config_;
  Fd output_;
};

}  // namespace multinet::bench
