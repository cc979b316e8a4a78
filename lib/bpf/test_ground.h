// For tests with programs of control groups, which want root: a bpffs, and a control group whose
// processes they are about.
#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>

#include "lib/bpf/bpffs.h"
#include "lib/bpf/cgroup.h"

namespace multinet::bpf {

/// Throws what can't be had; takes all away with its end.
class TestGround {
 public:
  TestGround() {
    if (!cgroup2Mount()) {  // a bare machine
      check(::mkdir("/run/cgroup2", 0755) == 0 || errno == EEXIST, "make /run/cgroup2");
      check(::mount("none", "/run/cgroup2", "cgroup2", 0, nullptr) == 0, "mount cgroup2");
    }
    static int next = 0;
    const std::string name =
        "multinet-test-" + std::to_string(::getpid()) + "-" + std::to_string(next++);
    directory_ = "/run/" + name;
    if (const auto mounted = mountBpffs(directory_); !mounted) {
      throw std::runtime_error(mounted.error().message);
    }
    parent_ = *cgroup2Mount() + "/" + name;
    group_ = parent_ + "/pods";
    for (const std::string& one : {parent_, group_}) {
      check(::mkdir(one.c_str(), 0755) == 0, "make a control group");
    }
  }
  ~TestGround() {
    const auto gone = forgetBpffs(directory_);
    EXPECT_TRUE(gone) << gone.error().message;
    for (const std::string& one : {group_, parent_}) {
      EXPECT_EQ(::rmdir(one.c_str()), 0) << one << ": " << std::strerror(errno);
    }
  }
  TestGround(const TestGround&) = delete;
  TestGround& operator=(const TestGround&) = delete;

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] const std::string& group() const { return group_; }
  /// Of the control group.
  [[nodiscard]] const std::string& parent() const { return parent_; }

  /// What `work` returns, 0 to 255, in a process of the control group with the loopback up.
  template <class Work>
  [[nodiscard]] int inGroup(const Work& work) const {
    const pid_t child = ::fork();
    if (child == 0) {
      std::ofstream(group_ + "/cgroup.procs") << ::getpid() << std::flush;
      loopbackUp();
      ::_exit(work());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  }

  static void loopbackUp() {
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    static_cast<void>(::ioctl(socket.get(), SIOCSIFFLAGS, &request));
  }

 private:
  static void check(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
  }

  std::string directory_;
  std::string parent_;
  std::string group_;
};

}  // namespace multinet::bpf
