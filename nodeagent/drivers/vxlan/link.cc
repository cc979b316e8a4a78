#include "nodeagent/drivers/vxlan/vxlan.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.pb.h"

namespace multinet::agent::drivers::vxlan {

void Link::toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const {
  request.mutable_vxlan()->set_bridge(bridge);
}

}  // namespace multinet::agent::drivers::vxlan
