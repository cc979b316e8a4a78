#include "lib/netns/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace multinet::netns {
namespace {

constexpr const char* kOwn = "/proc/thread-self/ns/net";

Status checkType(const Fd& netns, const std::string& what) {
  if (::ioctl(netns.get(), NS_GET_NSTYPE) == CLONE_NEWNET) return {};
  return fail(Code::InvalidArgument, "NotNetns", what + ": it is no network namespace");
}

}  // namespace

Result<Fd> openPath(const std::string& path) {
  const std::string what = "open network namespace " + path;
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail(errnoError(what, errno));
  MULTINET_CHECK(checkType(fd, what));
  return fd;
}

Result<Fd> openPid(pid_t pid) {
  return openPath("/proc/" + std::to_string(pid) + "/ns/net");
}

Result<Fd> openOwn() {
  return openPath(kOwn);
}

Result<Fd> make() {
  Result<Fd> made = fail(Code::Internal, "NotRun", "make network namespace: thread did not run");
  // A thread of its own, so that no thread that others use ever changes its namespace.
  std::thread([&made] {
    if (::unshare(CLONE_NEWNET) != 0) {
      made = fail(errnoError("make network namespace", errno));
    } else {
      made = openOwn();
    }
  }).join();
  return made;
}

Result<Identity> identity(const Fd& netns) {
  const std::string what = "identify network namespace";
  MULTINET_CHECK(checkType(netns, what));
  struct stat status{};
  if (::fstat(netns.get(), &status) != 0) return fail(errnoError(what, errno));
  return Identity{status.st_dev, status.st_ino};
}

Result<Scope> Scope::enter(const Fd& netns) {
  MULTINET_TRY(Fd home, openOwn());
  if (::setns(netns.get(), CLONE_NEWNET) != 0) {
    return fail(errnoError("enter network namespace", errno));
  }
  return Scope(std::move(home));
}

Scope::~Scope() {
  if (!home_.valid() || ::setns(home_.get(), CLONE_NEWNET) == 0) return;
  std::perror("multinet: return from a pod's network namespace");
  std::abort();
}

Status writeSysctl(const std::string& key, const std::string& value) {
  const std::string path = "/proc/sys/net/" + key;
  const std::string what = "write sysctl " + path + " = " + value;
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errnoError(what, errno));
  const ssize_t written = ::write(fd.get(), value.data(), value.size());
  if (written == static_cast<ssize_t>(value.size())) return {};
  return fail(errnoError(what, written < 0 ? errno : EIO));
}

Result<std::string> readSysctl(const std::string& key) {
  MULTINET_TRY(std::string text, readFile("/proc/sys/net/" + key, 4096));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace multinet::netns
