#include "test/support/cri/channel.h"

#include <grpcpp/grpcpp.h>

namespace multinet::support {
namespace {

// One that is back is found soon (gRPC makes 100 ms of less).
constexpr int kFirstReconnectMillis = 100;
constexpr int kLastReconnectMillis = 1000;
// How long one attempt to connect may take, the other end's first words included: gRPC's own
// default, above the 5 s of the kubelet's CRI client.
constexpr int kConnectMillis = 20'000;
// grpc-go's limit in both directions, so that of a kubelet and of a runtime. C++ takes 8 KiB, which
// a long status message exceeds, and then its code is lost.
constexpr int kMetadataBytes = 16 << 20;

}  // namespace

std::shared_ptr<grpc::Channel> criChannel(const std::string& endpoint) {
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

}  // namespace multinet::support
