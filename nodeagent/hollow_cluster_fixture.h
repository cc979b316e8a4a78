// A cluster of hollow agents around an API server in memory: some of its nodes have an agent, of
// the others there is what their agents would have written.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/api/pod_network_attachment.h"
#include "lib/api/service.h"
#include "lib/kube/client.h"
#include "lib/tls/certificate.h"
#include "nodeagent/hollow_agent.h"
#include "test/support/apiserver.h"

namespace multinet::agent {

struct HollowSize {
  int nodes = 10;
  int agents = 3;               ///< of the nodes: the first ones
  int networks = 2;             ///< VXLAN, joined by every node without an agent
  int attachmentsPerNode = 20;  ///< all of them in namespaces without pods of the agents' nodes
  int podsPerNode = 20;         ///< of nodes without an agent
  int programs = 0;  ///< nodes after those with an agent, on which the caller runs one; no pods
};

class HollowCluster {
 public:
  using Traffic = multinet::testing::Traffic;

  /// Quiet watches hear as much as a real server says: a bookmark a minute.
  HollowCluster(HollowSize size, std::filesystem::path directory)
      : size_(size), directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_);
    std::ofstream(directory_ / "ca.crt") << authority_.certificatePem;
    fill();
  }
  ~HollowCluster() {
    agents_.clear();
    std::filesystem::remove_all(directory_);
  }
  HollowCluster(const HollowCluster&) = delete;
  HollowCluster& operator=(const HollowCluster&) = delete;

  /// One after the other: all at once they would wait for a busy machine's processors until their
  /// watches give up. False: one doesn't come to serve in `limit`.
  [[nodiscard]] bool start(std::chrono::seconds limit) {
    for (int i = 0; i < size_.agents; ++i) {
      agents_.push_back(std::make_unique<HollowAgent>(
          kubeconfig(i), NodeName(node(i)), IpAddress::parse(underlay(i)).value(), clock_));
      if (!until(limit, [&] { return agents_.back()->serves(); })) return false;
    }
    return true;
  }
  /// Every agent serves, has published a peer for each network that it has joined and no other, and
  /// nothing is on its way any more. False: not in `limit`.
  [[nodiscard]] bool settle(std::chrono::seconds limit) {
    return until(limit,
                 [this] {
                   auto expected = static_cast<std::size_t>(
                       size_.networks * (size_.nodes - size_.agents - size_.programs));
                   for (const auto& agent : agents_) {
                     if (!agent->serves() || agent->reportsWaiting() > 0) return false;
                     expected += agent->networks();
                   }
                   return peers() == expected;
                 }) &&
           quiet(limit);
  }
  /// Nobody asked anything for a second, nor was sent anything.
  [[nodiscard]] bool quiet(std::chrono::seconds limit) {
    using std::chrono::steady_clock;
    std::uint64_t last = 0;
    auto since = steady_clock::now();
    return until(limit, [&] {
      std::uint64_t now = 0;
      for (const auto& [client, one] : server_.traffic()) now += one.requests.size() + one.bytes;
      if (std::exchange(last, now) != now) since = steady_clock::now();
      return steady_clock::now() - since > std::chrono::seconds(1);
    });
  }
  template <class Condition>
  [[nodiscard]] static bool until(std::chrono::seconds limit, const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  /// Places a pod on an agent's node, and runs it there.
  [[nodiscard]] Status run(int agent, const std::string& name, const std::string& request) {
    return agents_.at(static_cast<std::size_t>(agent))->run(place(agent, name, request));
  }
  /// Another machine says that it is that node, and its own agent comes up.
  [[nodiscard]] std::unique_ptr<HollowAgent> twin(int i, api::NodeAgent self) {
    return std::make_unique<HollowAgent>(kubeconfig(i), NodeName(node(i)),
                                         IpAddress::parse("10.9.9.9").value(), clock_,
                                         std::move(self));
  }
  /// A pod that is placed on that node, whoever runs it.
  [[nodiscard]] k8s::Pod place(int i, const std::string& name, const std::string& request) {
    return kube::decodeJson<k8s::Pod>(put(podOf(i, name, request)).dump()).value();
  }
  /// The agent of that node is no more.
  void end(int i) { agents_.at(static_cast<std::size_t>(i)).reset(); }
  [[nodiscard]] HollowAgent& agent(int i) { return *agents_.at(static_cast<std::size_t>(i)); }
  /// All blocks of addresses that are leased.
  [[nodiscard]] std::size_t blocks() {
    const auto path = pathOf(api::kIPBlockKind, "", "");
    return server_.store().list(path, "", "", 0, "").body["items"].size();
  }
  /// Of an agent that runs on that node. Each has a token of its own, by which the server tells
  /// them apart.
  [[nodiscard]] std::string kubeconfig(int i) const {
    const auto path = directory_ / (node(i) + ".kubeconfig");
    std::ofstream(path) << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                        << "clusters: [{name: c, cluster: {server: '" << server_.url()
                        << "', certificate-authority: " << (directory_ / "ca.crt") << "}}]\n"
                        << "users: [{name: u, user: {token: " << node(i) << "}}]\n"
                        << "contexts: [{name: c, context: {cluster: c, user: u}}]\n";
    return path.string();
  }
  /// The agent of that node has told of itself.
  [[nodiscard]] bool reports(int i) {
    return server_.store().get(pathOf(api::kNodeNetworkSetKind, "", node(i))).status == 200;
  }
  /// For files that end with it.
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  /// A network more, as a user applies it and the controller finds it good.
  void apply(int i) { put(network(i)); }
  /// The network's status says another count, as the controller has it say.
  void count(int network, int pods) {
    const auto path = pathOf(api::kPodNetworkKind, "", networkName(network));
    server_.store().patch(path, {{"status", {{"attachedPods", pods}}}},
                          multinet::testing::ObjectStore::IfAbsent::Fail);
  }
  /// A service on the network, with one slice of so many endpoints, as the controller makes them.
  void serve(int network, int endpoints) {
    const std::string name = "web-" + std::to_string(network);
    k8s::Service service;
    service.metadata.nameSpace = "default";
    service.metadata.name = name;
    service.metadata.labels = {{api::kNetworkLabel, networkName(network)},
                               {api::kServiceProxyLabel, api::kServiceManager}};
    service.spec.clusterIP = "10.96.1." + std::to_string(network + 1);
    service.spec.clusterIPs = {service.spec.clusterIP};
    k8s::ServicePort port;
    port.name = "http";
    port.protocol = "TCP";
    port.port = 80;
    port.targetPort.number = 8080;
    service.spec.ports = {port};
    put(service);
    slice_ = k8s::EndpointSlice{};
    slice_.metadata.nameSpace = "default";
    slice_.metadata.name = name + "-4-0";
    slice_.metadata.labels = {{api::kNetworkLabel, networkName(network)},
                              {api::kServiceProxyLabel, api::kServiceManager},
                              {api::kManagedByLabel, api::kServiceManager},
                              {api::kServiceNameLabel, name},
                              {api::kHeadlessLabel, ""}};
    slice_.addressType = "IPv4";
    slice_.ports = {{"http", "TCP", 8080, ""}};
    for (int i = 0; i < endpoints; ++i) {
      k8s::Endpoint one;
      one.addresses = {"10." + std::to_string(100 + network) + ".1." + std::to_string(i + 1)};
      one.conditions = {true, true, false};
      one.nodeName = node(i % size_.nodes);
      const std::string pod = name + "-6d4cf56db6-" + std::to_string(10000 + i);
      one.targetRef = k8s::ObjectReference{"Pod", "default", pod, "uid-of-" + pod};
      slice_.endpoints.push_back(std::move(one));
    }
    put(slice_);
  }
  /// One of its endpoints goes, or comes back.
  void endpointChanges() {
    auto& ready = slice_.endpoints.front().conditions.ready;
    ready = !ready.value_or(true);
    const auto path = pathOf(k8s::kEndpointSliceKind, "default", slice_.metadata.name);
    const Json whole = k8s::KindTraits<k8s::EndpointSlice>::encode(slice_);
    const auto answer = server_.store().patch(path, {{"endpoints", whole["endpoints"]}},
                                              multinet::testing::ObjectStore::IfAbsent::Fail);
    if (answer.status >= 300) throw std::runtime_error(answer.body.dump());
  }
  [[nodiscard]] Traffic trafficOf(int agent) const {
    return server_.traffic()["Bearer " + node(agent)];
  }
  [[nodiscard]] multinet::testing::ApiServer& server() { return server_; }
  [[nodiscard]] static std::string networkName(int i) { return "net-" + std::to_string(i); }
  [[nodiscard]] static std::string node(int i) { return "node-" + std::to_string(i); }

 private:
  using Json = nlohmann::json;

  /// Tokens go over TLS alone.
  [[nodiscard]] multinet::testing::ApiServerOptions options() const {
    const auto leaf =
        tls::signLeaf(authority_, {"api", {"localhost"}, {"127.0.0.1"}}, clock_.wall()).value();
    return {leaf.certificatePem, leaf.keyPem, std::chrono::minutes(1)};
  }
  static std::string underlay(int i) {
    return "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
  }
  std::size_t peers() {
    const auto path = pathOf(api::kNetworkPeerKind, "", "");
    return server_.store().list(path, "", "", 0, "").body["items"].size();
  }
  static multinet::testing::ResourcePath pathOf(const k8s::Kind& kind, const std::string& nameSpace,
                                                const std::string& name) {
    return multinet::testing::ResourcePath::parse(
        kube::pathOf(kind, {nameSpace, name}, kube::Subresource::None));
  }
  /// As the server has it then.
  template <class T>
  Json put(const T& object) {
    const auto& metadata = object.metadata;
    const auto path = pathOf(k8s::KindTraits<T>::kKind, metadata.nameSpace, metadata.name);
    auto answer = server_.store().create(path, k8s::KindTraits<T>::encode(object));
    if (answer.status >= 300) throw std::runtime_error(answer.body.dump());
    return std::move(answer.body);
  }

  void fill() {
    k8s::Namespace home;
    home.metadata.name = "default";
    put(home);
    std::vector<std::string> uids;
    for (int i = 0; i < size_.networks; ++i) uids.push_back(put(network(i))["metadata"]["uid"]);
    for (int i = 0; i < size_.nodes; ++i) {
      k8s::Node one;
      one.metadata.name = node(i);
      put(one);
      for (int j = 0; j < size_.attachmentsPerNode; ++j) put(attachment(i, j));
      if (i < size_.agents + size_.programs) continue;
      for (int j = 0; j < size_.networks; ++j) {
        put(peer(i, j, uids[static_cast<std::size_t>(j)]));
      }
      for (int j = 0; j < size_.podsPerNode; ++j) fillPod(i, j);
    }
  }
  static api::PodNetwork network(int i) {
    api::PodNetwork network;
    network.metadata.name = networkName(i);
    network.spec.type = api::NetworkType::Vxlan;
    network.spec.vxlan = api::VxlanSpec{};
    network.spec.ipam.subnets = {{"10." + std::to_string(100 + i) + ".0.0/16",
                                  "10." + std::to_string(100 + i) + ".0.1",
                                  {},
                                  26}};
    network.spec.access.namespaces.from = api::AccessFrom::All;
    network.status.vni = 7000 + i;
    network.status.attachedPods = 0;
    network.status.nodes = {100, 100};
    const auto say = [&](const char* type, k8s::ConditionStatus status, const char* reason) {
      network.status.conditions.set({type, status, 1, {}, reason, "The sentence of a condition."},
                                    WallTime{});
    };
    say("Ready", k8s::ConditionStatus::True, "Accepted");
    say("InUse", k8s::ConditionStatus::False, "NoPods");
    say("Degraded", k8s::ConditionStatus::False, "NodesReady");
    return network;
  }
  api::PodNetworkAttachment attachment(int i, int j) const {
    api::PodNetworkAttachment attachment;
    attachment.metadata.nameSpace = "team-" + std::to_string(i / 5);
    attachment.metadata.name = "a-" + std::to_string(i) + "-" + std::to_string(j);
    attachment.spec.podNetworkName = networkName(j % std::max(1, size_.networks));
    attachment.status.attachedPods = 1;
    attachment.status.conditions.set({"Ready",
                                      k8s::ConditionStatus::True,
                                      1,
                                      {},
                                      "Accepted",
                                      "Pods of this namespace can use the attachment."},
                                     WallTime{});
    return attachment;
  }
  static api::NetworkPeer peer(int i, int j, const std::string& uid) {
    api::NetworkPeer peer;
    const NetworkName network(networkName(j));
    peer.metadata.name = api::peerName(network, NodeName(node(i)));
    peer.metadata.labels[api::kNetworkLabel] = network.str();
    peer.podNetworkName = network.str();
    peer.podNetworkUID = uid;
    peer.nodeName = node(i);
    peer.underlayIPs = {underlay(i)};
    peer.bridgeMAC = drivers::bridgeMac(NodeName(node(i)), NetworkUid(uid)).str();
    return peer;
  }
  static k8s::Pod podOf(int i, const std::string& name, const std::string& request) {
    k8s::Pod pod;
    pod.metadata.nameSpace = "default";
    pod.metadata.name = name;
    pod.metadata.annotations[api::kNetworksAnnotation] = request;
    pod.spec.nodeName = node(i);
    pod.spec.readinessGates = {{api::kReadyGate}};
    pod.status.phase = "Pending";
    return pod;
  }
  void fillPod(int i, int j) {
    const auto name = "p-" + std::to_string(i) + "-" + std::to_string(j);
    const Json pod = put(podOf(i, name, networkName(j % std::max(1, size_.networks))));
    api::PodInterfaceSet set;
    set.metadata.nameSpace = "default";
    set.metadata.name = name + "-set";
    set.pod = {name, pod["metadata"]["uid"].get<std::string>()};
    set.nodeName = node(i);
    put(set);
  }

  const HollowSize size_;
  const std::filesystem::path directory_;
  SystemClock clock_;
  k8s::EndpointSlice slice_;  ///< of serve()
  const tls::KeyPair authority_ = tls::makeCa({"hollow"}, clock_.wall()).value();
  multinet::testing::ApiServer server_{options()};
  std::vector<std::unique_ptr<HollowAgent>> agents_;
};

}  // namespace multinet::agent
