// How the spec of a MultiNetworkPolicy is read: of this room only.
#pragma once

#include <simdjson.h>

#include "lib/npwg/multi_network_policy.h"

namespace multinet::npwg {

/// Fills `policy.spec`; null: there is none.
void readSpec(const simdjson::dom::element* spec, MultiNetworkPolicy& policy);
/// Fills `policy.networks`; null: there is no annotation.
void readNetworks(const std::string* annotation, MultiNetworkPolicy& policy);

}  // namespace multinet::npwg
