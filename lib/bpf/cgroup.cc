#include "lib/bpf/cgroup.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <cerrno>
#include <sstream>

namespace multinet::bpf {
namespace {

/// FailedPrecondition where what is attached there would be replaced by ours.
Status checkOne(const std::string& path, int attachType) {
  MULTINET_TRY(const Fd group, openCgroup(path));
  std::uint32_t flags = 0;
  std::uint32_t count = 0;
  const auto type = static_cast<bpf_attach_type>(attachType);
  if (bpf_prog_query(group.get(), type, 0, &flags, nullptr, &count) != 0) {
    return fail(errnoError("ask which BPF programs are attached to " + path, errno));
  }
  if (count == 0 || (flags & BPF_F_ALLOW_MULTI) != 0) return {};
  return fail(Code::FailedPrecondition, "CgroupTaken",
              "attach to the pods' control group: " + path +
                  " has a BPF program of somebody else's that stands no other beside it; have that "
                  "attached by a link or with BPF_F_ALLOW_MULTI");
}

}  // namespace

Result<std::string> cgroup2MountIn(const std::string& mountinfo) {
  std::istringstream lines(mountinfo);
  std::string line;
  while (std::getline(lines, line)) {
    // "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw", proc(5)
    const auto dash = line.find(" - ");
    if (dash == std::string::npos || !line.substr(dash + 3).starts_with("cgroup2 ")) continue;
    std::istringstream words(line);
    std::string skipped;
    std::string mount;
    words >> skipped >> skipped >> skipped >> skipped >> mount;
    return mount;
  }
  return fail(
      Code::Unavailable, "NoCgroup2",
      "find the control groups of version 2: none are mounted; boot with them (systemd does "
      "so by default), or mount -t cgroup2 none /sys/fs/cgroup/unified");
}

Result<std::string> cgroup2Mount() {
  MULTINET_TRY(const std::string text, readFile("/proc/self/mountinfo"));
  return cgroup2MountIn(text);
}

Result<Fd> openCgroup(const std::string& path) {
  Fd group(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (group.valid()) return group;
  return fail(errnoError("open control group " + path, errno));
}

Status checkAttach(const std::string& mount, const std::string& path, int attachType) {
  std::string at = path;
  while (at.size() >= mount.size()) {
    MULTINET_CHECK(checkOne(at, attachType));
    if (at.size() == mount.size()) break;
    at.resize(at.rfind('/'));
  }
  return {};
}

}  // namespace multinet::bpf
