#include "nodeagent/sandbox/look.h"

#include <memory>
#include <utility>

namespace multinet::agent::sandbox {
namespace {

struct Looking {
  std::size_t open = 0;
  Seen seen;
  std::function<void(Seen)> done;
};

Result<Links> linksIn(attach::AttachEngine& engine, Result<Fd> netns) {
  if (!netns.has_value()) return fail(std::move(netns).error());
  MULTINET_TRY(Links links, engine.observe(std::optional<Fd>(std::move(*netns))));
  std::erase_if(links, [](const attach::ObservedInterface& link) { return !link.inPod; });
  return links;
}

}  // namespace

void lookInto(const Dependencies& dependencies, async::Lane& lane,
              const std::vector<SandboxId>& sandboxes, BootTime deadline,
              std::function<void(Seen)> done) {
  if (sandboxes.empty()) return done({});
  const auto looking = std::make_shared<Looking>();
  looking->open = sandboxes.size();
  looking->done = std::move(done);
  for (const SandboxId& id : sandboxes) {
    dependencies.runtime.sandboxNetns(
        id, deadline,
        onLane<Fd>(lane, [&engine = dependencies.engine, looking, id](Result<Fd> netns) {
          looking->seen.insert_or_assign(id, linksIn(engine, std::move(netns)));
          if (--looking->open == 0) looking->done(std::move(looking->seen));
        }));
  }
}

}  // namespace multinet::agent::sandbox
