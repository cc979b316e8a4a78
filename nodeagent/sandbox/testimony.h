// What becomes of a sandbox in doubt: the kernel and the API are heard, and its record is rebuilt
// from what they say. Pure.
//
// The kernel is believed in what is there: an address on a link of ours in the sandbox's namespace
// is held, whoever else says what. Doubt ends only where the API's set of that very sandbox says
// the same.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nodeagent/addresses/addresses.h"
#include "nodeagent/attach/attach_engine.h"
#include "nodeagent/journal/record.h"
#include "nodeagent/sandbox/runtime.h"

namespace multinet::agent::sandbox {

/// Links of ours.
using Links = std::vector<attach::ObservedInterface>;

/// A PodInterfaceSet of this node. Its plans have no parent, and no network UID where an earlier
/// version wrote it: it doesn't tell.
struct KnownSet {
  PodUid pod;
  SandboxId sandbox;
  std::vector<InterfaceStatus> interfaces;
};

/// Asks the API for this node's own sets. Returns at once; the answer comes on a thread of whoever
/// asks, after at most 30 s. Unavailable where the API server is away.
using OwnSets = std::function<void(async::Answer<std::vector<KnownSet>>)>;

/// A record for a sandbox that stands in none, in doubt.
[[nodiscard]] journal::Record adopted(const RuntimeSandbox& sandbox, const std::string& bootId,
                                      WallTime now);

/// The record after the links in its namespace were seen and `sets` were heard. Its ID becomes that
/// of the links, so that they are found when they have to go.
[[nodiscard]] journal::Record judge(journal::Record record, const Links& links,
                                    const std::vector<KnownSet>& sets);

/// True where every interface of the record is there as planned: nothing is left to attach.
[[nodiscard]] bool isComplete(const journal::Record& record, const Links& links);

/// What a record's interfaces hold. Of a Detached one see journal::quarantineLeft().
[[nodiscard]] std::vector<addresses::Holding> holdings(const journal::Record& record,
                                                       Duration quarantine = {});

/// Addresses on links that no intent of `isKnown` has made, wherever on the node they are: somebody
/// uses them.
[[nodiscard]] std::vector<addresses::Holding> orphans(
    const Links& everywhere, const std::function<bool(const IntentId&)>& isKnown);

}  // namespace multinet::agent::sandbox
