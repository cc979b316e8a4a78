#include "lib/kube/exec_credential.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "lib/base/encoding.h"
#include "lib/base/fd.h"
#include "lib/kube/object.h"

namespace multinet::kube {
namespace {

constexpr std::size_t kLongestAnswer = 1U << 20U;
using Time = std::chrono::steady_clock::time_point;

tl::unexpected<Error> failed(const std::string& command, const std::string& why) {
  return fail(Code::Unavailable, "PluginFailed",
              "run credential plugin \"" + command + "\": " + why);
}

bool isProgram(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

/// Where the program is. Relative directories of the PATH don't count: what lies in a working
/// directory is anybody's.
Result<std::string> locate(const ExecPlugin& plugin) {
  const std::string& command = plugin.command;
  if (command.find('/') != std::string::npos) {
    if (isProgram(command)) return command;
  } else {
    const char* variable = std::getenv("PATH");
    const std::string path = variable == nullptr ? "" : variable;
    for (std::size_t begin = 0; begin < path.size();) {
      const auto end = std::min(path.find(':', begin), path.size());
      auto file = path.substr(begin, end - begin) + "/" + command;
      if (file.front() == '/' && isProgram(file)) return file;
      begin = end + 1;
    }
  }
  std::string hint = plugin.installHint;
  // It is shown on terminals, which obey escapes.
  std::ranges::replace_if(hint, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return fail(Code::FailedPrecondition, "NoPlugin",
              "run credential plugin \"" + command + "\": there is no such program; install it" +
                  (hint.empty() ? "" : ": " + hint));
}

Result<std::string> spec(const Config& config) {
  Json spec{{"interactive", false}};
  if (config.exec->providesCluster) {
    MULTINET_TRY(const auto authority, config.certificateAuthority.read());
    Json& cluster = spec["cluster"];
    cluster = {{"server", config.server},
               {"certificate-authority-data", encodeBase64(authority)},
               {"config", nullptr}};
    if (!config.serverName.empty()) cluster["tls-server-name"] = config.serverName;
  }
  return Json{{"kind", "ExecCredential"}, {"apiVersion", config.exec->apiVersion}, {"spec", spec}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Our environment, with the plugin's variables instead of those of the same name.
std::vector<std::string> environmentFor(const ExecPlugin& plugin, const std::string& info) {
  auto own = plugin.environment;
  own.emplace_back("KUBERNETES_EXEC_INFO", info);
  std::vector<std::string> all;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view variable(*one);
    const auto name = variable.substr(0, variable.find('='));
    if (std::ranges::none_of(own, [&](const auto& mine) { return mine.first == name; })) {
      all.emplace_back(variable);
    }
  }
  for (auto& [name, value] : own) all.push_back(name.append("=").append(value));
  return all;
}

std::vector<char*> pointersTo(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// A child in a process group of its own, which ends with this object.
class Child {
 public:
  static Result<Child> start(const std::string& file, std::vector<std::string> arguments,
                             std::vector<std::string> environment, const Fd& output) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output.get(), STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    const int error = posix_spawn(&pid, file.c_str(), &files, &attributes,
                                  pointersTo(arguments).data(), pointersTo(environment).data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) return fail(errnoError("start", error));
    return Child(pid);
  }
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), ends_(std::move(other.ends_)) {}
  Child& operator=(Child&&) = delete;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) static_cast<void>(end());
  }

  /// Readable once it has ended.
  [[nodiscard]] int ends() const { return ends_.get(); }
  /// How it ended, after what is left of its group is gone.
  [[nodiscard]] int end() {
    ::kill(-pid_, SIGKILL);
    int status = -1;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = -1;
    return status;
  }

 private:
  explicit Child(pid_t pid) : pid_(pid), ends_(pidfd(pid)) {}
  // glibc 2.36 declares its function for C only.
  static int pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

  pid_t pid_;
  Fd ends_;
};

/// What it says until it has ended.
Result<std::string> listen(const Child& child, Fd output, Time until) {
  std::string said;
  std::array<char, 4096> bytes{};
  bool isOver = false;
  while (!isOver || output.valid()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    std::array<pollfd, 2> doors{pollfd{isOver ? -1 : child.ends(), POLLIN, 0},
                                pollfd{output.valid() ? output.get() : -1, POLLIN, 0}};
    const int ready =
        ::poll(doors.data(), doors.size(), static_cast<int>(std::max<long>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return fail(Code::DeadlineExceeded, "", "it didn't answer in time");
    if (doors[0].revents != 0) isOver = true;
    if (doors[1].revents == 0) continue;
    const auto count = ::read(output.get(), bytes.data(), bytes.size());
    if (count <= 0) output.reset();
    if (count > 0) said.append(bytes.data(), static_cast<std::size_t>(count));
    if (said.size() > kLongestAnswer) return fail(Code::OutOfRange, "", "its answer is too long");
  }
  return said;
}

Result<std::string> run(const Config& config, Duration limit) {
  const ExecPlugin& plugin = *config.exec;
  const Time until = std::chrono::steady_clock::now() + limit;
  MULTINET_TRY(const auto file, locate(plugin));
  MULTINET_TRY(const auto info, spec(config));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed(plugin.command, std::strerror(errno));
  Fd output(ends[0]);
  Fd input(ends[1]);
  std::vector<std::string> arguments{plugin.command};
  arguments.insert(arguments.end(), plugin.arguments.begin(), plugin.arguments.end());
  auto child = Child::start(file, std::move(arguments), environmentFor(plugin, info), input);
  if (!child) return failed(plugin.command, child.error().message);
  input.reset();
  auto said = listen(*child, std::move(output), until);
  if (!said) return failed(plugin.command, said.error().message);
  const int status = child->end();
  if (!WIFEXITED(status)) return failed(plugin.command, "a signal ended it");
  if (WEXITSTATUS(status) != 0) {
    return failed(plugin.command, "it ended with exit code " + std::to_string(WEXITSTATUS(status)));
  }
  return said;
}

std::string textAt(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Result<ExecCredential> askPlugin(const Config& config, Duration limit) {
  MULTINET_TRY(const auto said, run(config, limit));
  const auto bad = [&](const std::string& why) { return failed(config.exec->command, why); };
  const Json answer = Json::parse(said, nullptr, false);
  if (!answer.is_object()) return bad("its answer is no JSON object");
  if (const auto version = textAt(answer, "apiVersion");
      version != config.exec->apiVersion || textAt(answer, "kind") != "ExecCredential") {
    return bad("its answer must be an ExecCredential of " + config.exec->apiVersion);
  }
  const auto status = answer.find("status");
  if (status == answer.end() || !status->is_object()) return bad("its answer has no status");
  ExecCredential credential{textAt(*status, "token"), textAt(*status, "clientCertificateData"),
                            textAt(*status, "clientKeyData"), std::nullopt};
  if (credential.certificatePem.empty() != credential.keyPem.empty()) {
    return bad("of clientCertificateData and clientKeyData it gave only one");
  }
  if (credential.token.empty() && credential.keyPem.empty()) {
    return bad("it gave neither a token nor a certificate");
  }
  if (const auto text = textAt(*status, "expirationTimestamp"); !text.empty()) {
    auto expires = parseTime(text);
    if (!expires) return bad("expirationTimestamp: " + expires.error().message);
    credential.expires = *expires;
  }
  return credential;
}

}  // namespace multinet::kube
