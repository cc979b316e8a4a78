#include "nodeagent/drivers/bridge/bridge.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.pb.h"

namespace multinet::agent::drivers::bridge {

void Link::toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const {
  request.mutable_bridge()->set_bridge(bridge);
}

}  // namespace multinet::agent::drivers::bridge
