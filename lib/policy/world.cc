#include "lib/policy/world.h"

#include <algorithm>

#include "lib/api/spelling.h"

namespace multinet::policy {
namespace {

template <class Use>
void forPorts(const std::vector<k8s::Container>& containers, bool sidecarsOnly, const Use& use) {
  for (const auto& container : containers) {
    if (sidecarsOnly && container.restartPolicy != "Always") continue;
    for (const auto& port : container.ports) {
      const auto protocol = port.protocol.empty() ? std::optional(api::Protocol::TCP)
                                                  : k8s::unspell<api::Protocol>(port.protocol);
      if (!port.name.empty() && protocol) use(port, *protocol);
    }
  }
}

/// Of all containers that run as long as the pod.
template <class Use>
void forPorts(const k8s::PodSpec& spec, const Use& use) {
  forPorts(spec.containers, false, use);
  forPorts(*spec.initContainers, true, use);
}

}  // namespace

const Interface* Pod::on(std::string_view network) const {
  const auto found = std::ranges::find(interfaces, network, &Interface::network);
  return found == interfaces.end() ? nullptr : &*found;
}

std::optional<std::int32_t> Pod::portNamed(std::string_view name, api::Protocol protocol) const {
  const auto found = std::ranges::find_if(
      ports, [&](const NamedPort& port) { return port.name == name && port.protocol == protocol; });
  return found == ports.end() ? std::nullopt : std::optional(found->number);
}

std::optional<std::int32_t> portNamed(const k8s::Pod& pod, std::string_view name,
                                      api::Protocol protocol) {
  std::optional<std::int32_t> found;
  forPorts(pod.spec, [&](const k8s::ContainerPort& port, api::Protocol of) {
    if (!found && of == protocol && port.name == name) found = port.containerPort;
  });
  return found;
}

const Pod* World::find(const PodKey& key) const {
  const auto found = std::ranges::find(pods, key, &Pod::key);
  return found == pods.end() ? nullptr : &*found;
}

const Pod* World::podAt(std::string_view network, const IpAddress& address) const {
  for (const auto& pod : pods) {
    const auto* interface = pod.on(network);
    if (interface != nullptr &&
        std::ranges::find(interface->addresses, address) != interface->addresses.end()) {
      return &pod;
    }
  }
  return nullptr;
}

std::optional<Pod> podOf(const k8s::Pod& pod, const api::PodInterfaceSet& set) {
  if (pod.finished() || set.pod.uid != pod.metadata.uid) return std::nullopt;
  Pod out;
  out.key = {pod.metadata.nameSpace, pod.metadata.name};
  out.labels = *pod.metadata.labels;
  forPorts(pod.spec, [&](const k8s::ContainerPort& port, api::Protocol protocol) {
    out.ports.push_back({port.name, protocol, port.containerPort});
  });
  for (const auto& interface : set.interfaces) {
    Interface one{interface.podNetworkName, {}};
    for (const auto& ip : interface.ips) {
      if (const auto address = InterfaceAddress::parse(ip.address)) {
        one.addresses.push_back(address->address);
      }
    }
    out.interfaces.push_back(std::move(one));
  }
  return out;
}

}  // namespace multinet::policy
