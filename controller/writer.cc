#include "controller/writer.h"

#include <algorithm>

#include "lib/api/names.h"
#include "lib/base/log.h"

namespace multinet::controller {
namespace {

using kube::kindOf;
using nlohmann::json;

std::string_view text(ConditionWish::Status status) {
  switch (status) {
    case ConditionWish::Status::True:
      return "True";
    case ConditionWish::Status::False:
      return "False";
    case ConditionWish::Status::Unknown:
      break;
  }
  return "Unknown";
}

json conditionJson(const ConditionWish& wish, WallTime since, std::int64_t generation) {
  json made = {{"type", wish.type},
               {"status", text(wish.status)},
               {"reason", wish.reason},
               {"message", wish.message},
               {"lastTransitionTime", formatTime(since)}};
  if (generation != 0) made["observedGeneration"] = generation;
  return made;
}

/// Our conditions with their times right, and those of others as they stand.
json conditionsJson(const std::vector<ConditionWish>& wishes,
                    const std::vector<StandingCondition>& before, const Meta& meta, WallTime now) {
  json list = json::array();
  for (const auto& wish : wishes) {
    const auto old =
        std::ranges::find_if(before, [&](const auto& one) { return one.wish.type == wish.type; });
    const bool same = old != before.end() && old->wish.status == wish.status;
    list.push_back(conditionJson(wish, same ? old->since : now, meta.generation));
  }
  for (const auto& one : before) {
    const bool ours =
        std::ranges::any_of(wishes, [&](const auto& wish) { return wish.type == one.wish.type; });
    if (!ours) list.push_back(conditionJson(one.wish, one.since, one.observedGeneration));
  }
  return list;
}

constexpr Duration kFirstWait = std::chrono::seconds(30);
constexpr Duration kLongestWait = std::chrono::minutes(10);

/// The server's word on what the object is: the same write again gets the same answer.
bool isRefusal(const Error& error) {
  return error.code == Code::InvalidArgument || error.code == Code::PermissionDenied;
}

std::string objectOf(const kube::Kind& kind, const Meta& meta) {
  return std::string(kind.kind) + " " + meta.namespaceName + "/" + meta.name + " " + meta.uid;
}

/// What the next pass will find out by itself.
bool lostRace(const Error& error) {
  return error.code == Code::Aborted || error.code == Code::AlreadyExists ||
         error.code == Code::NotFound;
}

json preconditions(const Meta& meta) {
  return {{"uid", meta.uid}, {"resourceVersion", meta.resourceVersion}};
}

}  // namespace

Writer::Writer(kube::Client& client, const Clock& clock, std::function<bool()> leading)
    : client_(client), clock_(clock), leading_(std::move(leading)) {}

Status Writer::carryOut(const Writes& writes) {
  first_ = {};
  networks_.reset();
  sets_.reset();
  for (const auto& wish : writes.createIdentifiers) createIdentifier(wish);
  for (const auto& meta : writes.addFinalizer) addFinalizer(meta);
  const auto now = clock_.wall();
  for (const auto& write : writes.networks) {
    const auto& wish = write.status;
    writeStatus(kindOf<SeenNetwork>(), write.meta,
                {{"conditions", conditionsJson(wish.conditions, write.before, write.meta, now)},
                 {"vni", wish.vni ? json(*wish.vni) : json()},
                 {"nodes", {{"desired", wish.nodesDesired}, {"ready", wish.nodesReady}}},
                 {"attachedPods", wish.attachedPods},
                 {"blockers", wish.blockers.empty() ? json() : json(wish.blockers)}});
  }
  for (const auto& write : writes.attachments) {
    writeStatus(
        kindOf<SeenAttachment>(), write.meta,
        {{"conditions", conditionsJson({write.status.ready}, write.before, write.meta, now)},
         {"attachedPods", write.status.attachedPods}});
  }
  for (const auto& set : writes.suspectSets) removeSuspect(set);
  for (const auto& meta : writes.removeFinalizer) removeFinalizer(meta, writes);
  removeAll(kindOf<Identifier>(), writes.removeIdentifiers);
  removeAll(kindOf<Block>(), writes.removeBlocks);
  removeAll(kindOf<SeenPeer>(), writes.removePeers);
  removeAll(kindOf<SeenNodeSet>(), writes.removeNodeSets);
  // What was due has been tried again, or isn't wanted any more.
  std::erase_if(refused_, [&](const auto& one) { return one.second.until <= clock_.now(); });
  return first_;
}

void Writer::note(const std::string& object, const Status& status) {
  if (status.has_value()) {
    ++written_;
    refused_.erase(object);
  } else if (isRefusal(status.error())) {
    Refused& refused = refused_[object];
    refused.wait = std::clamp(refused.wait * 2, kFirstWait, kLongestWait);
    refused.until = clock_.now() + refused.wait;
    log::error("the server refuses a write", {{"object", object}, {"error", status.error()}});
  } else if (!lostRace(status.error())) {
    noteRead(status.error());
  }
}

void Writer::noteRead(const Error& error) {
  if (first_.has_value()) first_ = fail(error);
}

bool Writer::mayTry(const std::string& object) const {
  if (!leading_()) return false;
  const auto refused = refused_.find(object);
  return refused == refused_.end() || refused->second.until <= clock_.now();
}

std::optional<Duration> Writer::again() const {
  std::optional<Duration> first;
  const BootTime now = clock_.now();
  for (const auto& [object, refused] : refused_) {
    if (refused.until <= now) continue;
    const Duration left = refused.until - now;
    if (!first || left < *first) first = left;
  }
  return first;
}

void Writer::createIdentifier(const IdentifierWish& wish) {
  const auto kind = kindOf<Identifier>();
  const std::string name = api::vxlanIdentifierName(wish.vni);
  const std::string object = std::string(kind.kind) + " " + name;
  if (!mayTry(object)) return;
  json body = {{"apiVersion", kind.apiVersion()},
               {"kind", std::string(kind.kind)},
               {"metadata", {{"name", name}}},
               {"spec",
                {{"kind", "VXLAN"},
                 {"id", wish.vni},
                 {"podNetworkName", wish.networkName},
                 {"podNetworkUID", wish.networkUid}}}};
  const auto made = client_.raw().create(kind, std::move(body), [&](std::string_view there) {
    const auto existing = kube::decodeJson<Identifier>(there);
    return existing.has_value() && existing->networkUid == wish.networkUid;
  });
  if (made.has_value()) {
    log::info("reserved VNI", {{"network", wish.networkName}, {"vni", wish.vni}});
    note(object, {});
  } else {
    note(object, fail(made.error()));
  }
}

void Writer::writeStatus(const kube::Kind& kind, const Meta& meta, nlohmann::json status) {
  const std::string object = objectOf(kind, meta);
  if (!mayTry(object)) return;
  const json patch = {{"metadata", preconditions(meta)}, {"status", std::move(status)}};
  const auto done =
      client_.raw().patch(kind, {meta.namespaceName, meta.name}, kube::PatchType::Merge, patch,
                          kube::Subresource::Status, kube::Conflicts::Refuse);
  note(object, done.has_value() ? Status() : fail(done.error()));
}

void Writer::writeFinalizers(const Meta& meta, const std::vector<std::string>& finalizers) {
  const std::string object = objectOf(kindOf<SeenNetwork>(), meta) + " finalizers";
  if (!mayTry(object)) return;
  json metadata = preconditions(meta);
  metadata["finalizers"] = finalizers;
  const auto done = client_.raw().patch(kindOf<SeenNetwork>(), {"", meta.name},
                                        kube::PatchType::Merge, {{"metadata", metadata}},
                                        kube::Subresource::None, kube::Conflicts::Refuse);
  note(object, done.has_value() ? Status() : fail(done.error()));
}

void Writer::addFinalizer(const Meta& meta) {
  auto finalizers = meta.finalizers;
  finalizers.emplace_back(api::kInUseFinalizer);
  writeFinalizers(meta, finalizers);
}

void Writer::removeFinalizer(const Meta& meta, const Writes& writes) {
  if (!unusedIndeed(meta, writes)) return;
  auto finalizers = meta.finalizers;
  std::erase(finalizers, api::kInUseFinalizer);
  const auto before = written_;
  writeFinalizers(meta, finalizers);
  if (written_ != before) log::info("network is released", {{"network", meta.name}});
}

template <class T>
bool Writer::listOnce(std::optional<std::vector<T>>& kept) {
  if (kept) return true;
  auto listed = client_.list<T>();
  if (!listed.has_value()) {
    noteRead(listed.error());
    return false;
  }
  kept = std::move(*listed);
  return true;
}

bool Writer::unusedIndeed(const Meta& network, const Writes& writes) {
  if (!listOnce(sets_)) return false;
  return std::ranges::none_of(*sets_, [&](const InterfaceSet& set) {
    const bool misfit = std::ranges::any_of(
        writes.suspectSets, [&](const auto& one) { return one.meta.uid == set.meta.uid; });
    return !misfit && std::ranges::any_of(set.interfaces, [&](const auto& interface) {
      return interface.networkName == network.name;
    });
  });
}

void Writer::removeSuspect(const InterfaceSet& set) {
  const auto body = client_.get<SeenPod>({set.meta.namespaceName, set.podName});
  if (!body.has_value() && body.error().code != Code::NotFound) {
    noteRead(body.error());
    return;
  }
  const auto pod = body.has_value() ? std::optional(body->pod) : std::nullopt;
  if (const auto deletion = confirmMisfit(set, pod)) remove(kindOf<InterfaceSet>(), *deletion);
}

bool Writer::goneIndeed(const Deletion& deletion) {
  if (!deletion.goneNode.empty()) {
    const auto node = client_.get<SeenNode>({"", deletion.goneNode});
    if (node.has_value()) return false;
    if (node.error().code != Code::NotFound) {
      noteRead(node.error());
      return false;
    }
  }
  if (deletion.goneNetworkUid.empty()) return true;
  if (!listOnce(networks_)) return false;
  return std::ranges::none_of(*networks_, [&](const auto& network) {
    return network.state.network.meta.uid == deletion.goneNetworkUid;
  });
}

void Writer::removeAll(const kube::Kind& kind, const std::vector<Deletion>& deletions) {
  for (const auto& deletion : deletions) {
    if (mayTry(objectOf(kind, deletion.meta)) && goneIndeed(deletion)) remove(kind, deletion);
  }
}

void Writer::remove(const kube::Kind& kind, const Deletion& deletion) {
  const auto& meta = deletion.meta;
  const std::string object = objectOf(kind, meta);
  if (!mayTry(object)) return;
  const auto done =
      client_.raw().remove(kind, {meta.namespaceName, meta.name}, {meta.uid, meta.resourceVersion});
  if (done.has_value()) {
    log::info("deleted object",
              {{"kind", kind.kind}, {"object", meta.name}, {"why", deletion.why}});
  }
  note(object, done);
}

}  // namespace multinet::controller
