#include "lib/base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace multinet {
namespace {

Code codeOf(int errorNumber) {
  switch (errorNumber) {
    case ENOENT:
    case ENODEV:
    case ESRCH:
    case ENXIO:
    case EADDRNOTAVAIL:
      return Code::NotFound;
    case EEXIST:
      return Code::AlreadyExists;
    case EPERM:
    case EACCES:
      return Code::PermissionDenied;
    case EINVAL:
    case ENAMETOOLONG:
    case ERANGE:
    case EAFNOSUPPORT:
      return Code::InvalidArgument;
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
      return Code::ResourceExhausted;
    case ETIMEDOUT:
      return Code::DeadlineExceeded;
    case EBUSY:
    case EAGAIN:
    case ENOBUFS:
    case EINTR:
    case EADDRINUSE:
    case ECONNREFUSED:
    case ECONNRESET:
    case ENETDOWN:
      return Code::Unavailable;
    case EOPNOTSUPP:
    case ENOSYS:
      return Code::Unimplemented;
    default:
      return Code::Internal;
  }
}

Status writeAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(errnoError("write file " + path, errno));
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Fd> Fd::duplicate() const {
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return fail(errnoError("duplicate descriptor", errno));
  return Fd(copy);
}

Error errnoError(std::string_view context, int errorNumber) {
  std::array<char, 256> buffer{};
  const char* text = ::strerror_r(errorNumber, buffer.data(), buffer.size());
  return Error{codeOf(errorNumber), "SystemError", std::string(context) + ": " + text};
}

Result<std::string> readFile(const std::string& path, std::size_t limit) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errnoError("open file " + path, errno));
  std::string content;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(errnoError("read file " + path, errno));
    }
    if (got == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(got));
    if (content.size() > limit) {
      return fail(Code::ResourceExhausted, "FileTooLarge",
                  "read file " + path + ": larger than " + std::to_string(limit) + " bytes");
    }
  }
}

Status writeFileAtomically(const std::string& path, std::string_view content, unsigned mode) {
  const std::string temporary = path + ".new";
  Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
               static_cast<mode_t>(mode)));
  if (!fd.valid()) return fail(errnoError("create file " + temporary, errno));
  MULTINET_CHECK(writeAll(fd.get(), content, temporary));
  if (::fsync(fd.get()) != 0) return fail(errnoError("sync file " + temporary, errno));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail(errnoError("rename file " + temporary + " to " + path, errno));
  }
  const std::string directory = std::filesystem::path(path).parent_path().string();
  Fd parent(
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || ::fsync(parent.get()) != 0) {
    return fail(errnoError("sync directory " + directory, errno));
  }
  return {};
}

Status makePrivateDirectory(const std::string& path) {
  const std::filesystem::path target(path);
  std::error_code error;
  std::filesystem::create_directories(target.parent_path(), error);
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno == EEXIST && std::filesystem::is_directory(target, error)) return {};
  return fail(errnoError("make directory " + path, errno));
}

}  // namespace multinet
