#include "bench/child.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "lib/base/fd.h"

namespace multinet::bench {
namespace {

/// `VmRSS:     1234 kB`; 0 where there is no such line.
long fieldOf(std::string_view text, std::string_view name) {
  const auto field = text.find(name);
  if (field == std::string_view::npos) return 0;
  const auto digit = text.find_first_of("0123456789", field);
  if (digit == std::string_view::npos) return 0;
  long value = 0;
  std::from_chars(text.data() + digit, text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<Child> Child::start(std::vector<std::string> words) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, words.front().c_str(), nullptr, nullptr, arguments.data(), environ);
  if (error != 0) return fail(errnoError("execute " + words.front(), error));
  return Child(pid);
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

Child::~Child() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::chrono::nanoseconds Child::used() const {
  clockid_t clock{};
  timespec now{};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &now) != 0) return {};
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

Result<ChildMemory> Child::memory() const {
  MULTINET_TRY(const std::string text, readFile("/proc/" + std::to_string(pid_) + "/status"));
  return ChildMemory{fieldOf(text, "VmRSS:"), fieldOf(text, "RssAnon:"), fieldOf(text, "VmHWM:")};
}

}  // namespace multinet::bench
