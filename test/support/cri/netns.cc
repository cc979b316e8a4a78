#include "test/support/cri/netns.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "lib/base/fd.h"

namespace multinet::support {

Result<ForeignNetns> ForeignNetns::make() {
  std::array<int, 2> ready{};
  if (pipe(ready.data()) != 0) return fail(errnoError("make pipe", errno));
  Fd reading(ready[0]);
  Fd writing(ready[1]);
  const pid_t child = fork();
  if (child < 0) return fail(errnoError("fork holder of a namespace", errno));
  if (child == 0) {  // nothing here that isn't async-signal-safe
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) _exit(1);
    if (write(ready[1], "r", 1) != 1) _exit(1);
    while (true) pause();
  }
  ForeignNetns netns(child);
  writing.reset();
  char byte = 0;
  if (read(reading.get(), &byte, 1) != 1) {
    return fail(Code::PermissionDenied, "NoNamespaces",
                "make network namespace: the kernel refuses one to this user");
  }
  return netns;
}

ForeignNetns::ForeignNetns(ForeignNetns&& other) noexcept
    : child_(std::exchange(other.child_, 0)) {}

std::string ForeignNetns::path() const {
  return "/proc/" + std::to_string(child_) + "/ns/net";
}

void ForeignNetns::vanish() {
  if (child_ == 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
  child_ = 0;
}

}  // namespace multinet::support
