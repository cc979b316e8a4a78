#include "nodeagent/journal/notes.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "lib/base/fd.h"

namespace multinet::agent::journal {
namespace {

/// An ID of ours is letters and digits; nothing else becomes the name of a file.
bool isName(std::string_view id) {
  return !id.empty() && std::ranges::all_of(id, [](char letter) {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || letter == '-';
  });
}

Fd make(const std::string& path) {
  return Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
}

Status writeAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(errnoError("write", errno));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<Notes> Notes::open(const std::string& directory) {
  MULTINET_CHECK(makePrivateDirectory(directory));
  struct statfs status{};
  if (::statfs(directory.c_str(), &status) != 0) {
    return fail(errnoError("statfs " + directory, errno));
  }
  if (status.f_type != TMPFS_MAGIC && status.f_type != RAMFS_MAGIC) {
    return fail(Code::FailedPrecondition, "NotInMemory",
                "keep notes in " + directory + ": it isn't in memory; mount a tmpfs there");
  }
  return Notes(directory);
}

Status Notes::keep(const IntentId& id, std::string_view text) const {
  const std::string context = "note intent " + id.str() + " in " + directory_;
  if (!isName(id.str())) return fail(Code::InvalidArgument, "BadIntentId", context + ": bad ID");
  const std::string path = directory_ + "/" + id.str();
  Fd file = make(path);
  if (!file.valid() && errno == ENOENT && makePrivateDirectory(directory_)) file = make(path);
  if (!file.valid()) return fail(errnoError(context, errno));
  const Status written = writeAll(file.get(), text);
  if (written) return {};
  forget(id);
  return fail(written.error().within(context));
}

void Notes::forget(const IntentId& id) const {
  if (isName(id.str())) ::unlink((directory_ + "/" + id.str()).c_str());
}

Result<std::vector<Notes::Note>> Notes::all() const {
  std::error_code error;
  std::vector<Note> notes;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename().string();
    if (!isName(name)) continue;  // nothing of ours
    auto text = readFile(entry.path().string());
    notes.push_back({name, text ? std::move(*text) : std::string()});
  }
  if (error) return fail(errnoError("read " + directory_, error.value()));
  return notes;
}

}  // namespace multinet::agent::journal
