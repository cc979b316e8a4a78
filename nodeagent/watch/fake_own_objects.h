// What the API has of a node's objects, as a test says.
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "nodeagent/watch/own_objects.h"

namespace multinet::agent::watch {

/// Thread-safe. Known from the start; `forgetAll` makes it a watch that has heard nothing.
class FakeOwnObjects final : public OwnObjects {
 public:
  void put(const api::PodInterfaceSet& set) { keep(sets_, set.metadata.name, set); }
  void put(const k8s::Pod& pod) { keep(pods_, pod.metadata.name, pod); }
  void put(const api::NetworkPeer& peer) { keep(peers_, peer.metadata.name, peer); }
  void put(const api::NodeNetworkSet& set) { keep(nodeSets_, "", set); }
  void put(const k8s::Node& node) { keep(nodes_, "", node); }
  void removeSet(const std::string& name) { drop(sets_, name); }
  void removePod(const std::string& name) { drop(pods_, name); }
  void removePeer(const std::string& name) { drop(peers_, name); }
  void removeNodeSet() { drop(nodeSets_, ""); }
  void removeNode() { drop(nodes_, ""); }
  void forgetAll() {
    const std::lock_guard lock(mutex_);
    known_ = false;
  }

  [[nodiscard]] Seen<api::PodInterfaceSet> interfaceSet(const std::string& /*namespaceName*/,
                                                        const std::string& name) const override {
    return look(sets_, name);
  }
  [[nodiscard]] Seen<k8s::Pod> pod(const std::string& /*namespaceName*/,
                                   const std::string& name) const override {
    return look(pods_, name);
  }
  [[nodiscard]] Seen<api::NodeNetworkSet> nodeSet() const override { return look(nodeSets_, ""); }
  [[nodiscard]] Seen<k8s::Node> node() const override { return look(nodes_, ""); }
  [[nodiscard]] Seen<api::NetworkPeer> ownPeer(const std::string& name) const override {
    return look(peers_, name);
  }
  [[nodiscard]] std::vector<std::string> ownPeerNames() const override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, peer] : peers_) names.push_back(name);
    return names;
  }

 private:
  template <class T>
  using Objects = std::map<std::string, std::shared_ptr<const T>>;

  template <class T>
  void keep(Objects<T>& objects, const std::string& name, const T& object) {
    const std::lock_guard lock(mutex_);
    objects[name] = std::make_shared<const T>(object);
  }
  template <class T>
  void drop(Objects<T>& objects, const std::string& name) {
    const std::lock_guard lock(mutex_);
    objects.erase(name);
  }
  template <class T>
  Seen<T> look(const Objects<T>& objects, const std::string& name) const {
    const std::lock_guard lock(mutex_);
    if (!known_) return {};
    const auto found = objects.find(name);
    return {true, found == objects.end() ? nullptr : found->second};
  }

  mutable std::mutex mutex_;
  bool known_ = true;
  Objects<api::PodInterfaceSet> sets_;
  Objects<k8s::Pod> pods_;
  Objects<api::NetworkPeer> peers_;
  Objects<api::NodeNetworkSet> nodeSets_;
  Objects<k8s::Node> nodes_;
};

}  // namespace multinet::agent::watch
