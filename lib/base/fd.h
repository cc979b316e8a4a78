// A file descriptor that closes itself.
#pragma once

#include <string>
#include <utility>

#include "lib/base/result.h"

namespace multinet {

/// Owns one descriptor; move only. Move-assignment closes the old one.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  /// Gives the descriptor away; this object is empty afterwards.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  /// Closes now.
  void reset();
  /// A second descriptor of the same open file, close-on-exec.
  [[nodiscard]] Result<Fd> duplicate() const;

 private:
  int fd_ = -1;
};

/// The error of a failed system call: `context: strerror(errno)`, with a code that fits errno.
[[nodiscard]] Error errnoError(std::string_view context, int errorNumber);

/// Reads a whole small file (at most `limit` bytes; more is an error).
[[nodiscard]] Result<std::string> readFile(const std::string& path, std::size_t limit = 1U << 20U);

/// Replaces `path` atomically: temporary beside it, fsync, rename, fsync of the directory.
[[nodiscard]] Status writeFileAtomically(const std::string& path, std::string_view content,
                                         unsigned mode = 0600);

/// Makes `path`, for its owner alone, unless it is there; those above it as well.
[[nodiscard]] Status makePrivateDirectory(const std::string& path);

}  // namespace multinet
