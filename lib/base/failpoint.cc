#include "lib/base/failpoint.h"

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace multinet::failpoint {
namespace internal {
std::atomic<bool> armed{false};
}
namespace {

enum class Action { Kill, Stop, Error, Delay };

struct Entry {
  std::string name;  // exact, or a prefix where `glob`
  bool glob = false;
  unsigned at = 0;  // 0: every time; N: only the N-th match
  unsigned seen = 0;
  Action action = Action::Kill;
  std::chrono::milliseconds delay{0};
};

std::mutex mutex;
std::vector<Entry>& entries() {
  static std::vector<Entry> list;
  return list;
}

Result<unsigned> number(std::string_view text, std::string_view entry) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(
        Code::InvalidArgument, "InvalidFailpoint",
        "arm failpoint \"" + std::string(entry) + "\": \"" + std::string(text) + "\" is no number");
  }
  return value;
}

Result<Entry> parse(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(Code::InvalidArgument, "InvalidFailpoint",
                "arm failpoint \"" + std::string(text) + "\": must be NAME[@N]=ACTION");
  }
  Entry entry;
  std::string_view place = text.substr(0, equals);
  const std::string_view action = text.substr(equals + 1);
  if (const auto at = place.find('@'); at != std::string_view::npos) {
    MULTINET_TRY(entry.at, number(place.substr(at + 1), text));
    place = place.substr(0, at);
  }
  entry.glob = place.ends_with('*');
  if (entry.glob) place.remove_suffix(1);
  entry.name = place;
  if (action == "kill") {
    entry.action = Action::Kill;
  } else if (action == "stop") {
    entry.action = Action::Stop;
  } else if (action == "error") {
    entry.action = Action::Error;
  } else if (action.starts_with("delay:")) {
    entry.action = Action::Delay;
    MULTINET_TRY(const unsigned milliseconds, number(action.substr(6), text));
    entry.delay = std::chrono::milliseconds(milliseconds);
  } else {
    return fail(Code::InvalidArgument, "InvalidFailpoint",
                "arm failpoint \"" + std::string(text) +
                    "\": the action must be kill, stop, error or delay:MILLISECONDS");
  }
  return entry;
}

/// Straight to standard error, since the log's queue dies with the process: whoever counts places
/// learns which one this was.
void tell(std::string_view name, std::string_view action) {
  const std::string line = "failpoint " + std::string(name) + ": " + std::string(action) + "\n";
  static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
}

}  // namespace

Status arm(std::string_view specification) {
  std::vector<Entry> parsed;
  while (!specification.empty()) {
    const auto end = specification.find(';');
    const std::string_view one = specification.substr(0, end);
    specification = end == std::string_view::npos ? "" : specification.substr(end + 1);
    if (one.empty()) continue;
    MULTINET_TRY(Entry entry, parse(one));
    parsed.push_back(std::move(entry));
  }
  const std::scoped_lock lock(mutex);
  entries() = std::move(parsed);
  internal::armed = !entries().empty();
  return {};
}

namespace internal {

Status hit(std::string_view name) {
  Action action{};
  std::chrono::milliseconds delay{};
  {
    const std::scoped_lock lock(mutex);
    Entry* found = nullptr;
    for (Entry& entry : entries()) {
      const bool matches = entry.glob ? name.starts_with(entry.name) : name == entry.name;
      if (!matches) continue;
      ++entry.seen;
      if (found == nullptr && (entry.at == 0 || entry.at == entry.seen)) found = &entry;
    }
    if (found == nullptr) return {};
    action = found->action;
    delay = found->delay;
  }
  switch (action) {
    case Action::Kill:
      tell(name, "kill");
      static_cast<void>(std::raise(SIGKILL));
      break;
    case Action::Stop:
      tell(name, "stop");
      static_cast<void>(std::raise(SIGSTOP));
      break;
    case Action::Delay:
      std::this_thread::sleep_for(delay);
      break;
    case Action::Error:
      return fail(Code::Internal, "Failpoint", "failpoint " + std::string(name) + ": armed error");
  }
  return {};
}

}  // namespace internal
}  // namespace multinet::failpoint
