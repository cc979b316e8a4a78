// A store of IPBlocks that several nodes of a test share.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "nodeagent/addresses/block_api.h"

namespace multinet::agent::addresses {

/// What etcd holds: a name once. Thread-safe.
class FakeBlockStore {
 public:
  std::mutex mutex;
  std::map<std::pair<NetworkName, IpPrefix>, LeasedBlock> blocks;
  std::optional<Error> error;        ///< while set, every call fails
  std::optional<Error> createError;  ///< while set, every create does
  int calls = 0;
  int uids = 0;
};

class FakeBlockApi final : public BlockApi {
 public:
  FakeBlockApi(FakeBlockStore& store, NodeName node) : store_(store), node_(std::move(node)) {}

  Result<std::vector<LeasedBlock>> listOwn() override {
    return list([this](const LeasedBlock& block) { return block.node == node_; });
  }
  Result<std::vector<LeasedBlock>> listNetwork(const NetworkName& name) override {
    return list([&name](const LeasedBlock& block) { return block.network == name; });
  }
  Result<LeasedBlock> create(const NetworkName& network, const NetworkUid& uid,
                             const IpPrefix& prefix) override {
    const std::lock_guard lock(store_.mutex);
    ++store_.calls;
    if (store_.error.has_value()) return fail(*store_.error);
    if (store_.createError.has_value()) return fail(*store_.createError);
    LeasedBlock block{network, uid, prefix, node_, "uid" + std::to_string(++store_.uids)};
    // As the real one: what stands there already as it was asked for was created by this node.
    const auto there = store_.blocks.find({network, prefix});
    if (there != store_.blocks.end() && there->second.node == node_ &&
        there->second.networkUid == uid) {
      return there->second;
    }
    if (!store_.blocks.emplace(std::pair(network, prefix), block).second) {
      return fail(Code::AlreadyExists, "AlreadyExists", "create block: it exists");
    }
    return block;
  }
  Status remove(const LeasedBlock& block) override {
    const std::lock_guard lock(store_.mutex);
    ++store_.calls;
    if (store_.error.has_value()) return fail(*store_.error);
    const auto at = store_.blocks.find({block.network, block.prefix});
    if (at == store_.blocks.end()) return {};
    if (at->second.objectUid != block.objectUid) {
      return fail(Code::Aborted, "Conflict", "delete block: it is another");
    }
    store_.blocks.erase(at);
    return {};
  }

 private:
  template <class Keep>
  Result<std::vector<LeasedBlock>> list(Keep keep) {
    const std::lock_guard lock(store_.mutex);
    ++store_.calls;
    if (store_.error.has_value()) return fail(*store_.error);
    std::vector<LeasedBlock> found;
    for (const auto& [key, block] : store_.blocks) {
      if (keep(block)) found.push_back(block);
    }
    return found;
  }

  FakeBlockStore& store_;
  NodeName node_;
};

}  // namespace multinet::agent::addresses
