#include "controller/blocks/plan.h"

#include <algorithm>
#include <set>

namespace multinet::controller {

const std::map<std::string, GoneNode>& NodeMemory::update(
    const std::map<std::string, NodeView>& nodes, const std::vector<std::string>& named,
    BootTime now) {
  const std::set<std::string> wanted(named.begin(), named.end());
  std::erase_if(gone_, [&](const auto& entry) {
    return nodes.contains(entry.first) || !wanted.contains(entry.first);
  });
  for (const auto& name : wanted) {
    if (nodes.contains(name) || gone_.contains(name)) continue;
    const auto last = lastOutOfService_.find(name);
    gone_[name] = {now, last != lastOutOfService_.end() && last->second};
  }
  lastOutOfService_.clear();
  for (const auto& [name, node] : nodes) lastOutOfService_[name] = node.outOfService;
  return gone_;
}

BlockPlan planBlocks(const BlockObservation& observed, BootTime now) {
  const std::set<std::string> networks(observed.networkUids.begin(), observed.networkUids.end());
  BlockPlan plan;
  for (const auto& block : observed.blocks) {
    if (block.meta.deleted || block.nodeName.empty()) continue;
    if (const auto node = observed.nodes.find(block.nodeName); node != observed.nodes.end()) {
      if (!networks.contains(block.networkUid) && node->second.ready) {
        plan.remove.push_back(
            {.meta = block.meta, .why = "its network is gone", .goneNetworkUid = block.networkUid});
      }
      continue;
    }
    const auto gone = observed.gone.find(block.nodeName);
    if (gone == observed.gone.end()) continue;
    const auto away = now - gone->second.since;
    if (gone->second.outOfService) {
      plan.remove.push_back(
          {block.meta, "node \"" + block.nodeName + "\" is out of service", block.nodeName});
    } else if (away >= kReclaimAfter) {
      plan.remove.push_back(
          {block.meta, "node \"" + block.nodeName + "\" is gone for good", block.nodeName});
    } else {
      plan.again = std::min(plan.again.value_or(kReclaimAfter), kReclaimAfter - away);
    }
  }
  return plan;
}

}  // namespace multinet::controller
