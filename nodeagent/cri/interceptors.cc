#include "nodeagent/cri/interceptors.h"

#include <atomic>
#include <memory>
#include <utility>

#include "lib/base/log_level.h"
#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/container_events.h"
#include "nodeagent/cri/decode.h"
#include "nodeagent/cri/extension.h"
#include "nodeagent/cri/sandbox_list.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;
using DecideRequest = std::function<void(RequestDecision)>;
using DecideReply = std::function<void(ReplyDecision)>;

Refuse refusal(const Error& error, const std::string& details = "") {
  return {grpc::Status(static_cast<grpc::StatusCode>(error.code), error.message, details)};
}

Refuse malformed(std::string_view what) {
  return {grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                       "decode " + std::string(what) + ": it is no valid message")};
}

/// Metadata, deadline and clock of one call.
struct CallInfo {
  sandbox::CallMetadata metadata;
  BootTime deadline{};
};

class RunPodSandbox final : public Interceptor {
 public:
  RunPodSandbox(Context context, CallInfo info) : context_(context), info_(std::move(info)) {}

  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    auto decoded = decodeRun(bytesOf(message));
    if (!decoded) return decide(refusal(decoded.error()));
    // One of the node's own network that asks all the same goes to the owner too, who refuses it.
    if (!sandbox::asksForNetworks(*decoded)) {
      return decide(Forward{std::move(message)});
    }
    decoded->metadata = std::move(info_.metadata);
    decoded->deadline = info_.deadline;
    decoded->id = sandbox::newIntentId();
    decoded->abort = abort_;
    decoded->arrived = context_.clock->now();
    if (log::isOn(log::Level::Debug)) {
      log::debug("pod sandbox asked for", {{"pod", decoded->pod.str()},
                                           {"intent", decoded->id},
                                           {"trace", sandbox::traceId(decoded->metadata)}});
    }
    const auto* sandboxes = context_.sandboxes;
    const auto details = decoded->errorDetails;
    context_.sandboxes->run(std::move(*decoded), [decide, sandboxes, details](
                                                     const Result<sandbox::RunResult>& result) {
      if (!result) return decide(refusal(result.error(), *details));
      decide(Answer{bufferOf(result->reply.bytes +
                             runReplySuffix(result->interfaces, sandboxes->snapshot()->bootId))});
    });
  }
  void cancelled() override { abort_->store(true); }

 private:
  Context context_;
  CallInfo info_;
  const attach::AbortFlag abort_ = std::make_shared<std::atomic<bool>>(false);
};

class RestorePod final : public Interceptor {
 public:
  explicit RestorePod(Context context) : context_(context) {}
  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    auto decoded = decodeRestore(bytesOf(message));
    if (!decoded) return decide(refusal(decoded.error()));
    if (!sandbox::asksForNetworks(*decoded)) {
      return decide(Forward{std::move(message)});
    }
    decide(Refuse{grpc::Status(
        grpc::StatusCode::UNIMPLEMENTED,
        "restore pod " + decoded->pod.str() + ": a pod that asks for networks can't be restored")});
  }

 private:
  Context context_;
};

class CreateContainer final : public Interceptor {
 public:
  explicit CreateContainer(Context context) : context_(context) {}
  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    auto decoded = decodeCreate(bytesOf(message));
    if (!decoded) return decide(refusal(decoded.error()));
    const auto may =
        sandbox::mayCreateContainer(*context_.sandboxes->snapshot(), decoded->id, decoded->config);
    if (!may) return decide(refusal(may.error()));
    if (sandbox::asksForNetworks(decoded->config)) {
      made_ = drain::Container{"", std::move(decoded->container), std::move(decoded->id)};
    }
    decide(Forward{std::move(message)});
  }

  void reply(grpc::ByteBuffer message, DecideReply decide) override {
    subset::CreateContainerResponse decoded;
    if (made_ && decoded.ParseFromString(bytesOf(message)) && !decoded.container_id().empty()) {
      made_->id = decoded.container_id();
      context_.drain->created(std::move(*made_));
    }
    decide(Forward{std::move(message)});
  }

 private:
  Context context_;
  std::optional<drain::Container> made_;  ///< in a sandbox with networks
};

