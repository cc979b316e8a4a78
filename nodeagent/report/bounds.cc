#include "nodeagent/report/bounds.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <utility>

namespace multinet::agent::report {
namespace {

constexpr std::string_view kDots = "...";
constexpr std::int32_t kLargestMtu = 65535;
constexpr std::size_t kShortestMessage = 64;

template <class T>
std::size_t cutList(std::vector<T>& list, std::size_t most) {
  if (list.size() <= most) return 0;
  const std::size_t more = list.size() - most;
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(most), list.end());
  return more;
}

WallTime wholeSeconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time);
}

void fitConditions(k8s::Conditions& conditions, std::size_t most) {
  cutList(conditions.items, most);
  for (k8s::Condition& condition : conditions.items) {
    condition.type = cutText(std::move(condition.type), limits::kConditionType);
    condition.reason = reasonWord(condition.reason);
    condition.message = cutText(std::move(condition.message), limits::kMessage);
    if (condition.lastTransitionTime) {
      condition.lastTransitionTime = wholeSeconds(*condition.lastTransitionTime);
    }
  }
}

/// " (lists 128 of 200 routes)", before the condition's end.
void tellCut(api::PodInterface& interface, const char* what, std::size_t listed,
             std::size_t omitted) {
  if (omitted == 0) return;
  for (k8s::Condition& condition : interface.conditions.items) {
    const std::string note = " (lists " + std::to_string(listed) + " of " +
                             std::to_string(listed + omitted) + " " + what + ")";
    condition.message =
        cutText(std::move(condition.message), limits::kMessage - note.size()) + note;
  }
}

void fitInterface(api::PodInterface& interface) {
  fitConditions(interface.conditions, limits::kConditions);
  const std::size_t routes = cutList(interface.routes.edit(), limits::kRoutes);
  const std::size_t addresses = cutList(interface.ips, limits::kAddresses);
  tellCut(interface, "routes", interface.routes.size(), routes);
  tellCut(interface, "addresses", interface.ips.size(), addresses);
  interface.mtu = std::clamp(interface.mtu, 0, kLargestMtu);
  if (interface.attachedAt) interface.attachedAt = wholeSeconds(*interface.attachedAt);
}

/// Those that must be told first, else as they came.
std::size_t cutNetworks(std::vector<api::NodeNetwork>& networks, const std::set<NetworkUid>& used) {
  if (networks.size() <= limits::kNetworks) return 0;
  std::stable_partition(networks.begin(), networks.end(), [&used](const api::NodeNetwork& one) {
    return used.contains(NetworkUid(one.podNetworkUID)) || !one.conditions.isTrue("Ready");
  });
  const std::size_t omitted = cutList(networks, limits::kNetworks);
  std::sort(networks.begin(), networks.end(),
            [](const auto& a, const auto& b) { return a.podNetworkName < b.podNetworkName; });
  return omitted;
}

void cutChecks(std::vector<api::NodeNetwork>& networks) {
  std::size_t all = 0;
  for (api::NodeNetwork& network : networks) {
    cutList(network.checks, limits::kChecks);
    all += network.checks.size();
  }
  if (all > limits::kAllChecks) {
    for (api::NodeNetwork& network : networks) {
      std::erase_if(network.checks, [](const api::NetworkCheck& check) {
        return check.status == k8s::ConditionStatus::True;
      });
    }
  }
  const std::size_t each = networks.empty() ? 0 : limits::kAllChecks / networks.size();
  if (all <= limits::kAllChecks) return;
  for (api::NodeNetwork& network : networks) cutList(network.checks, each);
}

template <class Change>
void eachMessage(api::NodeNetworkSetStatus& status, const Change& change) {
  for (k8s::Condition& condition : status.conditions.items) change(condition.message);
  for (api::NodeNetwork& network : status.networks) {
    for (k8s::Condition& condition : network.conditions.items) change(condition.message);
    for (api::NetworkCheck& check : network.checks) change(check.message);
  }
}

