// Network namespaces: opening, telling apart, entering, and what must be done from within.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>

#include "lib/base/fd.h"

namespace multinet::netns {

/// Says whether two descriptors mean the same namespace.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const Identity&) const = default;
};

/// Opens a network namespace by path. InvalidArgument where the path is something else (a file, a
/// link to another kind of namespace); NotFound where it is gone.
[[nodiscard]] Result<Fd> openPath(const std::string& path);
/// Of the calling thread.
[[nodiscard]] Result<Fd> openOwn();
/// A new one, owned by the calling thread's user namespace; it lives as long as descriptors or
/// members of it do. The calling thread stays where it is.
[[nodiscard]] Result<Fd> make();

/// Hands over every one that a process or a mount holds, each once, as far as `proc` and this
/// thread's mount namespace show them. One at a time, since an open descriptor keeps its mount from
/// being taken down. What ends meanwhile is left out; an error where one that is there can't be
/// opened, so that what wasn't handed over really wasn't there. Ends with the first error of
/// `each`.
[[nodiscard]] Status forEach(const std::function<Status(const Fd&)>& each,
                             const std::string& proc = "/proc");

/// InvalidArgument where the descriptor isn't a network namespace.
[[nodiscard]] Result<Identity> identity(const Fd& netns);

/// The namespace of a thread, opened and identified once, for one that leaves it often.
struct Home {
  Fd netns;
  Identity identity;
};
/// Of the calling thread.
[[nodiscard]] Result<Home> openHome();

/// Moves the calling thread into a namespace until the end of the scope. A thread that can't get
/// back would do its next work in a pod's namespace: then the process aborts.
class Scope {
 public:
  [[nodiscard]] static Result<Scope> enter(const Fd& netns);
  /// The same without a look at where the thread is, which costs four times the way there and back:
  /// it is at `home`, which outlives the scope.
  [[nodiscard]] static Result<Scope> enter(const Fd& netns, const Home& home);
  Scope(Scope&& other) noexcept
      : opened_(std::move(other.opened_)), home_(std::exchange(other.home_, -1)) {}
  Scope& operator=(Scope&&) = delete;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

 private:
  explicit Scope(Fd home) : opened_(std::move(home)), home_(opened_.get()) {}
  explicit Scope(const Home& home) : home_(home.netns.get()) {}
  Fd opened_;  ///< none where somebody else keeps it
  int home_;   ///< -1: moved away
};

/// Writes `/proc/sys/net/<key>` of the calling thread's namespace, for example
/// `ipv6/conf/net1/accept_ra`. NotFound where the key isn't there.
[[nodiscard]] Status writeSysctl(const std::string& key, const std::string& value);
/// Without the final newline.
[[nodiscard]] Result<std::string> readSysctl(const std::string& key);

}  // namespace multinet::netns
