#include <linux/if_link.h>

#include "nodeagent/drivers/ipvlan/ipvlan.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.pb.h"

namespace multinet::agent::drivers::ipvlan {
namespace {

netlink::Request requestOf(const CreateLink& step, int podNetns) {
  return netlink::createStacked(
      {.kind = "ipvlan",
       .name = step.bornAs,
       .parent = step.parent,
       .parentIndex = step.parentIndex,
       .options = {{IFLA_IPVLAN_MODE, static_cast<std::uint16_t>(step.mode)}},
       .netns = podNetns,
       .mtu = step.mtu});
}

}  // namespace

std::uint32_t Link::kernelMode() const {
  switch (mode) {
    case api::IpvlanMode::L3:
      return IPVLAN_MODE_L3;
    case api::IpvlanMode::L3S:
      return IPVLAN_MODE_L3S;
    case api::IpvlanMode::L2:
      break;
  }
  return IPVLAN_MODE_L2;
}

CreateLink Link::create(const NewLink& link, const netlink::LinkInfo& parent) const {
  CreateLink step = createOn(link, parent, Place::Node);
  step.mode = kernelMode();
  step.request = requestOf;
  return step;
}

void Link::toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const {
  request.mutable_ipvlan()->set_parent(device);
  request.mutable_ipvlan()->set_mode(std::string(api::name(mode)));
}

LinkForm Link::form() const {
  return {{"parent", device}, {"ipvlanMode", std::string(api::name(mode))}};
}

Result<Link> Link::ofForm(const LinkForm& form) {
  const std::string text = textOf(form, "ipvlanMode");
  const auto mode = k8s::unspell<api::IpvlanMode>(text);
  if (!mode) {
    return fail(Code::InvalidArgument, "InvalidMode",
                "mode \"" + text + "\": must be L2, L3 or L3S");
  }
  return Link{textOf(form, "parent"), *mode};
}

}  // namespace multinet::agent::drivers::ipvlan
