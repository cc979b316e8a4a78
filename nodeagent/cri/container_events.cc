#include "nodeagent/cri/container_events.h"

#include <atomic>
#include <memory>
#include <utility>

#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/extension.h"
#include "nodeagent/cri/sandbox_list.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;
using std::chrono::milliseconds;

constexpr milliseconds kLook(20);
constexpr milliseconds kPatience(2000);

class ContainerEvents final : public Interceptor {
 public:
  explicit ContainerEvents(Context context) : context_(context) {}

  void reply(grpc::ByteBuffer message, std::function<void(ReplyDecision)> decide) override {
    const auto snapshot = context_.sandboxes->snapshot();
    if (snapshot->sandboxes.empty() && !hasVerdicts(*snapshot)) {
      return decide(Forward{std::move(message)});
    }
    const auto judged = judgeEvent(bytesOf(message), *snapshot);
    if (!judged.hidden) return decide(Forward{appended(message, judged.suffix)});
    wait({std::move(message), std::move(decide), context_.clock->now() + kPatience});
  }
  void cancelled() override { cancelled_ = true; }

 private:
  struct Held {
    grpc::ByteBuffer message;
    std::function<void(ReplyDecision)> decide;  ///< keeps the call, and with it this object
    BootTime until;
  };

  void wait(Held held) {
    // Shared, since the lane drops a task that it doesn't take.
    auto shared = std::make_shared<Held>(std::move(held));
    const bool posted = context_.timers->postAfter(kLook, [this, shared] { look(*shared); });
    if (!posted) shared->decide(Skip{});
  }

  void look(Held& held) {
    const auto snapshot = context_.sandboxes->snapshot();
    const auto judged = judgeEvent(bytesOf(held.message), *snapshot);
    // Neither hidden nor known any more: it was rolled back.
    if (!judged.hidden) {
      if (!judged.known) return held.decide(Skip{});
      return held.decide(Forward{appended(held.message, judged.suffix)});
    }
    if (cancelled_ || context_.clock->now() >= held.until) return held.decide(Skip{});
    wait(std::move(held));
  }

  Context context_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

JudgedEvent judgeEvent(const std::string& event, const sandbox::Snapshot& snapshot) {
  subset::ContainerEventResponse decoded;
  JudgedEvent judged;
  if (!decoded.ParseFromString(event)) return judged;
  const auto& status = decoded.pod_sandbox_status();
  // Of a sandbox that is gone only its ID is left, as that of the container.
  const SandboxId id(status.id().empty() ? decoded.container_id() : status.id());
  const auto found = snapshot.sandboxes.find(id);
  if (found == snapshot.sandboxes.end()) {
    judged.hidden =
        snapshot.running.contains({PodUid(status.metadata().uid()), status.metadata().attempt()});
    return judged;
  }
  const sandbox::SandboxView& view = found->second;
  judged.known = true;
  judged.hidden = view.verdict == sandbox::Verdict::Hidden;
  if (!decoded.has_pod_sandbox_status()) return judged;
  judged.suffix = eventSuffix(*view.interfaces, snapshot.bootId);
  if (view.verdict == sandbox::Verdict::NotReady) judged.suffix += eventNotReadySuffix();
  return judged;
}

std::unique_ptr<Interceptor> containerEvents(Context context) {
  return std::make_unique<ContainerEvents>(context);
}

}  // namespace multinet::agent::cri
