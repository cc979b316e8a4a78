#include "nodeagent/attach/announcer.h"

#include <array>
#include <memory>
#include <utility>

#include "lib/base/log.h"
#include "lib/netns/netns.h"
#include "nodeagent/attach/announcement.h"

namespace multinet::agent::attach {
namespace {

using std::chrono::milliseconds;

/// Waits before each round. The first lets a veth's queue start: a frame before that is dropped.
constexpr std::array<milliseconds, 3> kPauses = {milliseconds(10), milliseconds(990),
                                                 milliseconds(2000)};
/// Pods in the middle of it; more than that start only when a node comes up.
constexpr std::size_t kMost = 256;

Status sendOne(const Fd& netns, int linkIndex, const Announcement& announcement) {
  MULTINET_TRY(const auto scope, netns::Scope::enter(netns));
  MULTINET_TRY(auto socket, netns::PacketSocket::open(linkIndex, announcement.ethertype));
  return socket.send(announcement.frame);
}

}  // namespace

std::optional<Announcer::Ticket> Announcer::hold(const IntentId& intent, Fd netns,
                                                 const std::vector<InterfaceStatus>& interfaces) {
  std::vector<Told> addresses;
  for (const InterfaceStatus& interface : interfaces) {
    const InterfacePlan& plan = interface.plan;
    if (!traitsOf(plan.link).isAnnounced) continue;
    for (const AddressPlan& one : plan.addresses) {
      addresses.push_back({plan.name.str(), interface.ifindex, plan.mac, one.address.address});
    }
  }
  if (addresses.empty()) return std::nullopt;
  auto held = std::make_shared<const Held>(Held{std::move(netns), std::move(addresses)});
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= kMost && !jobs_.contains(intent)) return std::nullopt;
  const std::uint64_t number = ++numbers_;
  jobs_.insert_or_assign(intent, Job{std::move(held), number});
  return Ticket{intent, number};
}

void Announcer::start(const Ticket& ticket) {
  lane_.postAfter(kPauses.front(), [this, ticket] { send(ticket, 0); });
}

void Announcer::cancel(const IntentId& intent) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(intent);
}

void Announcer::send(const Ticket& ticket, std::size_t round) {
  const bool last = round + 1 == kPauses.size();
  std::shared_ptr<const Held> held;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(ticket.intent);
    if (found == jobs_.end() || found->second.number != ticket.number) return;
    held = found->second.held;
    if (last) jobs_.erase(found);
  }
  for (const Told& one : held->addresses) {
    const Status sent = sendOne(held->netns, one.ifindex, announcementOf(one.address, one.mac));
    if (sent) continue;
    log::debug("address not announced", {{"intent", ticket.intent},
                                         {"interface", one.interface},
                                         {"address", one.address.str()},
                                         {"error", sent.error()}});
  }
  if (last) return;
  lane_.postAfter(kPauses.at(round + 1), [this, ticket, round] { send(ticket, round + 1); });
}

}  // namespace multinet::agent::attach
