// Network namespaces that outlive the process that made them.
#pragma once

#include <string>

#include "lib/base/fd.h"
#include "lib/base/result.h"

namespace multinet::netns {

/// The namespace that is mounted at `path`, or a new one that is from now on. The mount keeps it
/// and all its links alive until it is taken away, whoever ends before; the directory must be in
/// the mount namespace of whoever comes next. InvalidArgument where it is the calling thread's own.
[[nodiscard]] Result<Fd> keep(const std::string& path);

/// Mounts a kept namespace at `path` again where somebody took its mount away: true then, false
/// where it is there. Without it the links would end with the process that holds the descriptor.
[[nodiscard]] Result<bool> keepAgain(const Fd& netns, const std::string& path);

/// Takes the mount and its file away; with the last descriptor the namespace and its links go.
/// Nothing there is success.
[[nodiscard]] Status forget(const std::string& path);

}  // namespace multinet::netns
