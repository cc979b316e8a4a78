#include "webhook/live_view.h"

#include "lib/k8s/core.h"

namespace multinet::webhook {
namespace {

/// Nothing where there is no such object; `cached` where the server doesn't say.
template <class T, class Cached>
std::optional<T> ask(kube::Client& client, const kube::ObjectKey& key, const Cached& cached) {
  auto found = client.get<T>(key);
  if (found) return std::move(*found);
  if (found.error().code == Code::NotFound) return std::nullopt;
  return cached();
}

}  // namespace

std::optional<api::PodNetwork> LiveView::network(std::string_view name) const {
  const auto [at, isNew] = networks_.try_emplace(std::string(name));
  if (isNew) {
    const auto cached = [&] { return caches_.network(name); };
    at->second = mayAsk() ? ask<api::PodNetwork>(client_, {"", at->first}, cached) : cached();
  }
  return at->second;
}

std::optional<api::PodNetworkAttachment> LiveView::attachment(std::string_view namespaceName,
                                                              std::string_view name) const {
  const auto [at, isNew] =
      attachments_.try_emplace(std::pair(std::string(namespaceName), std::string(name)));
  if (isNew) {
    const auto cached = [&] { return caches_.attachment(namespaceName, name); };
    const kube::ObjectKey key{at->first.first, at->first.second};
    at->second = mayAsk() ? ask<api::PodNetworkAttachment>(client_, key, cached) : cached();
  }
  return at->second;
}

std::optional<k8s::StringMap> LiveView::namespaceLabels(std::string_view name) const {
  const auto [at, isNew] = labels_.try_emplace(std::string(name));
  if (isNew) {
    at->second = caches_.namespaceLabels(name);
    if (!mayAsk()) return at->second;
    if (auto found = client_.get<k8s::Namespace>({"", at->first})) {
      at->second = *found->metadata.labels;
    }
  }
  return at->second;
}

std::vector<api::PodNetworkAttachment> LiveView::selecting(std::string_view namespaceName) const {
  if (!mayAsk()) return caches_.selecting(namespaceName);
  const std::string home(namespaceName);
  auto all = client_.list<api::PodNetworkAttachment>({home, "", ""});
  if (!all) return caches_.selecting(namespaceName);
  std::vector<api::PodNetworkAttachment> found;
  for (api::PodNetworkAttachment& one : *all) {
    attachments_.try_emplace({home, one.metadata.name}, one);
    if (one.spec.podSelector->has_value()) found.push_back(std::move(one));
  }
  return found;
}

std::vector<api::PodNetwork> LiveView::networks() const {
  if (!mayAsk()) return caches_.networks();
  auto all = client_.list<api::PodNetwork>();
  return all ? std::move(*all) : caches_.networks();
}

std::optional<std::vector<api::ClusterRange>> LiveView::clusterRanges() const {
  if (!mayAsk()) return std::nullopt;
  std::vector<api::ClusterRange> ranges;
  const auto add = [&](const std::string& text, api::RangeUse use, const std::string& owner) {
    if (const auto prefix = IpPrefix::parse(text)) ranges.push_back({*prefix, use, owner});
  };
  const auto services = client_.list<k8s::ServiceCidr>();
  // An older server has no such kind, and tells its Services' range to nobody.
  if (!services && services.error().code != Code::NotFound) return std::nullopt;
  if (services) {
    for (const k8s::ServiceCidr& one : *services) {
      for (const auto& cidr : one.spec.cidrs) add(cidr, api::RangeUse::Services, one.metadata.name);
    }
  }
  if (!mayAsk()) return std::nullopt;
  const auto nodes = client_.list<k8s::Node>();
  if (!nodes) return std::nullopt;
  for (const k8s::Node& node : *nodes) {
    for (const auto& cidr : node.spec.podCIDRs) add(cidr, api::RangeUse::Pods, node.metadata.name);
    for (const k8s::NodeAddress& one : node.status.addresses) {
      const auto address = IpAddress::parse(one.address);  // names of hosts stand there too
      if (!address) continue;
      const IpPrefix alone(*address, static_cast<std::uint8_t>(bits(address->family())));
      ranges.push_back({alone, api::RangeUse::Node, node.metadata.name});
    }
  }
  return ranges;
}

}  // namespace multinet::webhook
