#include "nodeagent/drivers/vlan/vlan.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.pb.h"

namespace multinet::agent::drivers::vlan {

void Link::toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const {
  request.mutable_vlan()->set_bridge(bridge);
}

}  // namespace multinet::agent::drivers::vlan
