// Addresses from blocks that are leased by creating IPBlocks.
//
// The books live on the lane of the sandboxes' owner and never wait; the calls to the API server
// are made on another. Once a block has room, a claim costs no call and no change of threads.
// Blocks are leased ahead for networks that pods of this node want and when one runs low; an empty
// one goes back after a while.
//
// A block is used only for a time after the API server last confirmed it: a node that is cut off
// for longer may have lost its blocks to another.
#pragma once

#include <memory>
#include <string>

#include "lib/async/lane.h"
#include "nodeagent/addresses/addresses.h"
#include "nodeagent/addresses/block_api.h"

namespace multinet::agent::addresses {

struct LeaseOptions {
  NodeName node;
  Duration quarantine = std::chrono::seconds(60);
  /// New addresses come only from blocks confirmed within this time; see docs on lost nodes.
  Duration confirmedFor = std::chrono::hours(1);
  /// A list of this node's blocks beside what a watch tells: see blockGone().
  Duration confirmEvery = std::chrono::minutes(5);
  /// After a failed call to the API server, while somebody waits.
  Duration retryEvery = std::chrono::milliseconds(500);
  Duration returnAfter = std::chrono::minutes(5);
  Duration housekeepEvery = std::chrono::seconds(5);
  /// Names tried before giving up for now: each costs a call that another node may win.
  int attempts = 64;
};

class LeasingAddresses final : public Addresses {
 public:
  /// `lane`, `api` and `clock` outlive it. Starts by listing this node's blocks.
  LeasingAddresses(async::Lane& lane, BlockApi& api, const Clock& clock, LeaseOptions options);
  /// Stops the lane.
  ~LeasingAddresses() override;

  void claim(IntentId intent, PodUid pod, std::vector<Want> wants, BootTime deadline,
             async::Answer<std::vector<Claimed>> done) override;
  void release(IntentId intent) override;
  void restore(std::vector<Holding> holdings, Books books) override;
  void setWanted(std::vector<Pool> pools) override;
  void setNetworks(std::set<NetworkUid> existing) override;
  void onContests(std::function<void(std::vector<Contest>)> told) override;

  /// A watch saw that a block of this node's is gone: unless that was asked for, all are listed.
  void blockGone(LeasedBlock block);
  /// A watch saw that the API server's store was put back to an earlier state.
  void storeWentBack();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace multinet::agent::addresses
