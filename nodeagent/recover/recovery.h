// At start: compares the journal with the runtime and the kernel, then lets the owner of the
// sandboxes serve. Always, not only where the journal says that it was lost: a file that was cut to
// nothing, or an older copy of it, is a valid one.
//
// Until that is done calls for networks wait, bounded; plain pods never do. Nothing here needs the
// API server.
#pragma once

#include <functional>
#include <string>

#include "lib/async/backoff.h"
#include "lib/async/lane.h"
#include "nodeagent/recover/decide.h"
#include "nodeagent/sandbox/owner.h"

namespace multinet::agent::recover {

struct Options {
  std::string bootId;
  Duration quarantine = std::chrono::seconds(60);
  Duration firstWait = std::chrono::milliseconds(100);  ///< after a failure; doubles up to
  Duration longestWait = std::chrono::seconds(5);
  /// Hears of the journal once it is open, on recovery's lane; must not block.
  std::function<void(const journal::Loaded&)> opened = [](const journal::Loaded&) {};
};

/// The dependencies and the owner outlive it.
class Recovery {
 public:
  Recovery(const sandbox::Dependencies& dependencies, sandbox::Owner& owner, Options options);
  ~Recovery() { lane_.stop(); }
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  /// Returns at once; tries until the journal opens and the runtime answers.
  void start();

 private:
  void load();
  void list();
  void look(std::vector<sandbox::RuntimeSandbox> sandboxes);
  void conclude(const Facts& facts);
  [[nodiscard]] std::vector<sandbox::Restored> adoptUnknown(const Facts& facts);
  /// Holds what the journal, the kernel and the adopted records say.
  [[nodiscard]] addresses::Books restoreAddresses(const std::vector<sandbox::Restored>& restored);
  void again(void (Recovery::*step)(), const char* reason, const Error& error);

  sandbox::Dependencies dependencies_;
  sandbox::Owner& owner_;
  Options options_;
  journal::Loaded loaded_;
  async::Backoff backoff_;
  async::Lane lane_;
};

}  // namespace multinet::agent::recover
