// Control groups of version 2, to which programs are attached.
#pragma once

#include <string>

#include "lib/base/fd.h"

namespace multinet::bpf {

/// Where the hierarchy of version 2 is mounted, by `/proc/self/mountinfo`; beside version 1 it may
/// be anywhere. Unavailable/NoCgroup2 where it isn't.
[[nodiscard]] Result<std::string> cgroup2Mount();
/// The same of that file's text. Pure.
[[nodiscard]] Result<std::string> cgroup2MountIn(const std::string& mountinfo);

/// A directory of that hierarchy. NotFound where there is none.
[[nodiscard]] Result<Fd> openCgroup(const std::string& path);

/// Whether a program may be attached at `path`, which is `mount` or below it, without harm. Where
/// it or a group above has a program that suffers no other, the kernel refuses; where that gives
/// way (BPF_F_ALLOW_OVERRIDE), ours would silently replace it. FailedPrecondition/CgroupTaken names
/// the group. `attachType` is the kernel's (`enum bpf_attach_type`).
[[nodiscard]] Status checkAttach(const std::string& mount, const std::string& path, int attachType);

}  // namespace multinet::bpf