void cutMessages(api::NodeNetworkSetStatus& status) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  eachMessage(status, [&](std::string& message) {
    message = cutText(std::move(message), limits::kMessage);
    bytes += message.size();
    ++count;
  });
  if (bytes <= limits::kAllMessages) return;
  const std::size_t each = std::max(kShortestMessage, limits::kAllMessages / count);
  eachMessage(status,
              [each](std::string& message) { message = cutText(std::move(message), each); });
}

void takeTimes(k8s::Conditions& conditions, const k8s::Conditions& there) {
  for (k8s::Condition& condition : conditions.items) {
    const k8s::Condition* old = there.find(condition.type);
    if (old == nullptr || old->status != condition.status) continue;
    if (old->lastTransitionTime) condition.lastTransitionTime = old->lastTransitionTime;
  }
}

bool hasOwners(const api::PodInterfaceSet& there, const api::PodInterfaceSet& set) {
  const auto& owners = there.metadata.ownerReferences;
  return std::all_of(set.metadata.ownerReferences.begin(), set.metadata.ownerReferences.end(),
                     [&owners](const k8s::OwnerReference& wanted) {
                       return std::any_of(owners.begin(), owners.end(), [&](const auto& owner) {
                         return owner.uid == wanted.uid;
                       });
                     });
}

}  // namespace

std::string cutText(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most > kDots.size() ? most - kDots.size() : 0;
  // Not within a character of several bytes: its further ones are 10xxxxxx.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  if (most >= kDots.size()) text += kDots;
  return text;
}

std::string reasonWord(const std::string& text) {
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = byte < 0x80U && std::isalpha(byte) != 0;
    const bool other = byte < 0x80U && (std::isdigit(byte) != 0 || c == '_');
    if (letter || (other && !word.empty())) word += c;
  }
  if (word.size() > limits::kReason) word.resize(limits::kReason);
  return word.empty() ? "Unknown" : word;
}

api::PodInterfaceSet fitted(api::PodInterfaceSet set) {
  set.sandboxID = cutText(set.sandboxID, limits::kSandboxId);
  const std::size_t omitted = cutList(set.interfaces, limits::kInterfaces);
  for (api::PodInterface& interface : set.interfaces) {
    fitInterface(interface);
    tellCut(interface, "interfaces", set.interfaces.size(), omitted);
  }
  return set;
}

api::NodeNetworkSetStatus fitted(api::NodeNetworkSetStatus status,
                                 const std::set<NetworkUid>& used) {
  status.omittedNetworks = static_cast<std::int32_t>(cutNetworks(status.networks, used));
  cutChecks(status.networks);
  fitConditions(status.conditions, limits::kNodeConditions);
  for (api::NodeNetwork& network : status.networks) {
    fitConditions(network.conditions, limits::kConditions);
    for (api::NetworkCheck& check : network.checks) {
      check.name = cutText(std::move(check.name), limits::kCheckName);
      check.reason = reasonWord(check.reason);
    }
  }
  cutMessages(status);
  return status;
}

api::NetworkPeer fitted(api::NetworkPeer peer) {
  cutList(peer.underlayIPs, limits::kUnderlays);
  return peer;
}

api::PodInterfaceSet withTimesOf(api::PodInterfaceSet set, const api::PodInterfaceSet& there) {
  for (api::PodInterface& interface : set.interfaces) {
    const auto old = std::find_if(
        there.interfaces.begin(), there.interfaces.end(),
        [&interface](const api::PodInterface& one) { return one.name == interface.name; });
    if (old == there.interfaces.end()) continue;
    takeTimes(interface.conditions, old->conditions);
    const bool both = interface.attachedAt.has_value() && old->attachedAt.has_value();
    if (both && set.sandboxID == there.sandboxID) interface.attachedAt = old->attachedAt;
  }
  return set;
}

bool saysTheSame(const api::PodInterfaceSet& set, const api::PodInterfaceSet& there) {
  api::PodInterfaceSet same = withTimesOf(set, there);
  same.metadata = there.metadata;
  return same == there && hasOwners(there, set);
}

}  // namespace multinet::agent::report
