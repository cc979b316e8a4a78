#include "nodeagent/cri/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>

#include <utility>

#include "nodeagent/cri/call.h"

namespace multinet::agent::cri {
namespace {

constexpr int kFirstReconnectMillis = 50;
constexpr int kLastReconnectMillis = 1000;

class Relay final : public grpc::CallbackGenericService {
 public:
  Relay(std::shared_ptr<grpc::Channel> runtime, InterceptorOf interceptorOf, CallObserver called)
      : stub_(std::move(runtime)),
        interceptorOf_(std::move(interceptorOf)),
        called_(std::move(called)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return Call::start(context, {&stub_, called_}, interceptorOf(*context));
  }

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
};

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(ServerOptions options)
      : relay_(std::move(options.runtime), std::move(options.interceptorOf),
               std::move(options.called)) {
    grpc::ServerBuilder builder;
    // The ends enforce their own limits; a smaller one here would be ours alone.
    builder.SetMaxReceiveMessageSize(-1);
    builder.SetMaxSendMessageSize(-1);
    if (options.podNetworks != nullptr) builder.RegisterService(options.podNetworks);
    builder.RegisterCallbackGenericService(&relay_);
    server_ = builder.BuildAndStart();
  }

  void add(Fd connection) override {
    grpc::AddInsecureChannelFromFd(server_.get(), connection.release());
  }

  void stop(std::chrono::milliseconds drain) override {
    server_->Shutdown(std::chrono::system_clock::now() + drain);
  }

 private:
  Relay relay_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::shared_ptr<grpc::Channel> runtimeChannel(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMillis);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kFirstReconnectMillis);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMillis);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<Server> makeServer(ServerOptions options) {
  return std::make_unique<GrpcServer>(std::move(options));
}

}  // namespace multinet::agent::cri
