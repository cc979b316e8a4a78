// Removes links: rollbacks and detaches, many for the price of one.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nodeagent/attach/apply.h"
#include "nodeagent/attach/ports.h"

namespace multinet::agent::attach {

/// Take back a failed attach; `done` gets the attach's own error afterwards.
struct Rollback {
  Pod pod;
  Undo undo;
  std::vector<std::string> ports{};  ///< that were secured for it
};
struct Detach {
  IntentId intent;
  std::optional<Fd> netns;
};

/// One thing to remove. `done` is called once, with what became of it.
struct Removal {
  std::optional<Rollback> rollback;
  std::optional<Detach> detach;
  async::Answer<void> done;
};

/// Lives on the reaper thread.
class Reaper {
 public:
  /// Sockets in all namespaces that may have host ends of links.
  Reaper(std::vector<netlink::Socket> hosts, Guards guards)
      : hosts_(std::move(hosts)), guards_(guards) {}
  /// Removes all, then answers all.
  void run(std::vector<Removal> removals);

 private:
  [[nodiscard]] Status inPod(Removal& removal);
  /// Of each removal, on one side of the host; where the kernel couldn't be asked its result says
  /// so.
  [[nodiscard]] static std::vector<std::set<std::string>> hostLinks(
      netlink::Socket& host, const std::vector<Removal>& removals, std::vector<Status>& results);
  void releasePorts(const std::vector<Removal>& removals, const std::vector<Status>& results,
                    std::set<std::string> gone);
  std::vector<netlink::Socket> hosts_;
  Guards guards_;
};

/// Why each of these links couldn't be deleted; empty where all are gone. Links of the socket's
/// namespace; those that aren't there (any more) count as deleted. One link costs 16 ms of RCU
/// wait, a group of a hundred 25 ms; where the kernel refuses a group each is tried by itself.
[[nodiscard]] std::map<std::string, Error> deleteLinks(netlink::Socket& socket,
                                                       const std::set<std::string>& names);

}  // namespace multinet::agent::attach
