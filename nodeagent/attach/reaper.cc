#include "nodeagent/attach/reaper.h"

#include <set>

#include "lib/base/failpoint.h"
#include "lib/netlink/link.h"
#include "nodeagent/attach/observe.h"

namespace multinet::agent::attach {
namespace {

// A link group of our own: "mnet". No other program uses it by accident.
constexpr std::uint32_t kDoomed = 0x6d6e6574;

Status goneIsFine(Status status) {
  if (!status && status.error().code == Code::NotFound) return {};
  return status;
}

/// The first failure, so that one link that can't go doesn't keep the others.
void note(Status& first, Status status) {
  if (first && !status) first = std::move(status);
}

}  // namespace

Status deleteLinks(netlink::Socket& socket, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  if (names.size() > 1) {
    std::vector<netlink::Request> marks;
    marks.reserve(names.size());
    for (const std::string& name : names) marks.push_back(netlink::setGroup({0, name}, kDoomed));
    bool all = true;
    for (Status& verdict : socket.runAll(marks)) all = all && goneIsFine(std::move(verdict));
    if (all) return goneIsFine(socket.run(netlink::deleteGroup(kDoomed)));
  }
  Status first;
  for (const std::string& name : names) {
    note(first, goneIsFine(socket.run(netlink::deleteLink({0, name}))));
  }
  return first;
}

Status Reaper::inPod(Removal& removal) {
  if (removal.rollback) {
    MULTINET_CHECK(failpoint::check("attach.rollback.before"));
    Status first;
    for (Status& verdict : removal.rollback->pod.socket().runAll(removal.rollback->undo.pod)) {
      note(first, goneIsFine(std::move(verdict)));
    }
    return first;
  }
  MULTINET_CHECK(failpoint::check("detach.before"));
  if (!removal.detach->netns) return {};
  MULTINET_TRY(Pod pod, Pod::open(std::move(*removal.detach->netns)));
  MULTINET_TRY(const auto marked, findMarked(pod.socket()));
  std::vector<std::string> names;
  for (const ObservedInterface& link : marked) {
    if (link.intent == removal.detach->intent) names.push_back(link.link);
  }
  return deleteLinks(pod.socket(), names);
}

/// Removes what is named and what carries the mark of an intent.
Status Reaper::onHost(netlink::Socket& host, const std::set<IntentId>& intents,
                      std::set<std::string> doomed) {
  Status first;
  if (!intents.empty()) {
    const auto marked = findMarked(host);
    if (!marked) note(first, fail(marked.error()));
    for (const ObservedInterface& link : marked.value_or(std::vector<ObservedInterface>{})) {
      if (intents.contains(link.intent)) doomed.insert(link.link);
    }
  }
  note(first, deleteLinks(host, {doomed.begin(), doomed.end()}));
  return first;
}

void Reaper::run(std::vector<Removal> removals) {
  std::vector<Status> results(removals.size());
  std::set<std::string> doomed;
  std::set<IntentId> intents;
  for (std::size_t i = 0; i < removals.size(); ++i) {
    results[i] = inPod(removals[i]);
    if (removals[i].rollback) {
      const auto& links = removals[i].rollback->undo.hostLinks;
      doomed.insert(links.begin(), links.end());
    } else {
      intents.insert(removals[i].detach->intent);
    }
  }
  Status host;
  for (netlink::Socket& side : hosts_) note(host, onHost(side, intents, doomed));
  for (std::size_t i = 0; i < removals.size(); ++i) {
    note(results[i], host);
    note(results[i],
         failpoint::check(removals[i].rollback ? "attach.rollback.after" : "detach.after"));
    removals[i].done(std::move(results[i]));
  }
}

}  // namespace multinet::agent::attach
