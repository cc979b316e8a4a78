// Networks as tests have them, and what their links are called.
#pragma once

#include <utility>

#include "nodeagent/drivers/names.h"
#include "nodeagent/networks/ground.h"

namespace multinet::agent::networks {

using drivers::bridgeMac;
using drivers::networkAlias;
using drivers::parseNetworkAlias;
using drivers::vxlan::Peer;

/// A network of type VXLAN with VNI 7001.
[[nodiscard]] inline DesiredNetwork testTunnel(std::string name, std::string uid,
                                               std::vector<Peer> peers = {}) {
  DesiredNetwork network;
  network.name = NetworkName(std::move(name));
  network.uid = NetworkUid(std::move(uid));
  drivers::vxlan::Network tunnel;
  tunnel.vni = 7001;
  tunnel.peers = std::move(peers);
  network.network = std::move(tunnel);
  return network;
}
[[nodiscard]] inline drivers::vxlan::Network& tunnelOf(DesiredNetwork& network) {
  return std::get<drivers::vxlan::Network>(network.network);
}
[[nodiscard]] inline DesiredNetwork asBridge(DesiredNetwork network, api::BridgeSpec spec) {
  network.network = drivers::bridge::Network{std::move(spec)};
  return network;
}
[[nodiscard]] inline DesiredNetwork asMacvlan(DesiredNetwork network, api::MacvlanSpec spec) {
  network.network = drivers::macvlan::Network{std::move(spec)};
  return network;
}

[[nodiscard]] inline DesiredNetwork asVlan(DesiredNetwork network, api::VlanSpec spec) {
  network.network = drivers::vlan::Network{std::move(spec)};
  return network;
}

[[nodiscard]] inline DesiredNetwork asIpvlan(DesiredNetwork network, api::IpvlanSpec spec) {
  network.network = drivers::ipvlan::Network{std::move(spec)};
  return network;
}

/// Of a network that has a bridge of its own.
[[nodiscard]] inline std::string bridgeName(const DesiredNetwork& network) {
  return linksOf(network, drivers::Host{}, drivers::Place::Switch).at(0);
}
[[nodiscard]] inline std::string vxlanName(const DesiredNetwork& network) {
  return drivers::vxlan::tunnelName(network.uid);
}
[[nodiscard]] inline std::string uplinkName(const DesiredNetwork& network) {
  return drivers::bridge::uplinkName(network.uid);
}
[[nodiscard]] inline std::string wireEndName(const DesiredNetwork& network) {
  return drivers::bridge::wireEndName(network.uid);
}

[[nodiscard]] inline std::string vlanName(const DesiredNetwork& network) {
  return linksOf(network, drivers::Host{}, drivers::Place::Switch).at(1);
}

/// What pods are put onto; empty where nothing may be.
[[nodiscard]] inline std::string parentOf(const NetworkState& state) {
  return state.link ? agent::parentOf(*state.link) : "";
}

}  // namespace multinet::agent::networks
