#include "nodeagent/cleanup.h"

#include <algorithm>
#include <filesystem>
#include <future>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/clock.h"
#include "lib/bpf/bpffs.h"
#include "lib/netns/keep.h"
#include "lib/netns/netns.h"
#include "nodeagent/gateway/room.h"
#include "nodeagent/isolation/port_guard.h"
#include "nodeagent/journal/sqlite_journal.h"
#include "nodeagent/networks/clear_node.h"
#include "nodeagent/open_pods.h"
#include "nodeagent/policy/guard.h"

namespace multinet::agent {
namespace {

namespace fs = std::filesystem;

/// Where containerd keeps the tasks of Kubernetes' pods, below its state directory.
constexpr auto kTasks = "io.containerd.runtime.v2.task/k8s.io";

/// Whether the sandbox may still be there. A runtime that keeps no such directory is asked by
/// nobody: then the journal's word counts.
bool exists(const SandboxId& sandbox, const std::string& runtimeStateDir) {
  std::error_code ignored;
  const fs::path tasks = fs::path(runtimeStateDir) / kTasks;
  return !fs::exists(tasks, ignored) || fs::exists(tasks / sandbox.str(), ignored);
}

Result<journal::Loaded> load(journal::SqliteJournal& journal) {
  auto answer = std::make_shared<std::promise<Result<journal::Loaded>>>();
  journal.load([answer](Result<journal::Loaded> loaded) { answer->set_value(std::move(loaded)); });
  return answer->get_future().get();
}

struct Held {
  std::vector<std::string> pods;
  std::set<IntentId> intents;
};

/// Pods that hold interfaces, by the journal; it must be there.
Result<Held> holders(const std::string& file, const Settings& settings) {
  const SystemClock clock;
  journal::SqliteJournal journal(file, {.clock = &clock, .notes = notesPathOf(settings)});
  MULTINET_TRY(const journal::Loaded loaded, load(journal));
  Held held;
  for (const journal::Record& record : loaded.records) {
    if (journal::isReleased(record) || record.sandbox.str().empty()) continue;
    if (!exists(record.sandbox, settings.runtimeStateDir)) continue;
    held.pods.push_back(record.pod.str());
    held.intents.insert(record.id);
  }
  std::ranges::sort(held.pods);
  const auto repeated = std::ranges::unique(held.pods);
  held.pods.erase(repeated.begin(), repeated.end());
  return held;
}

/// Files of the agent's making only: the directory may be somebody else's too.
void forgetState(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("journal.db") || name.starts_with("starts")) fs::remove(entry, ignored);
  }
  fs::remove(directory, ignored);  // where it is empty
}

// With a socket of systemd's making there is no path: then it is the packaged one.
std::string besideTheSocket(const Settings& settings) {
  const auto slash = settings.listen.rfind('/');
  return slash == std::string::npos ? "/run/multinet" : settings.listen.substr(0, slash);
}

}  // namespace

std::string switchPathOf(const Settings& settings) {
  if (settings.switchNetns == "none") return "";
  if (!settings.switchNetns.empty()) return settings.switchNetns;
  return besideTheSocket(settings) + "/switch";
}

std::string notesPathOf(const Settings& settings) {
  return besideTheSocket(settings) + "/notes";
}

std::string bpfPathOf(const Settings& settings) {
  return settings.bpfDir.empty() ? besideTheSocket(settings) + "/bpf" : settings.bpfDir;
}

std::string gatewayPathOf(const Settings& settings) {
  return besideTheSocket(settings) + "/gateways";
}

Status clearKernel(const Settings& settings) {
  // First: bridges go once no gateway is on them.
  MULTINET_CHECK(gateway::clearGateways(gatewayPathOf(settings)));
  const std::string switchPath = switchPathOf(settings);
  std::optional<Fd> netns;
  if (!switchPath.empty()) {
    if (auto there = netns::openPath(switchPath)) netns = std::move(*there);
  }
  MULTINET_TRY(const auto orphans, networks::clearNode(std::move(netns)));
  if (!orphans.empty()) {
    return fail(Code::FailedPrecondition, "InUse",
                "leave the node: bridge " + orphans.front().device + " still has " +
                    std::to_string(orphans.front().interfaces) +
                    " interfaces of pods; end those pods first");
  }
  MULTINET_CHECK(bpf::forgetBpffs(bpfPathOf(settings)));
  MULTINET_CHECK(isolation::PortGuard::clear());
  if (switchPath.empty()) MULTINET_CHECK(policing::PolicyGuard::clear());
  // With the switch's namespace its rules go too.
  return switchPath.empty() ? Status{} : netns::forget(switchPath);
}

Result<std::vector<std::string>> cleanUp(const Settings& settings, Rules rules) {
  const std::string file = settings.stateDir + "/journal.db";
  std::error_code ignored;
  if (fs::exists(file, ignored)) {
    MULTINET_TRY(auto held, holders(file, settings));
    if (!held.pods.empty() && rules == Rules::Go) {
      MULTINET_CHECK(openPods(
          settings, [&](const IntentId& intent) { return held.intents.contains(intent); }));
    }
    if (!held.pods.empty()) return std::move(held.pods);
  }
  MULTINET_CHECK(clearKernel(settings));
  forgetState(settings.stateDir);
  fs::remove_all(notesPathOf(settings), ignored);
  return std::vector<std::string>{};
}

}  // namespace multinet::agent
