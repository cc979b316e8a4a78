// Namespace of a sandbox from the OCI bundle of its task: 50 us, where a verbose status takes over
// a millisecond.
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "nodeagent/cri/runtime_client.h"

namespace multinet::agent::cri {
namespace {

constexpr std::size_t kIdLimit = 128;

/// An ID becomes a part of a path: nothing but letters, digits, `_`, `-`.
bool plausible(const SandboxId& id) {
  const auto& text = id.str();
  return !text.empty() && text.size() <= kIdLimit &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '_' || c == '-';
         });
}

Result<std::string> netnsPathIn(const std::string& config, const std::string& where) {
  const auto json = nlohmann::json::parse(config, nullptr, false);
  const auto path = "/linux/namespaces"_json_pointer;
  if (json.is_discarded() || !json.contains(path) || !json.at(path).is_array()) {
    return fail(Code::FailedPrecondition, "Malformed", "read " + where + ": no namespaces in it");
  }
  for (const auto& entry : json.at(path)) {
    if (!entry.is_object() || entry.value("type", nlohmann::json()) != "network") continue;
    const auto found = entry.find("path");
    if (found != entry.end() && found->is_string()) return found->get<std::string>();
  }
  return fail(Code::FailedPrecondition, "NoNetns",
              "read " + where + ": no network namespace in it");
}

}  // namespace

Result<Fd> openNetns(const std::string& path) {
  // Non-blocking: the path may have become a FIFO or a terminal.
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return fail(errnoError("open network namespace \"" + path + "\"", errno));
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return fail(Code::FailedPrecondition, "NotANetns",
                "open network namespace \"" + path + "\": it is no network namespace");
  }
  struct stat own{};
  struct stat other{};
  if (stat("/proc/thread-self/ns/net", &own) != 0 || fstat(fd.get(), &other) != 0) {
    return fail(errnoError("compare network namespace \"" + path + "\"", errno));
  }
  if (own.st_ino == other.st_ino && own.st_dev == other.st_dev) {
    return fail(Code::FailedPrecondition, "HostNetns",
                "open network namespace \"" + path + "\": it is the host's own");
  }
  return fd;
}

Result<Fd> netnsOfBundle(const std::string& stateDir, const SandboxId& id) {
  if (!plausible(id)) {
    return fail(Code::InvalidArgument, "SandboxId",
                "find sandbox \"" + id.str() + "\": an ID has 1 to 128 letters, digits, _ or -");
  }
  const auto where =
      stateDir + "/io.containerd.runtime.v2.task/k8s.io/" + id.str() + "/config.json";
  MULTINET_TRY(const auto config, readFile(where));
  MULTINET_TRY(const auto path, netnsPathIn(config, where));
  return openNetns(path);
}

}  // namespace multinet::agent::cri
