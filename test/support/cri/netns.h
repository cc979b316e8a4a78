// A network namespace that isn't the test's own, without changing any thread of the test.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/base/result.h"

namespace multinet::support {

/// Kept alive by a child process that does nothing else and dies with this object.
class ForeignNetns {
 public:
  /// PermissionDenied where the kernel gives neither root's nor a user's namespaces.
  [[nodiscard]] static Result<ForeignNetns> make();
  ForeignNetns(ForeignNetns&& other) noexcept;
  ForeignNetns& operator=(ForeignNetns&&) = delete;
  ForeignNetns(const ForeignNetns&) = delete;
  ForeignNetns& operator=(const ForeignNetns&) = delete;
  ~ForeignNetns() { vanish(); }

  /// `/proc/<pid>/ns/net`
  [[nodiscard]] std::string path() const;
  /// In it.
  [[nodiscard]] pid_t process() const { return child_; }
  /// Now, as when a pod's namespace is removed under the agent.
  void vanish();

 private:
  explicit ForeignNetns(pid_t child) : child_(child) {}
  pid_t child_ = 0;
};

}  // namespace multinet::support
