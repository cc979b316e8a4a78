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
#include <filesystem>
#include <set>
#include <sstream>
#include <thread>

namespace multinet::netns {
namespace {

constexpr std::size_t kLargestMountinfo = 16U << 20U;
constexpr const char* kOwn = "/proc/thread-self/ns/net";

Status checkType(const Fd& netns, const std::string& what) {
  if (::ioctl(netns.get(), NS_GET_NSTYPE) == CLONE_NEWNET) return {};
  return fail(Code::InvalidArgument, "NotNetns", what + ": it is no network namespace");
}

/// Octal escapes of mountinfo (proc_pid_mountinfo(5)): a blank is `\040`.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      plain += text[i];
      continue;
    }
    int value = 0;
    for (const char digit : text.substr(i + 1, 3)) value = value * 8 + (digit - '0');
    plain += static_cast<char>(value);
    i += 3;
  }
  return plain;
}

/// Where namespaces are mounted, as the runtimes do it for sandboxes.
Result<std::vector<std::string>> mounted() {
  MULTINET_TRY(const std::string text, readFile("/proc/thread-self/mountinfo", kLargestMountinfo));
  std::vector<std::string> paths;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string field, root, point;
    fields >> field >> field >> field >> root >> point;
    if (root.starts_with("net:[")) paths.push_back(unescaped(point));
  }
  return paths;
}

Result<std::vector<std::string>> ofProcesses(const std::string& proc) {
  std::vector<std::string> paths;
  std::error_code error;
  std::filesystem::directory_iterator entries(proc, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    const bool isProcess = name.find_first_not_of("0123456789") == std::string::npos;
    if (isProcess) paths.push_back(entries->path().string() + "/ns/net");
  }
  if (error) return fail(errnoError("list processes in " + proc, error.value()));
  return paths;
}

Status goInto(const Fd& netns) {
  if (::setns(netns.get(), CLONE_NEWNET) == 0) return {};
  return fail(errnoError("enter network namespace", errno));
}

/// True of a process that has ended, or has given its namespaces back (a zombie).
bool isGone(int error) {
  return error == ENOENT || error == ESRCH;
}

}  // namespace

Result<Fd> openPath(const std::string& path) {
  const std::string what = "open network namespace " + path;
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail(errnoError(what, errno));
  MULTINET_CHECK(checkType(fd, what));
  return fd;
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

Status forEach(const std::function<Status(const Fd&)>& each, const std::string& proc) {
  MULTINET_TRY(std::vector<std::string> paths, mounted());
  MULTINET_TRY(const std::vector<std::string> more, ofProcesses(proc));
  paths.insert(paths.end(), more.begin(), more.end());
  std::set<Identity> seen;
  for (const std::string& path : paths) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
      if (isGone(errno)) continue;
      return fail(errnoError("look at network namespace " + path, errno));
    }
    if (!seen.insert({status.st_dev, status.st_ino}).second) continue;
    auto opened = openPath(path);
    if (opened) {
      MULTINET_CHECK(each(*opened));
    } else if (opened.error().code != Code::NotFound) {
      return fail(std::move(opened).error());
    } else {
      seen.erase({status.st_dev, status.st_ino});  // another way to it may still be there
    }
  }
  return {};
}

Result<Identity> identity(const Fd& netns) {
  const std::string what = "identify network namespace";
  MULTINET_CHECK(checkType(netns, what));
  struct stat status{};
  if (::fstat(netns.get(), &status) != 0) return fail(errnoError(what, errno));
  return Identity{status.st_dev, status.st_ino};
}

Result<Home> openHome() {
  MULTINET_TRY(Fd own, openOwn());
  MULTINET_TRY(const Identity itself, identity(own));
  return Home{std::move(own), itself};
}

Result<Scope> Scope::enter(const Fd& netns) {
  MULTINET_TRY(Fd home, openOwn());
  MULTINET_CHECK(goInto(netns));
  return Scope(std::move(home));
}

Result<Scope> Scope::enter(const Fd& netns, const Home& home) {
  MULTINET_CHECK(goInto(netns));
  return Scope(home);
}

Scope::~Scope() {
  if (home_ < 0 || ::setns(home_, CLONE_NEWNET) == 0) return;
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
