// A cluster for tests: objects as the API server keeps them, the world that follows from them, and
// writes that are carried out as the server would.
#pragma once

#include <gtest/gtest.h>
#include <simdjson.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controller/plan/planner.h"
#include "lib/api/names.h"
#include "lib/api/test_objects.h"

namespace multinet::controller::testing {

template <class T>
struct SeenAs;
template <class T, const k8s::Fields& F>
struct SeenAsType {
  using Type = k8s::Projection<T, F>;
};
template <>
struct SeenAs<api::PodNetwork> : SeenAsType<api::PodNetwork, kNetworkFields> {};
template <>
struct SeenAs<api::PodNetworkAttachment>
    : SeenAsType<api::PodNetworkAttachment, kAttachmentFields> {};
template <>
struct SeenAs<api::NetworkIdentifier> : SeenAsType<api::NetworkIdentifier, kIdentifierFields> {};
template <>
struct SeenAs<api::PodInterfaceSet> : SeenAsType<api::PodInterfaceSet, kSetFields> {};
template <>
struct SeenAs<api::NodeNetworkSet> : SeenAsType<api::NodeNetworkSet, kNodeSetFields> {};
template <>
struct SeenAs<api::NetworkPeer> : SeenAsType<api::NetworkPeer, kPeerFields> {};
template <>
struct SeenAs<api::IPBlock> : SeenAsType<api::IPBlock, kBlockFields> {};
template <>
struct SeenAs<k8s::Pod> : SeenAsType<k8s::Pod, kPodFields> {};
template <>
struct SeenAs<k8s::Node> : SeenAsType<k8s::Node, kNodeFields> {};
template <>
struct SeenAs<api::PodNetworkService> : SeenAsType<api::PodNetworkService, kNetworkServiceFields> {
};
template <>
struct SeenAs<k8s::Service> : SeenAsType<k8s::Service, kServiceFields> {};
template <>
struct SeenAs<k8s::EndpointSlice> : SeenAsType<k8s::EndpointSlice, kSliceFields> {};
template <>
struct SeenAs<api::PodNetworkPolicy> : SeenAsType<api::PodNetworkPolicy, kPolicyFields> {};
template <>
struct SeenAs<api::ClusterPodNetworkPolicy>
    : SeenAsType<api::ClusterPodNetworkPolicy, kClusterPolicyFields> {};
template <>
struct SeenAs<api::PodNetworkPolicySlice>
    : SeenAsType<api::PodNetworkPolicySlice, kPolicySliceFields> {};
template <>
struct SeenAs<MultiNetworkPolicy> {
  using Type = MultiNetworkPolicy;
};
template <>
struct SeenAs<k8s::Namespace> : SeenAsType<k8s::Namespace, kNamespaceFields> {};

class Cluster {
 public:
  World world;
  Moment now{WallTime(std::chrono::hours(1000)), BootTime(std::chrono::hours(10))};

  void pass(Duration time) {
    now.wall += time;
    now.boot += time;
  }

  /// As the server takes it; a UID is made of the name where there is none.
  template <class T>
  void put(T object) {
    if (object.metadata.uid.empty()) object.metadata.uid = "uid-" + object.metadata.name;
    store(k8s::KindTraits<T>::kKind, k8s::KindTraits<T>::encode(object));
  }
  /// Into the world alone, as it is seen there: for the many that no write is about.
  template <class T, const k8s::Fields& F>
  void putSeen(k8s::Projection<T, F> object) {
    if (object.metadata.uid.empty()) object.metadata.uid = "uid-" + object.metadata.name;
    const auto key = keyOf(object);
    using Seen = k8s::Projection<T, F>;
    world.put<Seen>(key, std::make_shared<const Seen>(std::move(object)), now.boot);
  }
  /// Any JSON of the kind that T is.
  template <class T>
  void putJson(const std::string& text) {
    store(k8s::KindTraits<T>::kKind, nlohmann::json::parse(text));
  }
  template <class T>
  void remove(const std::string& name, const std::string& nameSpace = "") {
    const k8s::Kind kind = k8s::KindTraits<T>::kKind;
    objects_.erase({std::string(kind.plural), {nameSpace, name}});
    tell(kind, {nameSpace, name}, nullptr);
  }
  /// The whole object, as it stands on the server.
  template <class T>
  [[nodiscard]] T get(const std::string& name, const std::string& nameSpace = "") const {
    const k8s::Kind kind = k8s::KindTraits<T>::kKind;
    return k8s::decodeText<T>(objects_.at({std::string(kind.plural), {nameSpace, name}}).dump())
        .value();
  }
  template <class T>
  [[nodiscard]] std::size_t count() const {
    std::size_t found = 0;
    for (const auto& [id, object] : objects_) {
      found += id.first == k8s::KindTraits<T>::kKind.plural ? 1 : 0;
    }
    return found;
  }

