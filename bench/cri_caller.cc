#include "bench/cri_caller.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <future>
#include <utility>

#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/server.h"
#include "test/support/cri/channel.h"

namespace multinet::bench {
namespace {

/// The kubelet's own for calls that make and end sandboxes.
constexpr std::chrono::seconds kDeadline(240);

}  // namespace

CriCaller::CriCaller(const std::string& endpoint) : stub_(support::criChannel(endpoint)) {}

Result<std::string> CriCaller::call(const std::string& method, const std::string& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  const auto sent = agent::cri::bufferOf(request);
  grpc::ByteBuffer received;
  std::promise<grpc::Status> done;
  stub_.UnaryCall(&context, "/runtime.v1.RuntimeService/" + method, {}, &sent, &received,
                  [&done](grpc::Status status) { done.set_value(std::move(status)); });
  const grpc::Status status = done.get_future().get();
  if (status.ok()) return agent::cri::bytesOf(received);
  return fail(static_cast<Code>(status.error_code()), "Runtime",
              "call " + method + ": " + status.error_message());
}

}  // namespace multinet::bench
