#include "nodeagent/sandbox/testimony.h"

#include <algorithm>
#include <set>
#include <utility>

namespace multinet::agent::sandbox {
namespace {

using journal::Doubt;
using journal::Record;

std::set<InterfaceAddress> addressesOf(const InterfacePlan& plan) {
  std::set<InterfaceAddress> all;
  for (const AddressPlan& address : plan.addresses) all.insert(address.address);
  return all;
}

bool agrees(const InterfacePlan& plan, const attach::ObservedInterface& link) {
  const std::set<InterfaceAddress> seen(link.addresses.begin(), link.addresses.end());
  // One that is the parent's changes with it.
  const bool sameMac =
      plan.mac == MacAddress{} || plan.mac == link.mac || !traitsOf(plan.link).hasOwnMac;
  return plan.name.str() == link.interface && sameMac && addressesOf(plan) == seen;
}

const attach::ObservedInterface* find(const Links& links, const InterfaceName& name) {
  const auto at = std::find_if(links.begin(), links.end(),
                               [&name](const auto& link) { return link.interface == name.str(); });
  return at == links.end() ? nullptr : &*at;
}

/// What the kernel alone tells. A link whose name can't be ours tells nothing.
std::vector<InterfaceStatus> fromKernel(const Links& links) {
  std::vector<InterfaceStatus> statuses;
  for (const attach::ObservedInterface& link : links) {
    auto name = InterfaceName::parse(link.interface);
    if (!name.has_value()) continue;
    InterfaceStatus status;
    status.plan.name = std::move(*name);
    status.plan.link = linkOfKind(link.kind);
    status.plan.mac = link.mac;
    status.plan.mtu = link.mtu;
    for (const InterfaceAddress& address : link.addresses) {
      status.plan.addresses.push_back({address, std::nullopt});
    }
    status.state = InterfaceState::Attached;
    status.ifindex = link.ifindex;
    statuses.push_back(std::move(status));
  }
  return statuses;
}

/// An interface that the set has and the kernel hasn't holds its addresses on: who looks at the API
/// believes that it is there.
void addMissing(const KnownSet& set, const Links& links, std::vector<InterfaceStatus>& statuses) {
  for (const InterfaceStatus& told : set.interfaces) {
    if (find(links, told.plan.name) != nullptr) continue;
    InterfaceStatus missing = told;
    missing.state = InterfaceState::Failed;
    missing.reason = "LinkMissing";
    missing.message = "the interface isn't in the pod any more";
    statuses.push_back(std::move(missing));
  }
}

bool agree(const KnownSet& set, const Links& links) {
  const bool ofOneIntent = std::all_of(links.begin(), links.end(), [&](const auto& link) {
    return link.intent == links.front().intent;
  });
  return ofOneIntent && set.interfaces.size() == links.size() &&
         std::all_of(set.interfaces.begin(), set.interfaces.end(), [&](const auto& told) {
           const auto* link = find(links, told.plan.name);
           return link != nullptr && agrees(told.plan, *link);
         });
}

Record believed(Record record, const KnownSet& set, const Links& links) {
  record.doubt = Doubt::None;
  record.message.clear();
  record.interfaces = set.interfaces;
  for (InterfaceStatus& status : record.interfaces) {
    const attach::ObservedInterface& link = *find(links, status.plan.name);
    status.plan.mac = link.mac;
    status.plan.mtu = link.mtu;
    status.ifindex = link.ifindex;
    status.state = InterfaceState::Attached;
    status.reason.clear();
    status.message.clear();
  }
  return record;
}

}  // namespace

Record adopted(const RuntimeSandbox& sandbox, const std::string& bootId, WallTime now) {
  Record record;
  record.id = IntentId("lost-" + sandbox.id.str());
  record.pod = sandbox.pod;
  record.sandbox = sandbox.id;
  record.state = journal::State::Attached;
  record.bootId = bootId;
  record.changedAt = now;
  record.doubt = Doubt::Unseen;
  record.message = "its namespace couldn't be looked into yet";
  return record;
}

Record judge(Record record, const Links& links, const std::vector<KnownSet>& sets) {
  const auto set = std::find_if(sets.begin(), sets.end(), [&record](const KnownSet& one) {
    return one.pod == record.pod.uid && one.sandbox == record.sandbox;
  });
  if (!links.empty()) record.id = links.front().intent;
  if (set != sets.end() && !links.empty() && agree(*set, links)) {
    return believed(std::move(record), *set, links);
  }
  record.interfaces = fromKernel(links);
  record.doubt = links.empty() ? Doubt::NoLinks : Doubt::Unconfirmed;
  record.message = links.empty() ? "no link of ours is in it"
                                 : "the API has no set of this sandbox to compare its links with";
  if (set == sets.end() || set->interfaces.empty()) return record;
  record.doubt = Doubt::Unconfirmed;
  record.message = "its links and its PodInterfaceSet disagree";
  addMissing(*set, links, record.interfaces);
  return record;
}

bool isComplete(const Record& record, const Links& links) {
  return !record.interfaces.empty() &&
         std::all_of(record.interfaces.begin(), record.interfaces.end(), [&](const auto& status) {
           const auto* link = find(links, status.plan.name);
           return link != nullptr && link->intent == record.id && link->up &&
                  agrees(status.plan, *link);
         });
}

std::vector<addresses::Holding> holdings(const Record& record, Duration quarantine) {
  std::vector<addresses::Holding> all;
  for (const InterfaceStatus& status : record.interfaces) {
    for (const AddressPlan& address : status.plan.addresses) {
      all.push_back({record.id, record.pod.uid, status.plan.name, status.plan.networkUid,
                     address.address.address, quarantine});
    }
  }
  return all;
}

std::vector<addresses::Holding> orphans(const Links& everywhere,
                                        const std::function<bool(const IntentId&)>& isKnown) {
  std::vector<addresses::Holding> all;
  for (const attach::ObservedInterface& link : everywhere) {
    if (!link.inPod || isKnown(link.intent)) continue;
    const auto name = InterfaceName::parse(link.interface);
    if (!name.has_value()) continue;
    for (const InterfaceAddress& address : link.addresses) {
      all.push_back({link.intent, PodUid(), *name, NetworkUid(), address.address, Duration{}});
    }
  }
  return all;
}

}  // namespace multinet::agent::sandbox
