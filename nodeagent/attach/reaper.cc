#include "nodeagent/attach/reaper.h"

#include <algorithm>

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

Status firstOf(const std::map<std::string, Error>& left, const std::set<std::string>& names) {
  for (const auto& [name, error] : left) {
    if (names.contains(name)) return fail(error);
  }
  return {};
}

/// False where the kernel refused: it then has deleted none of them.
bool deleteTogether(netlink::Socket& socket, const std::set<std::string>& names) {
  std::vector<netlink::Request> marks;
  marks.reserve(names.size());
  for (const std::string& name : names) marks.push_back(netlink::setGroup({0, name}, kDoomed));
  bool all = true;
  for (Status& verdict : socket.runAll(marks)) all = all && goneIsFine(std::move(verdict));
  return all && goneIsFine(socket.run(netlink::deleteGroup(kDoomed)));
}

}  // namespace

std::map<std::string, Error> deleteLinks(netlink::Socket& socket,
                                         const std::set<std::string>& names) {
  std::map<std::string, Error> left;
  if (names.size() > 1 && deleteTogether(socket, names)) return left;
  for (const std::string& name : names) {
    const Status gone = goneIsFine(socket.run(netlink::deleteLink({0, name})));
    if (gone) continue;
    left.emplace(name, gone.error());
    // Else it would keep every later group from being deleted.
    if (names.size() > 1) static_cast<void>(socket.run(netlink::setGroup({0, name}, 0)));
  }
  return left;
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
  std::set<std::string> names;
  for (const ObservedInterface& link : marked) {
    if (link.intent == removal.detach->intent) names.insert(link.link);
  }
  return firstOf(deleteLinks(pod.socket(), names), names);
}

// What can't go fails its own removal alone.
void Reaper::run(std::vector<Removal> removals) {
  std::vector<Status> results(removals.size());
  for (std::size_t i = 0; i < removals.size(); ++i) results[i] = inPod(removals[i]);
  std::set<std::string> gone;
  for (netlink::Socket& host : hosts_) {
    const std::vector<std::set<std::string>> links = hostLinks(host, removals, results);
    std::set<std::string> doomed;
    for (const auto& of : links) doomed.insert(of.begin(), of.end());
    const std::map<std::string, Error> left = deleteLinks(host, doomed);
    for (std::size_t i = 0; i < removals.size(); ++i) note(results[i], firstOf(left, links[i]));
    std::erase_if(doomed, [&](const std::string& name) { return left.contains(name); });
    gone.merge(doomed);
  }
  releasePorts(removals, results, std::move(gone));
  for (std::size_t i = 0; i < removals.size(); ++i) {
    note(results[i],
         failpoint::check(removals[i].rollback ? "attach.rollback.after" : "detach.after"));
    removals[i].done(std::move(results[i]));
  }
}

/// After the links: a port whose link couldn't be removed keeps its rules.
void Reaper::releasePorts(const std::vector<Removal>& removals, const std::vector<Status>& results,
                          std::set<std::string> gone) {
  std::vector<IntentId> intents;
  for (std::size_t i = 0; i < removals.size(); ++i) {
    if (!results[i]) continue;
    if (removals[i].detach) intents.push_back(removals[i].detach->intent);
    if (removals[i].rollback) {
      gone.insert(removals[i].rollback->ports.begin(), removals[i].rollback->ports.end());
    }
  }
  guards_.release({gone.begin(), gone.end()}, intents);
}

std::vector<std::set<std::string>> Reaper::hostLinks(netlink::Socket& host,
                                                     const std::vector<Removal>& removals,
                                                     std::vector<Status>& results) {
  std::vector<std::set<std::string>> links(removals.size());
  std::map<IntentId, std::set<std::string>> marked;
  Status looked;
  if (std::any_of(removals.begin(), removals.end(),
                  [](const auto& one) { return one.detach.has_value(); })) {
    const auto found = findMarked(host);
    if (!found) looked = fail(found.error());
    for (const ObservedInterface& link : found.value_or(std::vector<ObservedInterface>{})) {
      marked[link.intent].insert(link.link);
    }
  }
  for (std::size_t i = 0; i < removals.size(); ++i) {
    if (removals[i].rollback) {
      const auto& made = removals[i].rollback->undo.hostLinks;
      links[i].insert(made.begin(), made.end());
    } else {
      links[i] = marked[removals[i].detach->intent];
      note(results[i], looked);
    }
  }
  return links;
}

}  // namespace multinet::agent::attach
