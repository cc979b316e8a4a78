#include "test/support/cri/runtime.h"

#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <fstream>
#include <utility>

#include "nodeagent/cri/bytes.h"

namespace multinet::support {
namespace {

namespace subset = multinet::cri::subset;
using Call = std::pair<grpc::Status, std::string>;

using agent::cri::bufferOf;
using agent::cri::bytesOf;

Call failed(grpc::StatusCode code, const std::string& message) {
  return {grpc::Status(code, message), {}};
}

Call replied(const google::protobuf::Message& message) {
  return {grpc::Status::OK, message.SerializeAsString()};
}

Call noSandbox(const std::string& id) {
  return failed(grpc::StatusCode::NOT_FOUND,
                "an error occurred when try to find sandbox \"" + id + "\": not found");
}

/// Runtimes name sandboxes `name_namespace_uid_attempt` and never have two of one name.
bool samePod(const subset::PodSandboxMetadata& one, const subset::PodSandboxMetadata& other) {
  return one.uid() == other.uid() && one.attempt() == other.attempt() && one.name() == other.name();
}

}  // namespace

/// All state, and what each method does with it.
class Runtime::State {
 public:
  explicit State(std::string directory) : directory_(std::move(directory)) {}

  grpc::ServerGenericBidiReactor* reactorOf(const std::string& path) {
    const auto method = path.substr(path.rfind('/') + 1);
    const std::lock_guard lock(mutex_);
    calls_.push_back(method);
    Fault fault;
    if (auto& waiting = faults_[method]; !waiting.empty()) {
      fault = waiting.front();
      waiting.pop_front();
    }
    return new Reactor(*this, method, fault);
  }

  /// What the method does when nothing befalls it.
  Call act(const std::string& method, const std::string& request, const Fault& fault) {
    const std::lock_guard lock(mutex_);
    if (method == "RunPodSandbox") return run(request, fault);
    if (method == "StopPodSandbox") return stopSandbox(request);
    if (method == "RemovePodSandbox") return remove(request);
    if (method == "PodSandboxStatus") return status(request);
    if (method == "ListPodSandbox") return list(request);
    if (method == "CreateContainer" || method == "Version" || method == "Status")
      return {grpc::Status::OK, {}};
    return failed(grpc::StatusCode::UNIMPLEMENTED, "unknown method " + method);
  }

  std::mutex mutex_;  ///< guards what follows
  std::map<std::string, std::deque<Fault>> faults_;
  std::map<std::string, subset::PodSandbox> sandboxes_;
  std::vector<std::string> calls_;
  std::string bundleNetns_;
  std::string verboseNetns_;
  int verboseProcess_ = 0;
  std::string lastRun_;
  int events_ = 0;
  std::size_t eventSize_ = 0;
  std::atomic<int> eventsSent_ = 0;

