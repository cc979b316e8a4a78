#include "bench/relay_runtime.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include "nodeagent/cri/bytes.h"

namespace multinet::bench {
namespace {

/// Answers one call as its kind says.
class Reactor final : public grpc::ServerGenericBidiReactor {
 public:
  Reactor(int messages, grpc::ByteBuffer answer) : left_(messages), answer_(std::move(answer)) {
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override { ok ? next() : Finish(grpc::Status::CANCELLED); }
  void OnWriteDone(bool ok) override { ok ? next() : Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  void next() {
    if (left_-- == 0) return Finish(grpc::Status::OK);
    sent_ = answer_;
    StartWrite(&sent_);
  }
  int left_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer answer_;
  grpc::ByteBuffer sent_;
};

}  // namespace

class RelayRuntime::Service final : public grpc::CallbackGenericService {
 public:
  Service() {
    for (std::size_t kind = 0; kind < kCallKinds.size(); ++kind) {
      answers_.at(kind) = agent::cri::bufferOf(std::string(kCallKinds.at(kind).bytes, 'r'));
    }
  }
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    for (std::size_t kind = 0; kind < kCallKinds.size(); ++kind) {
      if (context->method() != kCallKinds.at(kind).method) continue;
      return new Reactor(kCallKinds.at(kind).messages, answers_.at(kind));
    }
    return CallbackGenericService::CreateReactor(context);
  }

 private:
  std::array<grpc::ByteBuffer, kCallKinds.size()> answers_;
};

RelayRuntime::RelayRuntime(const std::string& endpoint) : service_(std::make_unique<Service>()) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.RegisterCallbackGenericService(service_.get());
  builder.AddListeningPort(endpoint, grpc::InsecureServerCredentials());
  server_ = builder.BuildAndStart();
}

RelayRuntime::~RelayRuntime() = default;

void RelayRuntime::wait() {
  if (server_ != nullptr) server_->Wait();
}

}  // namespace multinet::bench
