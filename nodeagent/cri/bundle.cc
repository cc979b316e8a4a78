// Namespace of a sandbox from the OCI bundle of its task: 50 us, where a verbose status takes over
// a millisecond.
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
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

/// The list `/linux/namespaces`; something else where there is none.
nlohmann::json namespacesIn(const std::string& config) {
  using Json = nlohmann::json;
  // As Go writes it the list is found without reading the hundred values around it. Within a text
  // the quotes would be escaped, and no other list has that name.
  constexpr std::string_view kList = "\"namespaces\":[";
  if (const auto at = config.find(kList); at != std::string::npos) {
    const auto begin = at + kList.size() - 1;
    const auto end = std::min(config.find(']', begin), config.size() - 1) + 1;
    auto list = Json::parse(config.data() + begin, config.data() + end, nullptr, false);
    if (list.is_array()) return list;
  }
  const auto whole = Json::parse(config, nullptr, false);
  const auto path = "/linux/namespaces"_json_pointer;
  return whole.is_object() && whole.contains(path) ? whole.at(path) : Json();
}

Result<std::string> netnsPathIn(const std::string& config, const std::string& where) {
  const auto namespaces = namespacesIn(config);
  if (!namespaces.is_array()) {
    return fail(Code::FailedPrecondition, "Malformed", "read " + where + ": no namespaces in it");
  }
  for (const auto& entry : namespaces) {
    if (!entry.is_object() || entry.value("type", nlohmann::json()) != "network") continue;
    const auto found = entry.find("path");
    if (found != entry.end() && found->is_string()) return found->get<std::string>();
  }
  return fail(Code::FailedPrecondition, "NoNetns",
              "read " + where + ": no network namespace in it");
}

/// `process` is its directory in /proc, `path` what is told where it can't be read.
Result<bool> isNetnsOf(const Fd& netns, const std::string& process, const std::string& path) {
  struct stat one{};
  struct stat other{};
  if (stat((process + "/ns/net").c_str(), &one) != 0 || fstat(netns.get(), &other) != 0) {
    const Error error =
        errnoError("compare network namespace \"" + path + "\" with " + process + "/ns/net", errno);
    // A process that is gone took its sandbox along; NotFound would have the runtime asked.
    return fail(Code::FailedPrecondition, "NetnsUnknown", error.message);
  }
  return one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

/// None where the shim writes no such file.
Result<std::optional<pid_t>> processIn(const std::string& bundle) {
  const std::string where = bundle + "/init.pid";
  const auto text = readFile(where, kIdLimit);
  if (!text) {
    if (text.error().code == Code::NotFound) return std::optional<pid_t>();
    return fail(text.error());
  }
  pid_t pid = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), pid);
  if (parsed.ec != std::errc() || pid <= 0) {
    return fail(Code::FailedPrecondition, "Malformed", "read " + where + ": no process in it");
  }
  return pid;
}

}  // namespace

Result<Fd> openNetns(const std::string& path, std::optional<pid_t> process) {
  // Non-blocking: the path may have become a FIFO or a terminal.
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return fail(errnoError("open network namespace \"" + path + "\"", errno));
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return fail(Code::FailedPrecondition, "NotANetns",
                "open network namespace \"" + path + "\": it is no network namespace");
  }
  MULTINET_TRY(const bool own, isNetnsOf(fd, "/proc/thread-self", path));
  if (own) {
    return fail(Code::FailedPrecondition, "HostNetns",
                "open network namespace \"" + path + "\": it is the host's own");
  }
  if (!process) return fd;
  const std::string pid = std::to_string(*process);
  MULTINET_TRY(const bool same, isNetnsOf(fd, "/proc/" + pid, path));
  if (!same) {
    return fail(Code::FailedPrecondition, "ForeignNetns",
                "open network namespace \"" + path + "\": the sandbox's process " + pid +
                    " is in another one");
  }
  return fd;
}

Result<Fd> netnsOfBundle(const std::string& stateDir, const SandboxId& id) {
  if (!plausible(id)) {
    return fail(Code::InvalidArgument, "SandboxId",
                "find sandbox \"" + id.str() + "\": an ID has 1 to 128 letters, digits, _ or -");
  }
  const auto bundle = stateDir + "/io.containerd.runtime.v2.task/k8s.io/" + id.str();
  const auto where = bundle + "/config.json";
  MULTINET_TRY(const auto config, readFile(where));
  MULTINET_TRY(const auto path, netnsPathIn(config, where));
  MULTINET_TRY(const auto process, processIn(bundle));
  return openNetns(path, process);
}

}  // namespace multinet::agent::cri
