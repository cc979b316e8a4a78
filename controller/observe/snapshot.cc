#include "controller/observe/snapshot.h"

#include "lib/api/validate.h"

namespace multinet::controller {
namespace {

using Labels = std::map<std::string, std::string>;

bool grants(const SeenNetwork& network, const Labels* labels) {
  switch (network.from) {
    case SeenNetwork::From::All:
      return true;
    case SeenNetwork::From::Selector:
      return labels != nullptr && matches(network.selector, *labels);
    case SeenNetwork::From::None:
      break;
  }
  return false;
}

class Maker {
 public:
  explicit Maker(const Observed& observed) : observed_(observed) {}

  Snapshot make(NodeMemory& memory, BootTime now) {
    for (const auto& one : observed_.namespaces) labels_[one->meta.name] = &one->labels;
    for (const auto& one : observed_.networks) {
      networks_[one->state.network.meta.name] = one.get();
    }
    for (const auto& one : observed_.networks) network(*one);
    for (const auto& one : observed_.attachments) attachment(one->state);
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

  void attachment(AttachmentState state) {
    targets_[{state.meta.namespaceName, state.meta.name}] = state.networkName;
    const auto network = networks_.find(state.networkName);
    const auto labels = labels_.find(state.meta.namespaceName);
    state.granted = network != networks_.end() &&
                    grants(*network->second, labels == labels_.end() ? nullptr : labels->second);
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
  std::map<std::string, const Labels*> labels_;
  std::map<std::string, const SeenNetwork*> networks_;
  std::map<std::pair<std::string, std::string>, std::string> targets_;
  Snapshot made_;
};

}  // namespace

Snapshot makeSnapshot(const Observed& observed, NodeMemory& memory, BootTime now) {
  return Maker(observed).make(memory, now);
}

}  // namespace multinet::controller
