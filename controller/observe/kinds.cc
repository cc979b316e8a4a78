#include "controller/observe/kinds.h"

#include <algorithm>
#include <array>
#include <span>

#include "controller/observe/json.h"
#include "lib/api/names.h"
#include "lib/api/validate.h"

namespace multinet::controller {
namespace {

using json::Element;

constexpr std::array<std::string_view, 3> kNetworkConditions = {"Ready", "InUse", "Degraded"};
constexpr std::array<std::string_view, 1> kAttachmentConditions = {"Ready"};

/// The part that says what an object is: `spec` where the kind has one.
Element bodyOf(const Element& object) {
  return json::at(object, "/spec").value_or(object);
}

std::map<std::string, std::string> textMap(const Element& object, std::string_view pointer) {
  std::map<std::string, std::string> found;
  simdjson::dom::object members;
  if (object.at_pointer(pointer).get(members) != simdjson::SUCCESS) return found;
  for (const auto& [key, value] : members) {
    std::string_view read;
    if (value.get(read) == simdjson::SUCCESS) found.emplace(std::string(key), std::string(read));
  }
  return found;
}

/// Whether each of our conditions was said of this generation.
bool current(const std::vector<StandingCondition>& conditions, const Meta& meta,
             std::span<const std::string_view> ours) {
  return std::ranges::all_of(ours, [&](std::string_view type) {
    return std::ranges::any_of(conditions, [&](const auto& one) {
      return one.wish.type == type && one.observedGeneration == meta.generation;
    });
  });
}

std::vector<ConditionWish> oursOf(const std::vector<StandingCondition>& conditions,
                                  std::span<const std::string_view> ours) {
  std::vector<ConditionWish> found;
  for (const auto type : ours) {
    for (const auto& one : conditions) {
      if (one.wish.type == type) found.push_back(one.wish);
    }
  }
  return found;
}

/// `blue, attachment/nas`: what the request names. Rules are the webhook's and the agent's.
void readRequest(const std::string& request, SeenPod& seen) {
  static constexpr std::string_view kAttachment = "attachment/";
  std::size_t begin = 0;
  while (begin <= request.size()) {
    const auto end = std::min(request.find(',', begin), request.size());
    auto item = request.substr(begin, end - begin);
    std::erase_if(item, [](char letter) { return letter == ' ' || letter == '\t'; });
    if (item.starts_with(kAttachment)) {
      seen.attachments.push_back(item.substr(kAttachment.size()));
    } else if (!item.empty()) {
      seen.pod.networks.push_back(std::move(item));
    }
    begin = end + 1;
  }
}

NodeReport::Ready readyOf(const std::vector<StandingCondition>& conditions, std::string& reason) {
  for (const auto& one : conditions) {
    if (one.wish.type != "Ready") continue;
    reason = one.wish.reason;
    if (one.wish.status == ConditionWish::Status::True) return NodeReport::Ready::True;
    if (one.wish.status == ConditionWish::Status::False) return NodeReport::Ready::False;
  }
  return NodeReport::Ready::Unknown;
}

void readStatus(const Element& object, NetworkState& state) {
  state.conditions = json::conditions(object, "/status/conditions");
  state.statusCurrent = current(state.conditions, state.network.meta, kNetworkConditions);
  auto& status = state.status;
  status.conditions = oursOf(state.conditions, kNetworkConditions);
  if (const auto vni = json::number(object, "/status/vni")) {
    status.vni = static_cast<std::uint32_t>(*vni);
  }
  const auto count = [&](std::string_view pointer) {
    return static_cast<int>(json::number(object, pointer).value_or(0));
  };
  status.nodesDesired = count("/status/nodes/desired");
  status.nodesReady = count("/status/nodes/ready");
  status.attachedPods = count("/status/attachedPods");
  for (const auto& item : json::list(object, "/status/blockers")) {
    std::string_view name;
    if (item.get(name) == simdjson::SUCCESS) status.blockers.emplace_back(name);
  }
}

/// The rules of lib/api: what webhook and agent apply holds here by itself too.
void judge(const Element& object, SeenNetwork& seen) {
  auto decoded = k8s::KindTraits<api::PodNetwork>::decode(object);
  if (!decoded.has_value()) {
    seen.state.network.violations = {decoded.error().message};
    return;
  }
  for (const auto& violation : api::validate(*decoded).violations) {
    seen.state.network.violations.push_back(violation.str());
  }
  seen.object = std::make_shared<const api::PodNetwork>(std::move(*decoded));
}

}  // namespace

template <>
Result<SeenNetwork> ReadOnlyTraits<SeenNetwork>::decode(const Element& object) {
  SeenNetwork seen;
  auto& network = seen.state.network;
  MULTINET_TRY(network.meta, json::meta(object));
  network.enabled = json::flag(object, "/spec/enabled").value_or(true);
  network.tunnel = json::text(object, "/spec/type") == "VXLAN";
  if (const auto vni = json::number(object, "/spec/vxlan/vni"); network.tunnel && vni) {
    network.vni = static_cast<std::uint32_t>(*vni);
  }
  network.holdsFinalizer = std::ranges::find(network.meta.finalizers, api::kInUseFinalizer) !=
                           network.meta.finalizers.end();
  readStatus(object, seen.state);
  judge(object, seen);
  return seen;
}

template <>
Result<SeenAttachment> ReadOnlyTraits<SeenAttachment>::decode(const Element& object) {
  SeenAttachment seen;
  auto& state = seen.state;
  MULTINET_TRY(state.meta, json::meta(object));
  state.networkName = json::text(object, "/spec/podNetworkName");
  state.conditions = json::conditions(object, "/status/conditions");
  state.statusCurrent = current(state.conditions, state.meta, kAttachmentConditions);
  const auto ours = oursOf(state.conditions, kAttachmentConditions);
  if (!ours.empty()) state.status.ready = ours.front();
  state.status.attachedPods =
      static_cast<int>(json::number(object, "/status/attachedPods").value_or(0));
  if (auto decoded = k8s::KindTraits<api::PodNetworkAttachment>::decode(object)) {
    seen.object = std::make_shared<const api::PodNetworkAttachment>(std::move(*decoded));
  } else {
    state.violations = {decoded.error().message};
  }
  return seen;
}

template <>
Result<InterfaceSet> ReadOnlyTraits<InterfaceSet>::decode(const Element& object) {
  InterfaceSet set;
  MULTINET_TRY(set.meta, json::meta(object));
  const auto body = bodyOf(object);
  set.podName = json::text(body, "/pod/name");
  set.podUid = json::text(body, "/pod/uid");
  set.nodeName = json::text(body, "/nodeName");
  for (const auto& item : json::list(body, "/interfaces")) {
    set.interfaces.push_back(
        {json::text(item, "/podNetworkName"), json::text(item, "/attachmentName")});
  }
  return set;
}

template <>
Result<SeenNodeSet> ReadOnlyTraits<SeenNodeSet>::decode(const Element& object) {
  SeenNodeSet seen;
  MULTINET_TRY(seen.object.meta, json::meta(object));
  seen.object.nodeName = seen.object.meta.name;
  for (const auto& item : json::list(object, "/status/networks")) {
    NodeReport report{seen.object.nodeName, json::text(item, "/podNetworkName"),
                      NodeReport::Ready::Unknown, "NotReported"};
    report.ready = readyOf(json::conditions(item, "/conditions"), report.reason);
    seen.reports.push_back(std::move(report));
  }
  return seen;
}

template <>
Result<SeenPeer> ReadOnlyTraits<SeenPeer>::decode(const Element& object) {
  SeenPeer seen;
  MULTINET_TRY(seen.object.meta, json::meta(object));
  const auto body = bodyOf(object);
  seen.object.nodeName = json::text(body, "/nodeName");
  seen.object.networkUid = json::text(body, "/podNetworkUID");
  return seen;
}

template <>
Result<Block> ReadOnlyTraits<Block>::decode(const Element& object) {
  Block block;
  MULTINET_TRY(block.meta, json::meta(object));
  const auto body = bodyOf(object);
  block.nodeName = json::text(body, "/nodeName");
  block.networkUid = json::text(body, "/podNetworkUID");
  return block;
}

template <>
Result<Identifier> ReadOnlyTraits<Identifier>::decode(const Element& object) {
  Identifier identifier;
  MULTINET_TRY(identifier.meta, json::meta(object));
  const auto body = bodyOf(object);
  identifier.vni = static_cast<std::uint32_t>(json::number(body, "/id").value_or(0));
  identifier.networkName = json::text(body, "/podNetworkName");
  identifier.networkUid = json::text(body, "/podNetworkUID");
  return identifier;
}

template <>
Result<SeenPod> ReadOnlyTraits<SeenPod>::decode(const Element& object) {
  SeenPod seen;
  MULTINET_TRY(seen.pod.meta, json::meta(object));
  seen.pod.nodeName = json::text(object, "/spec/nodeName");
  const auto phase = json::text(object, "/status/phase");
  seen.pod.running = phase == "Running";
  seen.pod.finished = phase == "Succeeded" || phase == "Failed";
  // The key holds a '/', which a JSON pointer writes as ~1.
  readRequest(json::text(object, "/metadata/annotations/multinet.dev~1networks"), seen);
  return seen;
}

template <>
Result<SeenNode> ReadOnlyTraits<SeenNode>::decode(const Element& object) {
  SeenNode seen;
  MULTINET_TRY(seen.meta, json::meta(object));
  for (const auto& one : json::conditions(object, "/status/conditions")) {
    if (one.wish.type == "Ready") seen.view.ready = one.wish.status == ConditionWish::Status::True;
  }
  for (const auto& taint : json::list(object, "/spec/taints")) {
    if (json::text(taint, "/key") == "node.kubernetes.io/out-of-service") {
      seen.view.outOfService = true;
    }
  }
  return seen;
}

template <>
Result<SeenNamespace> ReadOnlyTraits<SeenNamespace>::decode(const Element& object) {
  SeenNamespace seen;
  MULTINET_TRY(seen.meta, json::meta(object));
  seen.labels = textMap(object, "/metadata/labels");
  return seen;
}

}  // namespace multinet::controller
