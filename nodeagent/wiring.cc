#include "nodeagent/wiring.h"

#include <grpcpp/channel.h>

#include <chrono>
#include <utility>

#include "lib/base/log.h"
#include "nodeagent/cri/listener.h"
#include "nodeagent/cri/server.h"

namespace multinet::agent {
namespace {

/// How long calls under way may still take when the agent stops.
constexpr std::chrono::seconds kDrain(10);

class Parts final : public Agent {
 public:
  Parts(Fd socket, const Settings& settings)
      : server_(cri::makeServer({.runtime = cri::runtimeChannel(settings.runtimeEndpoint),
                                 .interceptorOf = {},
                                 .podNetworks = nullptr})),
        // Last: from here on the kubelet is answered.
        listener_(std::move(socket),
                  [this](Fd connection) { server_->add(std::move(connection)); }) {}

  void stop() override {
    listener_.stop();  // first, so that no call comes to a server that ends
    server_->stop(kDrain);
  }

 private:
  std::unique_ptr<cri::Server> server_;
  cri::Listener listener_;
};

}  // namespace

Result<std::unique_ptr<Agent>> start(const Settings& settings) {
  Fd socket = cri::inheritedListener();  // first: a supervisor that holds it also holds the path
  if (!socket.valid()) {
    MULTINET_TRY(socket, cri::listenAt(settings.listen));
  }
  std::unique_ptr<Agent> agent = std::make_unique<Parts>(std::move(socket), settings);
  log::info("serving", {{"socket", settings.listen}, {"runtime", settings.runtimeEndpoint}});
  return agent;
}

}  // namespace multinet::agent
