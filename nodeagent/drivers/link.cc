#include "nodeagent/drivers/link.h"

namespace multinet::agent::drivers {
namespace {

netlink::Request vethRequest(const CreateLink& step, int podNetns) {
  netlink::VethSpec spec;
  spec.hostName = step.hostEnd;
  spec.bridge = step.parent;
  spec.bridgeIndex = step.parentIndex;
  spec.peerName = step.bornAs;
  spec.peerNetns = podNetns;
  spec.peerMac = step.mac;
  spec.mtu = step.mtu;
  return netlink::createVeth(spec);
}

}  // namespace

std::string textOf(const LinkForm& form, const std::string& name) {
  const auto found = form.find(name);
  return found == form.end() ? "" : found->second;
}

Status checkCarries(unsigned mtu, const netlink::LinkInfo& parent) {
  if (!parent.up) {
    return fail(Code::FailedPrecondition, "ParentDown",
                "attach to " + parent.name + ": the device is down, it must be up");
  }
  if (mtu > parent.mtu) {
    return fail(Code::FailedPrecondition, "MTUTooLarge",
                "attach to " + parent.name + ": MTU " + std::to_string(mtu) +
                    " is above the device's; at most " + std::to_string(parent.mtu));
  }
  return {};
}

Status checkVethParent(unsigned mtu, const netlink::LinkInfo& parent) {
  if (parent.kind != "bridge") {
    return fail(Code::FailedPrecondition, "ParentNotBridge",
                "attach to " + parent.name + ": it is of kind \"" + parent.kind +
                    "\", it must be a bridge");
  }
  return checkCarries(mtu, parent);
}

CreateLink createVeth(const NewLink& link, const netlink::LinkInfo& parent) {
  CreateLink step;
  step.place = Place::Switch;
  step.parent = parent.name;
  step.parentIndex = parent.index;
  step.bornAs = link.name.str();
  step.hostEnd = link.hostName;
  step.alias = aliasOf(link.intent, link.name.str());
  step.mac = link.mac;
  step.mtu = link.mtu;
  step.request = vethRequest;
  return step;
}

Status checkDeviceParent(unsigned mtu, const netlink::LinkInfo& parent) {
  // A bridge's port has its one receive handler taken (the kernel would say EBUSY).
  if (parent.master != 0) {
    return fail(Code::FailedPrecondition, "ParentEnslaved",
                "attach to " + parent.name + ": it is a port of another device, name that one");
  }
  return checkCarries(mtu, parent);
}

CreateLink createOn(const NewLink& link, const netlink::LinkInfo& parent, Place place) {
  CreateLink step;
  step.place = place;
  step.parent = parent.name;
  step.parentIndex = parent.index;
  step.bornAs = link.hostName;
  step.mac = link.mac;
  step.mtu = link.mtu;
  return step;
}

}  // namespace multinet::agent::drivers
