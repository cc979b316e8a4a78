#include "nodeagent/crash_count.h"

#include <charconv>
#include <filesystem>
#include <utility>

#include "lib/base/fd.h"
#include "lib/base/log.h"

namespace multinet::agent {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLargestFile = 4096;

}  // namespace

CrashCount::CrashCount(std::string path, const Clock& clock, CrashLimits limits)
    : path_(std::move(path)), clock_(clock), limits_(limits) {}

std::int64_t CrashCount::now() const {
  return clock_.wall().time_since_epoch() / milliseconds(1);
}

CrashCount::Starts CrashCount::read() const {
  const auto text = readFile(path_, kLargestFile);
  if (!text) {
    if (text.error().code != Code::NotFound) {
      log::warn("can't read the starts of before", {{"error", text.error()}});
    }
    return {};
  }
  const std::int64_t latest = now();
  const std::int64_t earliest = latest - limits_.within / milliseconds(1);
  Starts starts;
  const char* at = text->data();
  const char* const end = at + text->size();
  while (at < end) {
    std::int64_t start = 0;
    const auto parsed = std::from_chars(at, end, start);
    // A wall clock that was set may leave times to come.
    if (parsed.ec == std::errc() && start > earliest && start <= latest) starts.push_back(start);
    at = parsed.ptr + 1;
  }
  return starts;
}

void CrashCount::write(const Starts& starts) const {
  std::string text;
  for (const std::int64_t start : starts) text += std::to_string(start) + "\n";
  Status done = makePrivateDirectory(std::filesystem::path(path_).parent_path().string());
  if (done) done = writeFileAtomically(path_, text);
  if (!done) log::warn("can't write down this start", {{"error", done.error()}});
}

bool CrashCount::begin() {
  Starts starts = read();
  const bool tooMany = starts.size() >= limits_.starts;
  // No more than decide: the file stays small whatever restarts the agent.
  if (tooMany) starts.erase(starts.begin(), starts.end() - (limits_.starts - 1));
  own_ = now();
  starts.push_back(own_);
  write(starts);
  return tooMany;
}

void CrashCount::settle() {
  if (std::exchange(own_, 0) != 0) write({});
}

void CrashCount::end() {
  if (own_ == 0) return;
  Starts starts = read();
  std::erase(starts, std::exchange(own_, 0));
  write(starts);
}

void CrashCount::tryAgain() {
  own_ = now();
  write(Starts(limits_.starts, own_));
}

}  // namespace multinet::agent