  /// False where a precondition or a premise doesn't hold.
  bool apply(const Write& write) {
    const Id id{std::string(write.kind.plural), write.key};
    const auto found = objects_.find(id);
    if (write.verb == Verb::Create) {
      if (found != objects_.end()) return false;
      auto object = write.body;
      object["metadata"]["uid"] = "uid-" + write.key.name;
      store(write.kind, std::move(object));
      return true;
    }
    if (found == objects_.end()) return false;
    const auto& metadata = found->second["metadata"];
    if (metadata["uid"] != write.uid || metadata["resourceVersion"] != write.resourceVersion) {
      return false;
    }
    for (const Premise& premise : write.premises) {
      if (contradicted(premise)) return false;
    }
    if (write.verb == Verb::Delete) {
      objects_.erase(found);
      tell(write.kind, write.key, nullptr);
      return true;
    }
    auto object = found->second;
    object.merge_patch(write.body);
    const auto& left = object["metadata"];
    if (left.contains("deletionTimestamp") && left.value("finalizers", nlohmann::json()).empty()) {
      objects_.erase(found);
      tell(write.kind, write.key, nullptr);
      return true;
    }
    store(write.kind, std::move(object));
    return true;
  }

  /// Whether a live look speaks against a write.
  [[nodiscard]] bool contradicted(const Premise& premise) const {
    for (const auto& [id, object] : objects_) {
      if (id.first != premise.kind.plural || (premise.key && !isOf(id.second, *premise.key)))
        continue;
      simdjson::dom::parser parser;
      const auto text = object.dump();
      simdjson::dom::element element;
      if (parser.parse(text).get(element) != simdjson::SUCCESS) return true;
      if (premise.contradicts(element)) return true;
    }
    return false;
  }

  /// What a reconciler answers for one object.
  [[nodiscard]] Outcome ask(const Reconciler& reconciler, const std::string& name,
                            const std::string& nameSpace = "") const {
    return reconciler.reconcile(world, {nameSpace, name}, now);
  }
  /// The object is another on the server than in the world: caches lag.
  template <class T>
  void changeUnseen(T object) {
    if (object.metadata.uid.empty()) object.metadata.uid = "uid-" + object.metadata.name;
    auto json = k8s::KindTraits<T>::encode(object);
    json["metadata"]["resourceVersion"] = std::to_string(++version_);
    objects_[{std::string(k8s::KindTraits<T>::kKind.plural), keyOf(object)}] = std::move(json);
  }

 private:
  using Id = std::pair<std::string, k8s::ObjectKey>;

  /// A key without a name is of all in its namespace.
  static bool isOf(const k8s::ObjectKey& object, const k8s::ObjectKey& key) {
    return key.name.empty() ? object.nameSpace == key.nameSpace : object == key;
  }

  void store(const k8s::Kind& kind, nlohmann::json object) {
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    const auto& metadata = object["metadata"];
    const k8s::ObjectKey key{metadata.value("namespace", ""), metadata.value("name", "")};
    const auto& kept = objects_[{std::string(kind.plural), key}] = std::move(object);
    tell(kind, key, &kept);
  }
  void tell(const k8s::Kind& kind, const k8s::ObjectKey& key, const nlohmann::json* object) {
    tellAs<api::PodNetwork>(kind, key, object);
    tellAs<api::PodNetworkAttachment>(kind, key, object);
    tellAs<api::NetworkIdentifier>(kind, key, object);
    tellAs<api::PodInterfaceSet>(kind, key, object);
    tellAs<api::NodeNetworkSet>(kind, key, object);
    tellAs<api::NetworkPeer>(kind, key, object);
    tellAs<api::IPBlock>(kind, key, object);
    tellAs<k8s::Pod>(kind, key, object);
    tellAs<k8s::Node>(kind, key, object);
    tellAs<k8s::Namespace>(kind, key, object);
    tellAs<api::PodNetworkService>(kind, key, object);
    tellAs<k8s::Service>(kind, key, object);
    tellAs<k8s::EndpointSlice>(kind, key, object);
    tellAs<api::PodNetworkPolicy>(kind, key, object);
    tellAs<api::ClusterPodNetworkPolicy>(kind, key, object);
    tellAs<api::PodNetworkPolicySlice>(kind, key, object);
    tellAs<MultiNetworkPolicy>(kind, key, object);
  }
  template <class T>
  void tellAs(const k8s::Kind& kind, const k8s::ObjectKey& key, const nlohmann::json* object) {
    using Seen = typename SeenAs<T>::Type;
    if (k8s::KindTraits<T>::kKind.plural != kind.plural) return;
    std::shared_ptr<const Seen> seen;
    if (object != nullptr) {
      const auto decoded = k8s::decodeText<Seen>(object->dump());
      ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
      if (concerns(*decoded)) seen = std::make_shared<const Seen>(*decoded);
    }
    world.put<Seen>(key, std::move(seen), now.boot);
  }

