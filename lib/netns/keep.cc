#include "lib/netns/keep.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/netns/netns.h"

namespace multinet::netns {
namespace {

/// Directories above and an empty file, which a namespace can be mounted on.
Status makeFile(const std::string& path, const std::string& what) {
  for (auto slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) {
      return fail(errnoError(what, errno));
    }
  }
  const Fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0444));
  return file.valid() ? Status{} : fail(errnoError(what, errno));
}

Status mountAt(const Fd& netns, const std::string& path, const std::string& what) {
  const std::string source = "/proc/self/fd/" + std::to_string(netns.get());
  if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0) return {};
  return fail(errnoError(what, errno));
}

}  // namespace

Result<Fd> keep(const std::string& path) {
  const std::string what = "keep network namespace at " + path;
  if (auto there = openPath(path)) {
    MULTINET_TRY(const Fd own, openOwn());
    MULTINET_TRY(const auto identityThere, identity(*there));
    MULTINET_TRY(const auto identityOwn, identity(own));
    if (identityThere != identityOwn) return there;
    return fail(Code::InvalidArgument, "OwnNetns",
                what + ": the namespace there is this process's own; unmount it");
  }
  MULTINET_CHECK(makeFile(path, what));
  MULTINET_TRY(Fd made, make());
  MULTINET_CHECK(mountAt(made, path, what));
  return made;
}

Result<bool> keepAgain(const Fd& netns, const std::string& path) {
  const std::string what = "keep network namespace at " + path;
  MULTINET_TRY(const auto wanted, identity(netns));
  if (const auto there = openPath(path)) {
    MULTINET_TRY(const auto found, identity(*there));
    if (found == wanted) return false;
  }
  MULTINET_CHECK(makeFile(path, what));
  MULTINET_CHECK(mountAt(netns, path, what));
  return true;
}

Status forget(const std::string& path) {
  const std::string what = "forget network namespace at " + path;
  // One may lie on another, see keepAgain(). EINVAL: nothing is mounted there any more.
  while (::umount2(path.c_str(), MNT_DETACH) == 0) continue;
  if (errno != EINVAL && errno != ENOENT) return fail(errnoError(what, errno));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(errnoError(what, errno));
  return {};
}

}  // namespace multinet::netns
