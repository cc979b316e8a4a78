#include <linux/if_link.h>

#include <charconv>
#include <utility>

#include "nodeagent/drivers/macvlan/macvlan.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.pb.h"

namespace multinet::agent::drivers::macvlan {
namespace {

netlink::Request requestOf(const CreateLink& step, int podNetns) {
  netlink::MacvlanSpec spec;
  spec.name = step.bornAs;
  spec.parent = step.parent;
  spec.parentIndex = step.parentIndex;
  spec.mode = step.mode;
  spec.netns = podNetns;
  spec.mac = step.mac;
  spec.mtu = step.mtu;
  return netlink::createMacvlan(spec);
}

}  // namespace

std::uint32_t Link::kernelMode() const {
  switch (mode) {
    case api::MacvlanMode::Private:
      return MACVLAN_MODE_PRIVATE;
    case api::MacvlanMode::Vepa:
      return MACVLAN_MODE_VEPA;
    case api::MacvlanMode::Passthru:
      return MACVLAN_MODE_PASSTHRU;
    case api::MacvlanMode::Bridge:
      break;
  }
  return MACVLAN_MODE_BRIDGE;
}

CreateLink Link::create(const NewLink& link, const netlink::LinkInfo& parent) const {
  CreateLink step = createOn(link, parent, place());
  step.mode = kernelMode();
  // Until it has its mark it is known by its MAC, or else by the name that it was born with.
  if (traits().hasOwnMac) {
    step.elseAs = std::exchange(step.bornAs, link.name.str());
  }
  step.request = requestOf;
  return step;
}

void Link::toWire(multinet::cri::v1alpha1::InterfaceRequest& request) const {
  request.mutable_macvlan()->set_parent(device);
  request.mutable_macvlan()->set_mode(std::string(api::name(mode)));
  request.mutable_macvlan()->set_vlan(vlan);
}

LinkForm Link::form() const {
  LinkForm form = {{"parent", device}, {"macvlanMode", std::string(api::name(mode))}};
  if (vlan != 0) form["vlan"] = std::to_string(vlan);
  return form;
}

Result<Link> Link::ofForm(const LinkForm& form) {
  const std::string text = textOf(form, "macvlanMode");
  const auto mode = k8s::unspell<api::MacvlanMode>(text);
  if (!mode) {
    return fail(Code::InvalidArgument, "InvalidMode",
                "mode \"" + text + "\": must be Bridge, Private, VEPA or Passthru");
  }
  const std::string tag = textOf(form, "vlan");
  std::uint16_t vlan = 0;
  if (!tag.empty() &&
      std::from_chars(tag.data(), tag.data() + tag.size(), vlan).ec != std::errc{}) {
    return fail(Code::InvalidArgument, "InvalidVLAN", "vlan \"" + tag + "\": must be a number");
  }
  return Link{textOf(form, "parent"), *mode, vlan};
}

}  // namespace multinet::agent::drivers::macvlan
