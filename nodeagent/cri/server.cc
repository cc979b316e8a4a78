#include "nodeagent/cri/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>

#include <utility>

#include "nodeagent/cri/call.h"
#include "nodeagent/cri/calls.h"
#include "nodeagent/cri/pod_networks.h"

namespace multinet::agent::cri {
namespace {

// A runtime that is back is found soon (gRPC makes 100 ms of less).
constexpr int kFirstReconnectMillis = 100;
constexpr int kLastReconnectMillis = 1000;
// How long one attempt to connect may take, the runtime's first words included: gRPC's own default,
// above the 5 s of the kubelet's CRI client. A runtime that starts on a busy node needs seconds.
constexpr int kConnectMillis = 20'000;
// grpc-go's limit in both directions, so that of a kubelet and of a runtime. C++ takes 8 KiB, which
// a long status message exceeds, and then its code is lost.
constexpr int kMetadataBytes = 16 << 20;

class Relay final : public grpc::CallbackGenericService {
 public:
  Relay(std::shared_ptr<grpc::Channel> runtime, InterceptorOf interceptorOf, CallObserver called)
      : stub_(std::move(runtime)),
        interceptorOf_(std::move(interceptorOf)),
        called_(std::move(called)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return Call::start(context, {&stub_, called_, calls_}, interceptorOf(*context));
  }
  Calls& calls() { return calls_; }

 private:
  std::unique_ptr<Interceptor> interceptorOf(const grpc::GenericCallbackServerContext& context) {
    if (!interceptorOf_) return nullptr;
    std::multimap<std::string, std::string> metadata;
    for (const auto& [key, value] : context.client_metadata()) {
      metadata.emplace(std::string(key.data(), key.size()),
                       std::string(value.data(), value.size()));
    }
    return interceptorOf_(context.method(), std::move(metadata), context.deadline());
  }

  grpc::GenericStub stub_;
  InterceptorOf interceptorOf_;
  CallObserver called_;
  Calls calls_;
};

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(ServerOptions options)
      : relay_(std::move(options.runtime), std::move(options.interceptorOf),
               std::move(options.called)),
        podNetworks_(options.podNetworks) {
    grpc::ServerBuilder builder;
    // The ends enforce their own limits; a smaller one here would be ours alone.
    builder.SetMaxReceiveMessageSize(-1);
    builder.SetMaxSendMessageSize(-1);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytes);
    if (podNetworks_ != nullptr) builder.RegisterService(&podNetworks_->service());
    builder.RegisterCallbackGenericService(&relay_);
    server_ = builder.BuildAndStart();
  }

  void add(Fd connection) override {
    grpc::AddInsecureChannelFromFd(server_.get(), connection.release());
  }

  void awaitQuiet(std::chrono::milliseconds limit) override { relay_.calls().awaitQuiet(limit); }

  void stop(std::chrono::milliseconds drain) override {
    relay_.calls().endStreams();
    if (podNetworks_ != nullptr) podNetworks_->endWatches();
    server_->Shutdown(std::chrono::system_clock::now() + drain);
  }

 private:
  Relay relay_;
  PodNetworksService* podNetworks_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::shared_ptr<grpc::Channel> runtimeChannel(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMillis);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMillis);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMillis);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<Server> makeServer(ServerOptions options) {
  return std::make_unique<GrpcServer>(std::move(options));
}

}  // namespace multinet::agent::cri
