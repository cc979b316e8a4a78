// IPBlocks through the API server.
#pragma once

#include "lib/api/reservations.h"
#include "lib/kube/client_source.h"
#include "nodeagent/addresses/block_api.h"

namespace multinet::agent::addresses {

/// A block as its object tells it; an error where name and spec don't agree.
[[nodiscard]] Result<LeasedBlock> leasedBlock(const api::IPBlock& block);

class KubeBlocks final : public BlockApi {
 public:
  KubeBlocks(kube::ClientSource client, NodeName node)
      : client_(std::move(client)), node_(std::move(node)) {}

  [[nodiscard]] Result<std::vector<LeasedBlock>> listOwn() override;
  [[nodiscard]] Result<std::vector<LeasedBlock>> listNetwork(const NetworkName& name) override;
  [[nodiscard]] Result<LeasedBlock> create(const NetworkName& network, const NetworkUid& uid,
                                           const IpPrefix& prefix) override;
  [[nodiscard]] Status remove(const LeasedBlock& block) override;

 private:
  [[nodiscard]] Result<std::vector<LeasedBlock>> list(const std::string& fieldSelector);
  kube::ClientSource client_;
  NodeName node_;
};

}  // namespace multinet::agent::addresses