 private:
  /// One call: reads the request, meets its fault, answers.
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(State& state, std::string method, Fault fault)
        : state_(state), method_(std::move(method)), fault_(fault) {
      StartRead(&message_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) return end(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no request"));
      if (fault_.hangs) return;
      alarm_.Set(std::chrono::system_clock::now() + fault_.delay,
                 [this](bool due) { due ? answer() : end(grpc::Status::CANCELLED); });
    }
    void OnWriteDone(bool ok) override {
      if (!ok) return end(grpc::Status::CANCELLED);
      if (method_ != "GetContainerEvents") return end(grpc::Status::OK);
      ++state_.eventsSent_;
      writeEvent();
    }
    void OnCancel() override {
      if (fault_.hangs) end(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    void answer() {
      if (fault_.code != 0) {
        return end(grpc::Status(static_cast<grpc::StatusCode>(fault_.code), "scripted",
                                std::string("its\0details", 11)));
      }
      if (method_ == "GetContainerEvents") {
        const std::lock_guard lock(state_.mutex_);
        eventsLeft_ = state_.events_;
        event_ = std::string(state_.eventSize_, 'e');
      }
      if (method_ == "GetContainerEvents") return writeEvent();
      auto [status, reply] = state_.act(method_, bytesOf(message_), fault_);
      if (fault_.losesReply) {
        return end(grpc::Status(grpc::StatusCode::UNAVAILABLE, "transport is closing"));
      }
      if (!status.ok()) return end(status);
      message_ = bufferOf(reply);
      StartWrite(&message_);
    }
    void writeEvent() {
      if (eventsLeft_-- <= 0) return end(grpc::Status::OK);
      message_ = bufferOf(event_);
      StartWrite(&message_);
    }
    void end(const grpc::Status& status) {
      if (!ended_.exchange(true)) Finish(status);
    }

    State& state_;
    std::string method_;
    Fault fault_;
    grpc::ByteBuffer message_;
    grpc::Alarm alarm_;
    std::string event_;
    int eventsLeft_ = 0;
    std::atomic<bool> ended_ = false;
  };

  Call run(const std::string& bytes, const Fault& fault) {
    subset::RunPodSandboxRequest request;
    if (!request.ParseFromString(bytes)) {
      return failed(grpc::StatusCode::INTERNAL, "unmarshal RunPodSandboxRequest");
    }
    lastRun_ = bytes;
    subset::RunPodSandboxResponse reply;
    for (const auto& [id, sandbox] : sandboxes_) {
      if (!samePod(sandbox.metadata(), request.config().metadata())) continue;
      if (!fault.sameId) {
        return failed(grpc::StatusCode::UNKNOWN,
                      "failed to reserve sandbox name: it is reserved for \"" + id + "\"");
      }
      reply.set_pod_sandbox_id(id);
      return replied(reply);
    }
    subset::PodSandbox sandbox;
    sandbox.set_id("sandbox" + std::to_string(++made_));
    *sandbox.mutable_metadata() = request.config().metadata();
    *sandbox.mutable_labels() = request.config().labels();
    *sandbox.mutable_annotations() = request.config().annotations();
    sandbox.set_created_at(made_);
    if (!bundleNetns_.empty()) writeBundle(sandbox.id());
    reply.set_pod_sandbox_id(sandbox.id());
    sandboxes_[sandbox.id()] = std::move(sandbox);
    return replied(reply);
  }

  [[nodiscard]] std::filesystem::path bundleOf(const std::string& id) const {
    return std::filesystem::path(directory_) / "io.containerd.runtime.v2.task/k8s.io" / id;
  }
  void writeBundle(const std::string& id) const {
    std::filesystem::create_directories(bundleOf(id));
    std::ofstream(bundleOf(id) / "config.json")
        << R"({"ociVersion":"1.1.0","linux":{"namespaces":[{"type":"pid"},{"type":"network","path":")"
        << bundleNetns_ << R"("}]}})";
  }

  Call stopSandbox(const std::string& bytes) {
    subset::StopPodSandboxRequest request;
    request.ParseFromString(bytes);
    const auto found = sandboxes_.find(request.pod_sandbox_id());
    if (found != sandboxes_.end()) found->second.set_state(subset::SANDBOX_NOTREADY);
    std::error_code ignored;
    std::filesystem::remove_all(bundleOf(request.pod_sandbox_id()), ignored);
    return {grpc::Status::OK, {}};  // idempotent
  }

  Call remove(const std::string& bytes) {
    subset::RemovePodSandboxRequest request;
    request.ParseFromString(bytes);
    sandboxes_.erase(request.pod_sandbox_id());
    return {grpc::Status::OK, {}};  // idempotent
  }

  Call status(const std::string& bytes) {
    subset::PodSandboxStatusRequest request;
    request.ParseFromString(bytes);
    const auto found = sandboxes_.find(request.pod_sandbox_id());
    if (found == sandboxes_.end()) return noSandbox(request.pod_sandbox_id());
    subset::PodSandboxStatusResponse reply;
    reply.mutable_status()->set_id(found->first);
    *reply.mutable_status()->mutable_metadata() = found->second.metadata();
    reply.mutable_status()->set_state(found->second.state());
    if (found->second.state() == subset::SANDBOX_READY) {
      reply.mutable_status()->mutable_network()->set_ip("10.88.0.2");
    }
    if (request.verbose() && !verboseNetns_.empty()) {
      (*reply.mutable_info())["info"] =
          "{\"pid\":" + std::to_string(verboseProcess_) +
          R"(,"runtimeSpec":{"linux":{"namespaces":[{"type":"network","path":")" + verboseNetns_ +
          R"("}]}}})";
    }
    return replied(reply);
  }

  Call list(const std::string& bytes) {
    subset::ListPodSandboxRequest request;
    request.ParseFromString(bytes);
    const auto& filter = request.filter();
    subset::ListPodSandboxResponse reply;
    for (const auto& [id, sandbox] : sandboxes_) {
      if (!filter.id().empty() && filter.id() != id) continue;
      if (filter.has_state() && filter.state().state() != sandbox.state()) continue;
      bool matches = true;
      for (const auto& [key, value] : filter.label_selector()) {
        const auto label = sandbox.labels().find(key);
        matches = matches && label != sandbox.labels().end() && label->second == value;
      }
      if (matches) *reply.add_items() = sandbox;
    }
    return replied(reply);
  }

  std::string directory_;
  int made_ = 0;
};

class Runtime::Front final : public grpc::CallbackGenericService {
 public:
  explicit Front(State& state) : state_(state) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return state_.reactorOf(context->method());
  }

 private:
  State& state_;
};

Runtime::Runtime(std::string directory)
    : directory_(std::move(directory)), state_(std::make_unique<State>(directory_)) {}

Runtime::~Runtime() {
  stop();
}

std::string Runtime::endpoint() const {
  return "unix:" + directory_ + "/runtime.sock";
}

void Runtime::start() {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  front_ = std::make_unique<Front>(*state_);
  builder.RegisterCallbackGenericService(front_.get());
  builder.AddListeningPort(endpoint(), grpc::InsecureServerCredentials());
  server_ = builder.BuildAndStart();
}

void Runtime::stop() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void Runtime::inject(const std::string& method, Fault fault) {
  const std::lock_guard lock(state_->mutex_);
  state_->faults_[method].push_back(fault);
}

void Runtime::giveBundles(std::string netnsPath) {
  const std::lock_guard lock(state_->mutex_);
  state_->bundleNetns_ = std::move(netnsPath);
}

void Runtime::giveVerboseNetns(std::string netnsPath, int process) {
  const std::lock_guard lock(state_->mutex_);
  state_->verboseNetns_ = std::move(netnsPath);
  state_->verboseProcess_ = process;
}

void Runtime::giveEvents(int count, std::size_t size) {
  const std::lock_guard lock(state_->mutex_);
  state_->events_ = count;
  state_->eventSize_ = size;
}

std::vector<std::string> Runtime::calls() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->calls_;
}

int Runtime::eventsSent() const {
  return state_->eventsSent_;
}

std::vector<subset::PodSandbox> Runtime::sandboxes() const {
  const std::lock_guard lock(state_->mutex_);
  std::vector<subset::PodSandbox> result;
  for (const auto& [id, sandbox] : state_->sandboxes_) result.push_back(sandbox);
  return result;
}

std::string Runtime::lastRunRequest() const {
  const std::lock_guard lock(state_->mutex_);
  return state_->lastRun_;
}

}  // namespace multinet::support
