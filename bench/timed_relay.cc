#include "bench/timed_relay.h"

#include <utility>

#include "nodeagent/cri/interceptor.h"

namespace multinet::bench {
namespace {

using namespace agent::cri;

class Stopwatch final : public Interceptor {
 public:
  explicit Stopwatch(std::atomic<Steady::rep>& last) : last_(last) {}
  void request(grpc::ByteBuffer message, std::function<void(RequestDecision)> decide) override {
    begin_ = Steady::now();
    decide(Forward{std::move(message)});
  }
  void reply(grpc::ByteBuffer message, std::function<void(ReplyDecision)> decide) override {
    last_ = (Steady::now() - begin_).count();
    decide(Forward{std::move(message)});
  }

 private:
  std::atomic<Steady::rep>& last_;
  Steady::time_point begin_;
};

}  // namespace

Result<std::unique_ptr<TimedRelay>> TimedRelay::start(const std::string& listen,
                                                      const std::string& runtime) {
  MULTINET_TRY(Fd socket, listenAt(listen));
  return std::make_unique<TimedRelay>(std::move(socket), runtime);
}

TimedRelay::TimedRelay(Fd socket, const std::string& runtime)
    : server_(std::make_unique<Server>(
          ServerOptions{.runtime = runtime,
                        .interceptorOf = [this](std::string_view method, auto&&,
                                                auto) -> std::unique_ptr<Interceptor> {
                          if (method.ends_with("/RunPodSandbox")) {
                            return std::make_unique<Stopwatch>(lastRun_);
                          }
                          if (method.ends_with("/StopPodSandbox")) {
                            return std::make_unique<Stopwatch>(lastStop_);
                          }
                          return nullptr;
                        }})),
      listener_(std::move(socket), [this](Fd connection) { server_->add(std::move(connection)); }) {
}

}  // namespace multinet::bench
