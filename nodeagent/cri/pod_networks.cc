#include "nodeagent/cri/pod_networks.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <utility>

#include "nodeagent/cri/messages.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.grpc.pb.h"

namespace multinet::agent::cri {
namespace {

/// How late a watcher hears of a change; one comparison of two pointers each time.
constexpr std::chrono::milliseconds kLook(250);

using SnapshotPtr = std::shared_ptr<const sandbox::Snapshot>;

wire::PodSandboxNetworks networksOf(const SandboxId& id, const sandbox::SandboxView& view,
                                    const std::string& bootId) {
  wire::PodSandboxNetworks networks;
  networks.set_pod_sandbox_id(id.str());
  networks.set_pod_uid(view.pod.uid.str());
  networks.set_pod_namespace(view.pod.namespaceName);
  networks.set_pod_name(view.pod.name);
  networks.set_attempt(view.pod.attempt);
  auto& status = *networks.mutable_status();
  status = statusOf(*view.interfaces, bootId);
  // Before the first interface is made there is none that isn't attached.
  if (!view.attached && status.state() == wire::POD_NETWORKS_STATE_ATTACHED) {
    status.set_state(wire::POD_NETWORKS_STATE_PENDING);
  }
  return networks;
}

grpc::Status recovering(const sandbox::Snapshot& snapshot) {
  return {grpc::StatusCode::UNAVAILABLE, snapshot.waitsFor.within("read pod networks").message};
}

/// What the watches of a service share.
struct Watches {
  std::atomic<int> open = 0;
  std::atomic<bool> end = false;
};

/// One Watch. Its writes and its alarm follow each other, so only the cancel flag is shared.
class Watch final : public grpc::ServerWriteReactor<wire::WatchResponse> {
 public:
  Watch(const sandbox::Sandboxes& sandboxes, Watches& all) : sandboxes_(sandboxes), all_(all) {
    if (++all_.open > kMostWatches) {
      Finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                          "watch pod networks: " + std::to_string(kMostWatches) +
                              " watches are open, the most allowed"));
      return;
    }
    look();
  }
  void OnWriteDone(bool ok) override { ok ? next() : Finish(grpc::Status::CANCELLED); }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override {
    --all_.open;
    delete this;
  }

 private:
  void look() {
    if (ends()) return;
    auto snapshot = sandboxes_.snapshot();
    if (snapshot->recovered && snapshot != seen_) {
      compare(*snapshot);
      seen_ = std::move(snapshot);
    }
    next();
  }

  bool ends() {
    if (cancelled_) {
      Finish(grpc::Status::CANCELLED);
    } else if (all_.end) {
      Finish({grpc::StatusCode::UNAVAILABLE, "watch pod networks: the agent is stopping"});
    } else {
      return false;
    }
    return true;
  }

  void compare(const sandbox::Snapshot& snapshot) {
    std::map<SandboxId, std::string> now;
    for (const auto& [id, view] : snapshot.sandboxes) {
      auto networks = networksOf(id, view, snapshot.bootId);
      auto bytes = networks.SerializeAsString();
      const auto before = known_.find(id);
      if (before == known_.end()) {
        say(wire::WatchResponse::ADDED, std::move(networks));
      } else if (before->second != bytes) {
        say(wire::WatchResponse::MODIFIED, std::move(networks));
      }
      now.emplace(id, std::move(bytes));
    }
    for (const auto& [id, bytes] : known_) {
      if (now.contains(id)) continue;
      wire::PodSandboxNetworks last;
      if (last.ParseFromString(bytes)) say(wire::WatchResponse::DELETED, std::move(last));
    }
    known_ = std::move(now);
    if (!seen_) waiting_.emplace_back().set_type(wire::WatchResponse::BOOKMARK);
  }

  void say(wire::WatchResponse::Type type, wire::PodSandboxNetworks networks) {
    auto& response = waiting_.emplace_back();
    response.set_type(type);
    *response.mutable_pod_networks() = std::move(networks);
  }

  /// Compares again only when all is written: a slow reader costs no more than one list.
  void next() {
    if (ends()) return;
    if (waiting_.empty()) {
      alarm_.Set(std::chrono::system_clock::now() + kLook, [this](bool) { look(); });
      return;
    }
    writing_ = std::move(waiting_.front());
    waiting_.pop_front();
    StartWrite(&writing_);
  }

  const sandbox::Sandboxes& sandboxes_;
  Watches& all_;
  std::atomic<bool> cancelled_ = false;
  SnapshotPtr seen_;
  std::map<SandboxId, std::string> known_;
  std::deque<wire::WatchResponse> waiting_;
  wire::WatchResponse writing_;
  grpc::Alarm alarm_;
};

}  // namespace

class PodNetworksService::Calls final : public wire::PodNetworks::CallbackService {
 public:
  explicit Calls(const sandbox::Sandboxes& sandboxes) : sandboxes_(sandboxes) {}

  void endWatches() { watches_.end = true; }

  grpc::ServerUnaryReactor* GetCapabilities(grpc::CallbackServerContext* context,
                                            const wire::GetCapabilitiesRequest*,
                                            wire::GetCapabilitiesResponse* response) override {
    *response->mutable_features() = features();
    return ended(context, grpc::Status::OK);
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const wire::GetRequest* request,
                                wire::GetResponse* response) override {
    const auto snapshot = sandboxes_.snapshot();
    if (!snapshot->recovered) return ended(context, recovering(*snapshot));
    const auto found = snapshot->sandboxes.find(SandboxId(request->pod_sandbox_id()));
    if (found == snapshot->sandboxes.end()) {
      return ended(context,
                   {grpc::StatusCode::NOT_FOUND, "find sandbox \"" + request->pod_sandbox_id() +
                                                     "\": none with networks has that ID"});
    }
    *response->mutable_pod_networks() = networksOf(found->first, found->second, snapshot->bootId);
    return ended(context, grpc::Status::OK);
  }

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const wire::ListRequest* request,
                                 wire::ListResponse* response) override {
    const auto snapshot = sandboxes_.snapshot();
    if (!snapshot->recovered) return ended(context, recovering(*snapshot));
    for (const auto& [id, view] : snapshot->sandboxes) {
      if (!request->pod_uid().empty() && request->pod_uid() != view.pod.uid.str()) continue;
      *response->add_items() = networksOf(id, view, snapshot->bootId);
    }
    return ended(context, grpc::Status::OK);
  }

  grpc::ServerWriteReactor<wire::WatchResponse>* Watch(grpc::CallbackServerContext*,
                                                       const wire::WatchRequest*) override {
    return new cri::Watch(sandboxes_, watches_);
  }

 private:
  static grpc::ServerUnaryReactor* ended(grpc::CallbackServerContext* context,
                                         const grpc::Status& status) {
    auto* reactor = context->DefaultReactor();
    reactor->Finish(status);
    return reactor;
  }

  const sandbox::Sandboxes& sandboxes_;
  Watches watches_;
};

PodNetworksService::PodNetworksService(const sandbox::Sandboxes& sandboxes)
    : calls_(std::make_unique<Calls>(sandboxes)) {}

PodNetworksService::~PodNetworksService() = default;

grpc::Service& PodNetworksService::service() {
  return *calls_;
}

void PodNetworksService::endWatches() {
  calls_->endWatches();
}

}  // namespace multinet::agent::cri