/// Of a pod with networks it waits for the pod's services; what is left of its time goes on.
class StopContainer final : public Interceptor {
 public:
  explicit StopContainer(Context context) : context_(context) {}

  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    const auto decoded = decodeStop(bytesOf(message));
    if (!decoded) return decide(Forward{std::move(message)});
    context_.drain->stop(decoded->container, decoded->grace, gone_,
                         [decide = std::move(decide), message = std::move(message)](Duration held) {
                           decide(Forward{bufferOf(stopLater(bytesOf(message), held))});
                         });
  }
  void cancelled() override { gone_->store(true); }

 private:
  Context context_;
  const std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
};

/// Tells the owner before and after. An end isn't ours to refuse: an owner that hangs is waited for
/// briefly before, and what the runtime says is what the kubelet gets. After it nobody waits: links
/// and addresses go by themselves, in the pod's own order.
class StopPodSandbox final : public Interceptor {
 public:
  explicit StopPodSandbox(Context context) : context_(context) {}

  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    subset::StopPodSandboxRequest decoded;
    if (!decoded.ParseFromString(bytesOf(message))) return decide(malformed("StopPodSandbox"));
    id_ = SandboxId(decoded.pod_sandbox_id());
    const auto snapshot = context_.sandboxes->snapshot();
    involved_ =
        snapshot->sandboxes.contains(id_) || !snapshot->recovered || !snapshot->running.empty();
    if (!involved_) return decide(Forward{std::move(message)});
    context_.drain->stopSandbox(
        id_, gone_,
        [this, decide = std::move(decide), message = std::move(message)](Duration /*held*/) {
          const auto once =
              onceWithin([decide, message](const Status&) { decide(Forward{message}); });
          context_.sandboxes->beforeStop(id_, once);
        });
  }
  void cancelled() override { gone_->store(true); }

  void reply(grpc::ByteBuffer message, DecideReply decide) override {
    if (involved_) context_.sandboxes->afterStop(id_, [](const Status&) {});
    decide(Forward{std::move(message)});
  }

 private:
  /// Calls `act` once: with the owner's answer or, after the limit, with Unavailable.
  async::Answer<void> onceWithin(async::Answer<void> act) {
    auto given = std::make_shared<std::atomic<bool>>(false);
    async::Answer<void> once = [given, act = std::move(act)](Status result) {
      if (!given->exchange(true)) act(std::move(result));
    };
    context_.timers->postAfter(context_.ownerLimit, [once, id = id_] {
      once(fail(Code::Unavailable, "OwnerSilent",
                "stop sandbox " + id.str() + ": its owner doesn't answer"));
    });
    return once;
  }

  Context context_;
  SandboxId id_;
  bool involved_ = false;
  const std::shared_ptr<std::atomic<bool>> gone_ = std::make_shared<std::atomic<bool>>(false);
};

class RemovePodSandbox final : public Interceptor {
 public:
  explicit RemovePodSandbox(Context context) : context_(context) {}
  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    subset::RemovePodSandboxRequest decoded;
    if (!decoded.ParseFromString(bytesOf(message))) return decide(malformed("RemovePodSandbox"));
    id_ = SandboxId(decoded.pod_sandbox_id());
    decide(Forward{std::move(message)});
  }
  void reply(grpc::ByteBuffer message, DecideReply decide) override {
    context_.sandboxes->afterRemove(id_);
    context_.drain->removed(id_);
    decide(Forward{std::move(message)});
  }

 private:
  Context context_;
  SandboxId id_;
};

