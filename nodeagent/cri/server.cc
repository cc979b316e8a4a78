#include "nodeagent/cri/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "nodeagent/cri/pod_networks.h"
#include "nodeagent/cri/relay.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.grpc.pb.h"

namespace multinet::agent::cri {
namespace {

// grpc-go's limit in both directions, so that of a kubelet. C++ takes 8 KiB, which a long status
// message exceeds, and then its code is lost.
constexpr int kMetadataBytes = 16 << 20;

}  // namespace

/// gRPC's server of the agent's own service. Made when somebody calls it first, which few do.
class Server::OwnService {
 public:
  explicit OwnService(PodNetworksService& service) : service_(service) {}
  ~OwnService() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }
  OwnService(const OwnService&) = delete;
  OwnService& operator=(const OwnService&) = delete;

  /// A connection to it. On the relay's thread.
  Result<Fd> connect() {
    if (server_ == nullptr) {
      grpc::ServerBuilder builder;
      builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytes);
      builder.RegisterService(&service_.service());
      server_ = builder.BuildAndStart();
    }
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) != 0) {
      return fail(errnoError("connect to the agent's own service", errno));
    }
    grpc::AddInsecureChannelFromFd(server_.get(), pair[0]);
    return Fd(pair[1]);
  }

 private:
  PodNetworksService& service_;
  std::unique_ptr<grpc::Server> server_;
};

Server::Server(ServerOptions options) : podNetworks_(options.podNetworks) {
  RelayOptions relay{.runtime = std::move(options.runtime),
                     .interceptorOf = std::move(options.interceptorOf),
                     .called = std::move(options.called),
                     .ownService = {},
                     .connectOwn = {},
                     .clock = options.clock};
  if (podNetworks_ != nullptr) {
    own_ = std::make_unique<OwnService>(*podNetworks_);
    relay.ownService =
        std::string("/") + multinet::cri::v1alpha1::PodNetworks::service_full_name() + "/";
    relay.connectOwn = [this] { return own_->connect(); };
  }
  relay_ = std::make_unique<Relay>(std::move(relay));
}

Server::~Server() = default;

void Server::add(Fd connection) {
  relay_->add(std::move(connection));
}

std::size_t Server::callers() const {
  return relay_->callers();
}

void Server::awaitQuiet(std::chrono::milliseconds limit) {
  relay_->awaitQuiet(limit);
}

void Server::stop(std::chrono::milliseconds drain) {
  if (podNetworks_ != nullptr) podNetworks_->endWatches();
  relay_->stop(drain);
}

async::LaneHealth Server::health() const {
  return relay_->health();
}

}  // namespace multinet::agent::cri
