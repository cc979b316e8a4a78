// A block of addresses that a node has leased.
#pragma once

#include <string>

#include "lib/base/ids.h"
#include "lib/base/ip.h"

namespace multinet::agent::addresses {

/// An IPBlock as far as leasing goes.
struct LeasedBlock {
  NetworkName network;
  NetworkUid networkUid;
  IpPrefix prefix;
  NodeName node;
  std::string objectUid;
  bool operator==(const LeasedBlock&) const = default;
};

}  // namespace multinet::agent::addresses
