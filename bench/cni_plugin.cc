#include "bench/cni_plugin.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace multinet::bench {
namespace {

/// What a descriptor is called in another process.
std::string pathOf(const Fd& fd) {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd.get());
}

Result<Fd> memoryFile(const char* name) {
  Fd fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return fail(errnoError("make file in memory", errno));
  return fd;
}

Result<int> spawnAndWait(const std::string& program, std::vector<std::string> environment,
                         const std::string& input, const std::string& output) {
  std::vector<char*> variables;
  variables.reserve(environment.size() + 1);
  for (std::string& text : environment) variables.push_back(text.data());
  variables.push_back(nullptr);
  std::string name = program;
  std::array<char*, 2> arguments{name.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_TRUNC, 0);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail(errnoError("execute " + program, error));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return fail(errnoError("wait for " + program, errno));
  }
  return status;
}

}  // namespace

Result<CniPlugin> CniPlugin::prepare(std::string program, std::string plugins,
                                     const std::string& config) {
  MULTINET_TRY(Fd input, memoryFile("cni-config"));
  MULTINET_TRY(Fd output, memoryFile("cni-result"));
  if (write(input.get(), config.data(), config.size()) != static_cast<ssize_t>(config.size())) {
    return fail(errnoError("write configuration for " + program, errno));
  }
  return CniPlugin(std::move(program), std::move(plugins), std::move(input), std::move(output));
}

Status CniPlugin::run(const std::string& command, const std::string& interface,
                      const Fd& netns) const {
  MULTINET_TRY(
      const int status,
      spawnAndWait(program_,
                   {"CNI_COMMAND=" + command, "CNI_CONTAINERID=bench", "CNI_IFNAME=" + interface,
                    "CNI_NETNS=" + pathOf(netns), "CNI_PATH=" + plugins_, "CNI_ARGS="},
                   pathOf(config_), pathOf(output_)));
  if (status == 0) return {};
  const auto said = readFile(pathOf(output_));
  return fail(Code::Internal, "PluginFailed",
              "execute " + program_ + " " + command + ": status " + std::to_string(status) + ": " +
                  (said ? *said : said.error().message));
}

}  // namespace multinet::bench
