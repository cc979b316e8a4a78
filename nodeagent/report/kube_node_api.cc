#include "nodeagent/report/kube_node_api.h"

#include <algorithm>

namespace multinet::agent::report {
namespace {

template <class T>
Status statusOf(const Result<T>& result) {
  if (result) return {};
  return fail(result.error());
}

}  // namespace

Result<api::NodeNetworkSet> KubeNodeApi::getNodeSet(const NodeName& node) {
  MULTINET_TRY(kube::Client* const client, client_());
  return client->get<api::NodeNetworkSet>({"", node.str()});
}

Result<api::NodeNetworkSet> KubeNodeApi::createNodeSet(const api::NodeNetworkSet& set) {
  MULTINET_TRY(kube::Client* const client, client_());
  return client->create(set);
}

Status KubeNodeApi::updateNodeSetStatus(const api::NodeNetworkSet& set) {
  MULTINET_TRY(kube::Client* const client, client_());
  return statusOf(client->updateStatus(set));
}

Status KubeNodeApi::createPeer(const api::NetworkPeer& peer) {
  MULTINET_TRY(kube::Client* const client, client_());
  return statusOf(client->create(
      peer, std::function<bool(const api::NetworkPeer&)>([&peer](const api::NetworkPeer& there) {
        return there.nodeName == peer.nodeName && there.podNetworkUID == peer.podNetworkUID;
      })));
}

Status KubeNodeApi::updatePeer(const api::NetworkPeer& peer) {
  MULTINET_TRY(kube::Client* const client, client_());
  return statusOf(client->update(peer));
}

Status KubeNodeApi::deletePeer(const api::NetworkPeer& peer) {
  MULTINET_TRY(kube::Client* const client, client_());
  return client->remove<api::NetworkPeer>({"", peer.metadata.name}, {peer.metadata.uid, ""});
}

}  // namespace multinet::agent::report
