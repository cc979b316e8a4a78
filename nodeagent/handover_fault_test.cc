// One agent ends and the next one comes while systemd, or who stands for it, holds the socket: how
// long nobody serves the kubelet, and what becomes of the calls under way.
#include <fcntl.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <memory>

#include "lib/base/fd.h"
#include "nodeagent/cri/bytes.h"
#include "nodeagent/cri/listener.h"
#include "proto/cri-multinet/v1alpha1/pod_networks.grpc.pb.h"
#include "test/support/cri/agent_fixture.h"

namespace multinet::agent {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// A call that is under way while the test goes on.
class Pending {
 public:
  Pending(const std::shared_ptr<grpc::Channel>& channel, const std::string& method)
      : stub_(channel), request_(cri::bufferOf("")) {
    context_.set_deadline(std::chrono::system_clock::now() + 60s);
    stub_.UnaryCall(&context_, method, {}, &request_, &reply_,
                    [this](grpc::Status status) { done_.set_value(std::move(status)); });
  }
  grpc::Status get() { return done_.get_future().get(); }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
  std::promise<grpc::Status> done_;
};

class Handover : public AgentTest {
 protected:
  Handover() {
    auto socket = cri::listenAt(this->socket());
    // Far from 3, so that the child's copy is inherited.
    if (socket) held_ = Fd(fcntl(socket->get(), F_DUPFD_CLOEXEC, 100));
    inherited_ = held_.get();
  }
  /// As a kubelet has it: what an end that goes away didn't take is sent again.
  std::shared_ptr<grpc::Channel> channel() const {
    return grpc::CreateChannel("unix:" + socket(), grpc::InsecureChannelCredentials());
  }
  static std::string cri(const std::string& method) {
    return "/runtime.v1.RuntimeService/" + method;
  }
  void awaitCall(const std::string& method) const {
    const auto end = Clock::now() + seconds(30);
    while (Clock::now() < end) {
      const auto calls = runtime_->calls();
      if (std::find(calls.begin(), calls.end(), method) != calls.end()) return;
      std::this_thread::sleep_for(milliseconds(10));
    }
    FAIL() << method << " never came to the runtime";
  }

  /// Ends the agent and starts the next one as systemd does, while somebody calls all the time.
  /// How long the slowest of these calls took.
  milliseconds replaceAgent(const std::vector<std::string>& flags) {
    std::atomic<bool> ends = false;
    std::atomic<long> slowest = 0;
    std::thread caller([&] {
      const auto kubelet = channel();
      while (!ends) {
        const auto begin = Clock::now();
        const auto status = Pending(kubelet, cri("Version")).get();
        EXPECT_TRUE(status.ok()) << status.error_code() << ": " << status.error_message();
        slowest = std::max<long>(slowest, (Clock::now() - begin) / milliseconds(1));
        std::this_thread::sleep_for(milliseconds(2));
      }
    });
    process_->tell(SIGTERM);
    EXPECT_EQ(WEXITSTATUS(process_->wait()), 0);
    launch("", flags);
    EXPECT_EQ(reason("NotConnected"), "NotConnected");
    ends = true;
    caller.join();
    return milliseconds(slowest);
  }

  Fd held_;
};

TEST_F(Handover, IsShortAlsoWithStreamsAndACallThatNeverEnds) {
  const std::vector<std::string> flags = {"--drain=1s"};
  launch("", flags);
  ASSERT_EQ(reason("NotConnected"), "NotConnected");
  runtime_->inject("GetContainerEvents", {.hangs = true});
  runtime_->inject("ExecSync", {.hangs = true});
  Pending events(channel(), cri("GetContainerEvents"));
  Pending exec(channel(), cri("ExecSync"));
  const auto watcher = multinet::cri::v1alpha1::PodNetworks::NewStub(channel());
  grpc::ClientContext watching;
  const auto watch = watcher->Watch(&watching, {});
  awaitCall("GetContainerEvents");
  awaitCall("ExecSync");
  const auto gap = replaceAgent(flags);
  RecordProperty("gapMillis", static_cast<int>(gap.count()));
  // Under 0.3 s on a machine that has nothing else to do; what it guards against is ten.
  EXPECT_LT(gap, 3s);
  EXPECT_EQ(events.get().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(exec.get().ok());
  multinet::cri::v1alpha1::WatchResponse last;
  while (watch->Read(&last)) continue;
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Handover, LetsCallsUnderWayEndAndServesOthersMeanwhile) {
  launch();
  ASSERT_EQ(reason("NotConnected"), "NotConnected");
  runtime_->inject("StopContainer", {.delay = 2s});
  runtime_->inject("RunPodSandbox", {.delay = 1s});
  Pending stop(channel(), cri("StopContainer"));
  awaitCall("StopContainer");
  auto run = std::async(std::launch::async, [this] { return kubelet().sync(kPlain); });
  awaitCall("RunPodSandbox");
  const auto gap = replaceAgent({});
  RecordProperty("gapMillis", static_cast<int>(gap.count()));
  EXPECT_LT(gap, 3s);
  EXPECT_EQ(stop.get().error_code(), grpc::StatusCode::UNIMPLEMENTED) << "the runtime's own answer";
  EXPECT_TRUE(run.get().status.ok());
}

TEST_F(Handover, RefusesADescriptorThatIsNoListeningSocketAndSaysSo) {
  for (const int wrong :
       {::open("/dev/null", O_RDONLY | O_CLOEXEC), ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
        ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}) {
    inherited_ = fcntl(wrong, F_DUPFD_CLOEXEC, 100);
    const Fd first(wrong);
    const Fd second(inherited_);
    launch();
    EXPECT_EQ(WEXITSTATUS(process_->wait()), 1);
  }
  inherited_ = held_.get();
  launch();
  EXPECT_EQ(reason("NotConnected"), "NotConnected");
}

TEST_F(Handover, MakesTheInheritedSocketNonBlockingAndItsOwn) {
  const int status = fcntl(held_.get(), F_GETFL);
  ASSERT_EQ(fcntl(held_.get(), F_SETFL, status & ~O_NONBLOCK), 0) << "as systemd hands it over";
  launch();
  ASSERT_EQ(reason("NotConnected"), "NotConnected");
  EXPECT_NE(fcntl(held_.get(), F_GETFL) & O_NONBLOCK, 0);
  std::ifstream info("/proc/" + std::to_string(process_->pid()) + "/fdinfo/3");
  std::string word;
  while (info >> word && word != "flags:") continue;
  unsigned flags = 0;
  info >> std::oct >> flags;
  EXPECT_NE(flags & O_CLOEXEC, 0U) << flags;
}

}  // namespace
}  // namespace multinet::agent