class PodSandboxStatus final : public Interceptor {
 public:
  explicit PodSandboxStatus(Context context) : context_(context) {}

  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    subset::PodSandboxStatusRequest decoded;
    if (!decoded.ParseFromString(bytesOf(message))) return decide(malformed("PodSandboxStatus"));
    id_ = SandboxId(decoded.pod_sandbox_id());
    verbose_ = decoded.verbose();
    const auto snapshot = context_.sandboxes->snapshot();
    const auto view = snapshot->sandboxes.find(id_);
    if (view != snapshot->sandboxes.end() && view->second.verdict == sandbox::Verdict::Hidden) {
      return decide(Refuse{grpc::Status(grpc::StatusCode::NOT_FOUND,
                                        "find sandbox " + id_.str() + ": it is being made")});
    }
    decide(Forward{std::move(message)});
  }

  void reply(grpc::ByteBuffer message, DecideReply decide) override {
    const auto snapshot = context_.sandboxes->snapshot();
    const auto found = snapshot->sandboxes.find(id_);
    if (found == snapshot->sandboxes.end()) return decide(Forward{std::move(message)});
    const auto& view = found->second;
    std::string suffix = statusSuffix(*view.interfaces, snapshot->bootId);
    if (verbose_) suffix += verboseSuffix(*view.interfaces, snapshot->bootId);
    if (view.verdict == sandbox::Verdict::NotReady) suffix += notReadySuffix();
    decide(Forward{appended(message, suffix)});
  }

 private:
  Context context_;
  SandboxId id_;
  bool verbose_ = false;
};

class ListPodSandbox final : public Interceptor {
 public:
  explicit ListPodSandbox(Context context) : context_(context) {}

  void request(grpc::ByteBuffer message, DecideRequest decide) override {
    auto query = listQuery(bytesOf(message), *context_.sandboxes->snapshot());
    if (!query) return decide(refusal(query.error()));
    wanted_ = query->wanted;
    if (!query->rewritten) return decide(Forward{std::move(message)});
    decide(Forward{bufferOf(*query->rewritten)});
  }

  void reply(grpc::ByteBuffer message, DecideReply decide) override {
    const auto snapshot = context_.sandboxes->snapshot();
    if (!wanted_ && !hasVerdicts(*snapshot)) return decide(Forward{std::move(message)});
    auto judged = judgeList(bytesOf(message), *snapshot, wanted_);
    if (!judged) return decide(refusal(judged.error()));
    decide(Forward{bufferOf(*judged)});
  }

 private:
  Context context_;
  std::optional<SandboxState> wanted_;
};

class NodeStatus final : public Interceptor {
 public:
  explicit NodeStatus(Context context) : context_(context) {}
  void reply(grpc::ByteBuffer message, DecideReply decide) override {
    const Status ready = context_.sandboxes->ready();
    decide(Forward{
        appended(message, ready ? nodeStatusSuffix("", "")
                                : nodeStatusSuffix(ready.error().reason, ready.error().message))});
  }

 private:
  Context context_;
};

/// The kubelet then asks ListPodSandbox, where verdicts apply.
class NoStream final : public Interceptor {
 public:
  void request(grpc::ByteBuffer, DecideRequest decide) override {
    decide(Refuse{grpc::Status(grpc::StatusCode::UNIMPLEMENTED,
                               "unknown method StreamPodSandboxes for service "
                               "runtime.v1.RuntimeService")});
  }
};

}  // namespace

InterceptorOf interceptors(Context context) {
  return [context](std::string_view method, const MetadataOf& metadata,
                   std::chrono::system_clock::time_point deadline) -> std::unique_ptr<Interceptor> {
    constexpr std::string_view kService = "/runtime.v1.RuntimeService/";
    if (!method.starts_with(kService)) return nullptr;
    method.remove_prefix(kService.size());
    if (method == "RunPodSandbox") {
      return std::make_unique<RunPodSandbox>(
          context, CallInfo{metadata(), bootDeadline(*context.clock, deadline)});
    }
    if (method == "RestorePod") return std::make_unique<RestorePod>(context);
    if (method == "CreateContainer") return std::make_unique<CreateContainer>(context);
    if (method == "StopContainer") {
      if (!context.drain->mayHold()) return nullptr;
      return std::make_unique<StopContainer>(context);
    }
    if (method == "StopPodSandbox") return std::make_unique<StopPodSandbox>(context);
    if (method == "RemovePodSandbox") return std::make_unique<RemovePodSandbox>(context);
    if (method == "PodSandboxStatus") return std::make_unique<PodSandboxStatus>(context);
    if (method == "ListPodSandbox") return std::make_unique<ListPodSandbox>(context);
    if (method == "Status") return std::make_unique<NodeStatus>(context);
    if (method == "GetContainerEvents") return containerEvents(context);
    if (method == "StreamPodSandboxes") return std::make_unique<NoStream>();
    return nullptr;
  };
}

}  // namespace multinet::agent::cri
