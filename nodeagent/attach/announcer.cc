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

void Announcer::announce(const IntentId& intent, Fd netns,
                         std::vector<InterfaceStatus> interfaces) {
  std::erase_if(interfaces, [](const InterfaceStatus& interface) {
    return !traitsOf(interface.plan.link).isAnnounced;
  });
  if (interfaces.empty()) return;
  auto held = std::make_shared<Fd>(std::move(netns));  // std::function wants copies
  lane_.post([this, intent, held, interfaces = std::move(interfaces)]() mutable {
    if (jobs_.size() >= kMost && !jobs_.contains(intent)) return;
    const std::uint64_t number = ++numbers_;
    jobs_.insert_or_assign(intent, Job{std::move(*held), std::move(interfaces), 0, number});
    lane_.postAfter(kPauses.front(), [this, intent, number] { send(intent, number); });
  });
}

void Announcer::cancel(const IntentId& intent) {
  lane_.post([this, intent] { jobs_.erase(intent); });
}

void Announcer::send(const IntentId& intent, std::uint64_t number) {
  const auto found = jobs_.find(intent);
  if (found == jobs_.end() || found->second.number != number) return;
  Job& job = found->second;
  for (const InterfaceStatus& interface : job.interfaces) {
    for (const AddressPlan& address : interface.plan.addresses) {
      const Status sent = sendOne(job.netns, interface.ifindex,
                                  announcementOf(address.address.address, interface.plan.mac));
      if (sent) continue;
      log::debug("address not announced", {{"intent", intent},
                                           {"interface", interface.plan.name.str()},
                                           {"address", address.address.str()},
                                           {"error", sent.error()}});
    }
  }
  if (++job.round == kPauses.size()) {
    jobs_.erase(found);
    return;
  }
  lane_.postAfter(kPauses.at(job.round), [this, intent, number] { send(intent, number); });
}

}  // namespace multinet::agent::attach
