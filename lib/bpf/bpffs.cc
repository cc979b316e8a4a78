#include "lib/bpf/bpffs.h"

#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/fd.h"

namespace multinet::bpf {
namespace {

bool isBpffs(const std::string& directory) {
  struct statfs now{};
  return ::statfs(directory.c_str(), &now) == 0 &&
         static_cast<unsigned long>(now.f_type) == BPF_FS_MAGIC;
}

}  // namespace

Status mountBpffs(const std::string& directory) {
  if (isBpffs(directory)) return {};
  MULTINET_CHECK(makePrivateDirectory(directory));
  if (::mount("bpf", directory.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") ==
      0) {
    return {};
  }
  const int error = errno;
  const std::string what = "mount a bpffs at " + directory;
  if (error == ENODEV) {
    return fail(Code::Unavailable, "BpfNotSupported",
                what + ": this kernel has none; it needs CONFIG_BPF_SYSCALL");
  }
  if (error == EPERM) {
    return fail(Code::Unavailable, "BpfNotPermitted",
                what + ": not permitted; run the agent as root with CAP_SYS_ADMIN");
  }
  return fail(errnoError(what, error));
}

Status keepAlso(const std::string& from, const std::string& to) {
  const std::string what = "keep what is kept at " + from + " also at " + to;
  const Fd kept(bpf_obj_get(from.c_str()));
  if (!kept.valid()) {
    if (errno == ENOENT) return {};
    return fail(errnoError(what, errno));
  }
  if (bpf_obj_pin(kept.get(), to.c_str()) == 0 || errno == EEXIST) return {};
  return fail(errnoError(what, errno));
}

Status forgetBpffs(const std::string& directory) {
  const std::string what = "forget the bpffs at " + directory;
  while (isBpffs(directory)) {
    if (::umount2(directory.c_str(), MNT_DETACH) != 0) return fail(errnoError(what, errno));
  }
  if (::rmdir(directory.c_str()) != 0 && errno != ENOENT) return fail(errnoError(what, errno));
  return {};
}

}  // namespace multinet::bpf
