#include "nodeagent/addresses/blocks.h"

#include "lib/api/names.h"
#include "lib/base/log.h"

namespace multinet::agent::addresses {

Result<LeasedBlock> leasedBlock(const api::IPBlock& block) {
  MULTINET_CHECK(api::checkName(block));
  MULTINET_TRY(const IpPrefix prefix, IpPrefix::parse(block.spec.cidr));
  return LeasedBlock{NetworkName(block.spec.podNetworkName), NetworkUid(block.spec.podNetworkUID),
                     prefix, NodeName(block.spec.nodeName), block.metadata.uid};
}

Result<std::vector<LeasedBlock>> Blocks::list(const std::string& fieldSelector) {
  MULTINET_TRY(kube::Client * client, client_());
  kube::Selection selection;
  selection.fieldSelector = fieldSelector;
  MULTINET_TRY(const std::vector<api::IPBlock> objects, client->list<api::IPBlock>(selection));
  std::vector<LeasedBlock> blocks;
  for (const api::IPBlock& object : objects) {
    auto block = leasedBlock(object);
    if (block.has_value()) {
      blocks.push_back(std::move(*block));
    } else {
      // Under a name that its spec doesn't make it holds no addresses.
      log::warn("block passed over", {{"block", object.metadata.name}, {"error", block.error()}});
    }
  }
  return blocks;
}

Result<std::vector<LeasedBlock>> Blocks::listOwn() {
  return list("spec.nodeName=" + node_.str());
}

Result<std::vector<LeasedBlock>> Blocks::listNetwork(const NetworkName& name) {
  return list("spec.podNetworkName=" + name.str());
}

Result<LeasedBlock> Blocks::create(const NetworkName& network, const NetworkUid& uid,
                                   const IpPrefix& prefix) {
  MULTINET_TRY(kube::Client * client, client_());
  api::IPBlock block;
  block.metadata.name = api::blockName(network, prefix);
  block.spec = {network.str(), uid.str(), prefix.str(), node_.str()};
  MULTINET_TRY(const api::IPBlock created,
               client->create<api::IPBlock>(block, [&block](const api::IPBlock& existing) {
                 return existing.spec == block.spec;
               }));
  return leasedBlock(created);
}

Result<LeasedBlock> Blocks::createAgain(const LeasedBlock& block) {
  auto created = create(block.network, block.networkUid, block.prefix);
  if (created.has_value() || created.error().code != Code::AlreadyExists) return created;
  MULTINET_TRY(kube::Client * client, client_());
  const auto there = client->get<api::IPBlock>({"", api::blockName(block.network, block.prefix)});
  if (!there.has_value())
    return there.error().code == Code::NotFound ? created : fail(there.error());
  auto found = leasedBlock(*there);
  const bool isOurs =
      found.has_value() && found->node == node_ && found->networkUid == block.networkUid;
  return isOurs ? found : created;
}

Status Blocks::remove(const LeasedBlock& block) {
  MULTINET_TRY(kube::Client * client, client_());
  kube::Preconditions preconditions;
  preconditions.uid = block.objectUid;
  auto removed = client->remove<api::IPBlock>({"", api::blockName(block.network, block.prefix)},
                                              preconditions);
  if (!removed.has_value() && removed.error().code == Code::NotFound) return {};
  return removed;
}

}  // namespace multinet::agent::addresses
