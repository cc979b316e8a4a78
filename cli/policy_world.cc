#include "cli/policy_world.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "cli/nearest.h"
#include "cli/objects.h"
#include "cli/output.h"
#include "lib/api/policy.h"
#include "lib/api/spelling.h"

namespace multinet::cli {
namespace {

/// `shop/db`: of many objects this one is meant.
std::string titleOf(const simdjson::dom::element& object) {
  const auto at = [&](const char* path) {
    std::string_view text;
    return object.at_pointer(path).get(text) == simdjson::SUCCESS ? std::string(text) : "";
  };
  const std::string home = at("/metadata/namespace");
  return printable((home.empty() ? "" : home + "/") + at("/metadata/name"));
}

template <class T>
Result<std::vector<T>> listOf(kube::RawClient& client) {
  std::vector<T> out;
  MULTINET_CHECK(kube::listAll(client, kube::kindOf<T>(), {}, {},
                               [&](const simdjson::dom::element& object) -> Status {
                                 auto one = k8s::KindTraits<T>::decode(object);
                                 if (!one) return fail(one.error().within(titleOf(object)));
                                 out.push_back(std::move(*one));
                                 return {};
                               }));
  return out;
}

Status addNamespaces(kube::RawClient& client, policy::World& world) {
  MULTINET_TRY(const auto namespaces, listOf<k8s::Namespace>(client));
  for (const auto& one : namespaces) world.namespaces[one.metadata.name] = *one.metadata.labels;
  return {};
}

Status addPods(kube::RawClient& client, Seen& seen) {
  MULTINET_TRY(const auto sets, listOf<api::PodInterfaceSet>(client));
  std::map<std::string, const api::PodInterfaceSet*> byPod;
  for (const auto& set : sets) byPod[set.pod.uid] = &set;
  MULTINET_TRY(const auto pods, listOf<k8s::Pod>(client));
  for (const auto& pod : pods) {
    if (pod.spec.hostNetwork && !pod.finished()) {
      seen.hostPods.push_back(
          {{pod.metadata.nameSpace, pod.metadata.name}, *pod.metadata.labels, {}, {}});
    }
    const auto set = byPod.find(pod.metadata.uid);
    auto known = set == byPod.end() ? std::nullopt : policy::podOf(pod, *set->second);
    if (known) {
      seen.world.pods.push_back(std::move(*known));
    } else {
      seen.others.insert({pod.metadata.nameSpace, pod.metadata.name});
    }
  }
  return {};
}

/// None where the cluster has no such kind.
template <class P>
Result<std::vector<P>> standingBut(kube::RawClient& client, std::vector<P> written) {
  auto standing = listOf<P>(client);
  if (!standing && standing.error().code != Code::NotFound) return fail(standing.error());
  std::vector<P> out;
  if (standing) out = std::move(*standing);
  std::erase_if(out, [&](const P& one) {
    return std::ranges::any_of(written, [&](const P& other) {
      return one.metadata.nameSpace == other.metadata.nameSpace &&
             one.metadata.name == other.metadata.name;
    });
  });
  std::ranges::move(written, std::back_inserter(out));
  return out;
}

template <class P>
void keepThoseOn(const std::string& network, std::vector<P>& policies) {
  std::erase_if(policies, [&](const P& policy) {
    const auto& names = policy.spec.podNetworkNames;
    return std::ranges::find(names, network) == names.end();
  });
}

/// `pod/web` is a pod of the namespace, as `trace` has it, unless there is one of namespace pod.
policy::PodKey keyOf(const std::string& text, const std::string& nameSpace, const Seen& seen) {
  const auto slash = text.find('/');
  if (slash == std::string::npos) return {nameSpace, text};
  policy::PodKey key{text.substr(0, slash), text.substr(slash + 1)};
  const bool isThere = seen.world.find(key) != nullptr || seen.others.contains(key);
  return key.nameSpace == "pod" && !isThere ? policy::PodKey{nameSpace, key.name} : key;
}

Status fill(kube::RawClient& client, PolicyView& view) {
  MULTINET_CHECK(addPolicies(client, {}, view.world));
  view.world = onNetwork(view.network.name, std::move(view.world));
  const bool opens = view.network.defaultPolicy == api::DefaultPolicy::Allow;
  if (opens && view.world.policies.empty() && view.world.clusterPolicies.empty()) return {};
  MULTINET_CHECK(addNamespaces(client, view.world));
  Seen seen;
  MULTINET_CHECK(addPods(client, seen));
  view.world.pods = std::move(seen.world.pods);
  return {};
}

}  // namespace

Result<Seen> look(kube::RawClient& client) {
  Seen seen;
  MULTINET_TRY(seen.networks, listOf<api::PodNetwork>(client));
  MULTINET_CHECK(addNamespaces(client, seen.world));
  MULTINET_CHECK(addPods(client, seen));
  return seen;
}

Status addPolicies(kube::RawClient& client, PolicyManifest written, policy::World& world) {
  MULTINET_TRY(world.policies, standingBut(client, std::move(written.policies)));
  MULTINET_TRY(world.clusterPolicies, standingBut(client, std::move(written.clusterPolicies)));
  return {};
}

policy::World onNetwork(const std::string& network, policy::World world) {
  keepThoseOn(network, world.policies);
  keepThoseOn(network, world.clusterPolicies);
  std::erase_if(world.pods, [&](const policy::Pod& pod) { return pod.on(network) == nullptr; });
  return world;
}

Result<Endpoint> endpointOf(const std::string& text, const std::string& nameSpace, const Seen& seen,
                            const std::string& network) {
  if (const auto address = IpAddress::parse(text)) return Endpoint{text, {*address}};
  const policy::PodKey key = keyOf(text, nameSpace, seen);
  const auto* pod = seen.world.find(key);
  const auto* interface = pod == nullptr ? nullptr : pod->on(network);
  if (interface != nullptr && !interface->addresses.empty()) {
    return Endpoint{key.str(), interface->addresses};
  }
  const std::string title = "pod " + printable(key.str());
  const auto missing = [](const std::string& sentence) {
    return fail(Code::NotFound, "NotFound", sentence);
  };
  if (interface != nullptr)
    return missing(title + " has no address on network " + network + " yet");
  if (pod != nullptr || seen.others.contains(key)) {
    std::string on;
    if (pod != nullptr) {
      for (const auto& one : pod->interfaces) on += (on.empty() ? "" : ", ") + one.network;
    }
    return missing(title + " isn't on network " + network + ", but on " +
                   (on.empty() ? "none" : on));
  }
  std::vector<std::string> known;
  known.reserve(seen.world.pods.size() + seen.others.size());
  for (const auto& one : seen.world.pods) known.push_back(one.key.str());
  for (const auto& one : seen.others) known.push_back(one.str());
  const std::string near = didYouMean(key.str(), known);
  return missing("there is no " + title +
                 (near.empty() ? "; write NAMESPACE/POD, or an address" : near));
}

PolicyView viewOf(kube::RawClient& client, const std::string& name, const nlohmann::json& network) {
  PolicyView view;
  view.network.name = name;
  if (!network.is_object()) {
    view.unseen = "you may not read PodNetwork " + name;
    return view;
  }
  const auto rest = k8s::unspell<api::DefaultPolicy>(text(network, "/spec/defaultPolicy"));
  view.network.defaultPolicy = rest.value_or(api::DefaultPolicy::Allow);
  const auto known = k8s::decodeText<api::PodNetwork>(network.dump());
  view.isPoliced = known && api::isPoliced(known->spec);
  if (const auto filled = fill(client, view); !filled) {
    view.unseen = filled.error().code == Code::PermissionDenied
                      ? "you may not list PodNetworkPolicies, ClusterPodNetworkPolicies, "
                        "Namespaces, Pods and PodInterfaceSets everywhere"
                      : filled.error().message;
  }
  return view;
}

}  // namespace multinet::cli