  std::map<Id, nlohmann::json> objects_;
  std::uint64_t version_ = 0;
};

/// What the planner wishes for now; each write counts as ended, whatever becomes of it.
inline std::vector<Write> wishes(Planner& planner, World& world, const Moment& now) {
  planner.note(world, world.changes());
  std::vector<Write> writes;
  for (auto& one : planner.plan(world, now)) {
    planner.ended(one.origin);
    writes.push_back(std::move(one.write));
  }
  return writes;
}

inline k8s::Node nodeOf(const std::string& name,
                        k8s::ConditionStatus ready = k8s::ConditionStatus::True) {
  k8s::Node node;
  node.metadata.name = name;
  node.status.conditions.items = {{"Ready", ready, 0, std::nullopt, "", ""}};
  return node;
}

inline k8s::Pod podOf(const std::string& name, const std::string& request,
                      const std::string& node = "node-a") {
  k8s::Pod pod;
  pod.metadata.nameSpace = "default";
  pod.metadata.name = name;
  pod.metadata.uid = "uid-" + name;
  pod.metadata.annotations[api::kNetworksAnnotation] = request;
  pod.spec.nodeName = node;
  pod.status.phase = "Running";
  return pod;
}

/// Of that pod, an interface for each `network` or `network/attachment`.
inline api::PodInterfaceSet setOf(const k8s::Pod& pod, const std::vector<std::string>& networks) {
  api::PodInterfaceSet set;
  set.metadata.nameSpace = pod.metadata.nameSpace;
  set.metadata.name = pod.metadata.name + "-set";
  set.pod = {pod.metadata.name, pod.metadata.uid};
  set.nodeName = pod.spec.nodeName;
  for (const auto& network : networks) {
    auto& interface = set.interfaces.emplace_back();
    interface.name = "net" + std::to_string(set.interfaces.size());
    const auto slash = network.find('/');
    interface.podNetworkName = network.substr(0, slash);
    if (slash != std::string::npos) interface.attachmentName = network.substr(slash + 1);
  }
  return set;
}

inline api::PodNetwork tunnelOf(const std::string& name, int second,
                                std::optional<std::int32_t> vni = {}) {
  auto network = api::testing::otherNetwork(name, 20);
  network.metadata.uid = "uid-" + name;
  network.metadata.creationTimestamp = WallTime(std::chrono::seconds(second));
  network.spec.type = api::NetworkType::Vxlan;
  network.spec.bridge.reset();
  network.spec.vxlan = api::VxlanSpec{vni, {}, {}};
  network.status = {};
  return network;
}

inline api::NodeNetworkSet reportOf(const std::string& node, const std::string& network,
                                    k8s::ConditionStatus ready, const std::string& reason) {
  api::NodeNetworkSet set;
  set.metadata.name = node;
  set.spec.nodeName = node;
  auto& told = set.status.networks.emplace_back();
  told.podNetworkName = network;
  told.conditions.items = {{"Ready", ready, 0, std::nullopt, reason, ""}};
  return set;
}

inline api::IPBlock blockOf(const std::string& network, const std::string& node) {
  api::IPBlock block;
  block.metadata.name = network + "-v4-" + node;
  block.spec = {network, "uid-" + network, "10.20.0.64/26", node};
  return block;
}

inline api::NetworkPeer peerOf(const std::string& network, const std::string& node) {
  api::NetworkPeer peer;
  peer.metadata.name = network + "." + node;
  peer.podNetworkName = network;
  peer.podNetworkUID = "uid-" + network;
  peer.nodeName = node;
  return peer;
}

inline api::NetworkIdentifier identifierOf(std::int32_t vni, const std::string& network) {
  api::NetworkIdentifier identifier;
  identifier.metadata.name = api::vxlanIdentifierName(static_cast<std::uint32_t>(vni));
  identifier.spec = {api::IdentifierKind::Vxlan, vni, network, "uid-" + network};
  return identifier;
}

}  // namespace multinet::controller::testing
