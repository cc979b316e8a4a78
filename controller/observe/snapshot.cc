#include "controller/observe/snapshot.h"

#include "lib/api/validate.h"

namespace multinet::controller {
namespace {

/// What the informers hold, as the rules want it. Outlived by it.
class View final : public api::Catalog {
 public:
  explicit View(const Observed& observed) {
    for (const auto& one : observed.namespaces) labels_[one->meta.name] = &one->labels;
    for (const auto& one : observed.networks) {
      networks_[one->state.network.meta.name] = one->object.get();
    }
  }
  [[nodiscard]] std::optional<api::PodNetwork> network(std::string_view name) const override {
    const auto* found = networkOf(name);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  [[nodiscard]] std::optional<api::PodNetworkAttachment> attachment(
      std::string_view /*namespaceName*/, std::string_view /*name*/) const override {
    return std::nullopt;  // no rule for objects asks for another attachment
  }
  [[nodiscard]] std::optional<k8s::StringMap> namespaceLabels(
      std::string_view name) const override {
    const auto found = labels_.find(name);
    return found == labels_.end() ? std::nullopt : std::optional<k8s::StringMap>(*found->second);
  }
  /// Null where there is none that could be decoded.
  [[nodiscard]] const api::PodNetwork* networkOf(std::string_view name) const {
    const auto found = networks_.find(name);
    return found == networks_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string_view, const std::map<std::string, std::string>*, std::less<>> labels_;
  std::map<std::string_view, const api::PodNetwork*, std::less<>> networks_;
};

bool grants(const api::NamespaceAccess& access, const std::optional<k8s::StringMap>& labels) {
  if (access.from == api::AccessFrom::All) return true;
  return access.from == api::AccessFrom::Selector && labels && access.selector &&
         access.selector->matches(*labels);
}

class Maker {
 public:
  explicit Maker(const Observed& observed) : observed_(observed), view_(observed) {}

  Snapshot make(NodeMemory& memory, BootTime now) {
    for (const auto& one : observed_.networks) network(*one);
    for (const auto& one : observed_.attachments) attachment(*one);
    for (const auto& one : observed_.pods) pod(*one);
    for (const auto& one : observed_.identifiers) made_.identifiers.push_back(*one);
    for (const auto& one : observed_.sets) made_.sets.push_back(*one);
    for (const auto& one : observed_.blocks) made_.blocks.push_back(*one);
    for (const auto& one : observed_.peers) made_.peers.push_back(one->object);
    for (const auto& one : observed_.nodeSets) {
      made_.nodeSets.push_back(one->object);
      made_.reports.insert(made_.reports.end(), one->reports.begin(), one->reports.end());
    }
    for (const auto& one : observed_.nodes) made_.nodes[one->meta.name] = one->view;
    made_.gone = memory.update(made_.nodes, namedNodes(), now);
    return std::move(made_);
  }

 private:
  /// Quadratic in the networks of a cluster, of which there are tens.
  void network(const SeenNetwork& seen) {
    auto state = seen.state;
    for (const auto& other : observed_.networks) {
      if (other.get() == &seen || !seen.object || !other->object) continue;
      if (!other->state.network.violations.empty()) continue;
      if (!api::keepsPlace(*other->object, *seen.object)) continue;
      const auto found = api::conflicts(*seen.object, *other->object);
      if (found.empty()) continue;
      state.rival = {other->state.network.meta.name, found.front().str()};
      break;
    }
    made_.networks.push_back(std::move(state));
  }

  void attachment(const SeenAttachment& seen) {
    auto state = seen.state;
    targets_[{state.meta.namespaceName, state.meta.name}] = state.networkName;
    const auto* network = view_.networkOf(state.networkName);
    state.granted = network != nullptr && grants(network->spec.access.namespaces,
                                                 view_.namespaceLabels(state.meta.namespaceName));
    if (seen.object) {
      for (const auto& violation : api::validate(*seen.object, view_).violations) {
        state.violations.push_back(violation.str());
      }
    }
    made_.attachments.push_back(std::move(state));
  }

  void pod(const SeenPod& seen) {
    auto pod = seen.pod;
    for (const auto& name : seen.attachments) {
      const auto target = targets_.find({pod.meta.namespaceName, name});
      if (target != targets_.end()) pod.networks.push_back(target->second);
    }
    made_.pods.push_back(std::move(pod));
  }

  std::vector<std::string> namedNodes() const {
    std::vector<std::string> named;
    for (const auto& block : made_.blocks) {
      if (!block.nodeName.empty()) named.push_back(block.nodeName);
    }
    for (const auto& peer : made_.peers) named.push_back(peer.nodeName);
    for (const auto& nodeSet : made_.nodeSets) named.push_back(nodeSet.nodeName);
    return named;
  }

  const Observed& observed_;
  const View view_;
  std::map<std::pair<std::string, std::string>, std::string> targets_;
  Snapshot made_;
};

}  // namespace

Snapshot makeSnapshot(const Observed& observed, NodeMemory& memory, BootTime now) {
  return Maker(observed).make(memory, now);
}

}  // namespace multinet::controller
