#include "nodeagent/services/joining_engine.h"

#include <memory>
#include <mutex>
#include <optional>

#include "lib/base/log.h"
#include "lib/netns/cookie.h"

namespace multinet::agent::services {
namespace {

using Made = Result<std::vector<InterfaceStatus>>;

std::set<NetworkKey> networksOf(const std::vector<InterfacePlan>& plans) {
  std::set<NetworkKey> networks;
  for (const InterfacePlan& plan : plans) networks.insert(keyOf(plan.networkUid));
  return networks;
}

/// Answers when both are done.
class Both {
 public:
  explicit Both(async::Answer<std::vector<InterfaceStatus>> done) : done_(std::move(done)) {}

  void made(Made made) {
    {
      const std::lock_guard lock(mutex_);
      made_ = std::move(made);
      if (!joined_) return;
    }
    done_(std::move(*made_));
  }
  void joined() {
    {
      const std::lock_guard lock(mutex_);
      joined_ = true;
      if (!made_) return;
    }
    done_(std::move(*made_));
  }

 private:
  std::mutex mutex_;
  const async::Answer<std::vector<InterfaceStatus>> done_;
  std::optional<Made> made_;
  bool joined_ = false;
};

}  // namespace

void JoiningEngine::join(const IntentId& intent, const Fd& netns,
                         const std::set<NetworkKey>& networks) {
  const auto joined = [&]() -> Status {
    MULTINET_TRY(const netns::Home home, netns::openHome());
    MULTINET_TRY(const std::uint64_t cookie, netns::cookie(netns, home));
    return members_.joined(intent, cookie, networks);
  }();
  if (joined) return;
  log::warn("services on its networks aren't translated for a pod",
            {{"intent", intent}, {"error", joined.error()}});
}

void JoiningEngine::attach(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                           attach::AbortFlag abort,
                           async::Answer<std::vector<InterfaceStatus>> done) {
  const auto both = std::make_shared<Both>(std::move(done));
  auto copy = netns.duplicate();
  const bool posted =
      copy.has_value() && lane_.post([this, intent, both, networks = networksOf(plans),
                                      own = std::make_shared<const Fd>(std::move(*copy))] {
        join(intent, *own, networks);
        both->joined();
      });
  if (!posted) both->joined();
  engine_.attach(intent, std::move(netns), std::move(plans), std::move(abort),
                 [this, intent, both](Made made) {
                   if (!made) lane_.post([this, intent] { members_.left(intent); });
                   both->made(std::move(made));
                 });
}

void JoiningEngine::maintain(IntentId intent, Fd netns, std::vector<InterfacePlan> plans,
                             attach::AbortFlag abort, async::Answer<attach::Upkeep> done) {
  if (!members_.knows(intent)) {
    if (auto copy = netns.duplicate()) {
      lane_.post(
          [this, intent, networks = networksOf(plans),
           own = std::make_shared<const Fd>(std::move(*copy))] { join(intent, *own, networks); });
    }
  }
  engine_.maintain(std::move(intent), std::move(netns), std::move(plans), std::move(abort),
                   std::move(done));
}

void JoiningEngine::detach(IntentId intent, std::optional<Fd> netns, async::Answer<void> done) {
  lane_.post([this, intent] { members_.left(intent); });
  engine_.detach(std::move(intent), std::move(netns), std::move(done));
}

}  // namespace multinet::agent::services
