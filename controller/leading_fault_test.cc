// The leader's work goes on after any stall: of the process, or of the API server.
#include "controller/leading.h"

#include <gtest/gtest.h>

#include <thread>

#include "controller/certs/keeper.h"
#include "lib/base/fake_clock.h"
#include "lib/kube/fake_transport.h"
#include "test/support/apiserver.h"

namespace multinet::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ApiServer;

/// Elector, loop and certificates as the controller wires them, on one clock.
class LeadingTest : public ::testing::Test {
 protected:
  LeadingTest() {
    loop_.start();
    elector_.start();
  }
  ~LeadingTest() override {
    loop_.stop();
    elector_.stop();
  }

  static std::unique_ptr<kube::Client> clientOf(const ApiServer& server) {
    kube::Config config;
    config.server = server.url();
    kube::ClientOptions options;
    options.deadline = seconds(5);
    return kube::connect(config, options).value();
  }
  kube::LeaderOptions leaderOptions() {
    kube::LeaderOptions options{"multinet-system", "controller", "this"};
    options.started = [this] { loop_.wake(); };
    return options;
  }
  template <class Condition>
  static bool eventually(const Condition& condition) {
    const auto until = std::chrono::steady_clock::now() + seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return condition();
  }
  /// Time goes on until the elector has tried again: a read and a write of the Lease.
  [[nodiscard]] bool renewal() {
    const std::size_t before = server_.requests().size();
    const auto until = std::chrono::steady_clock::now() + seconds(20);
    while (server_.requests().size() < before + 2 && std::chrono::steady_clock::now() < until) {
      clock_.advance(seconds(1));
      const auto look = std::chrono::steady_clock::now() + milliseconds(20);
      while (server_.requests().size() < before + 2 && std::chrono::steady_clock::now() < look) {
        std::this_thread::yield();
      }
    }
    return server_.requests().size() >= before + 2;
  }
  /// Whether the certificates were looked at again within this many renewals.
  [[nodiscard]] bool keepsOn(int renewals) {
    const int before = looks_;
    for (int i = 0; i < renewals && looks_ == before; ++i) {
      if (!renewal()) return false;
      for (int turn = 0; turn < 100 && looks_ == before; ++turn) std::this_thread::yield();
    }
    return looks_ > before;
  }

  ApiServer server_;
  std::unique_ptr<kube::Client> client_ = clientOf(server_);
  FakeClock clock_;
  /// Of the loop, so that the requests to server_ are the elector's.
  testing::ObjectStore store_;
  kube::Client storeClient_{std::make_unique<kube::FakeTransport>(store_)};
  CertificateStore certificates_{storeClient_, "multinet-system"};
  std::atomic<int> looks_ = 0;
  kube::LeaderElector elector_{*client_, clock_, leaderOptions()};
  async::Loop loop_{{.name = "certificates"},
                    clock_,
                    whileLeading(elector_, [this]() -> Result<std::optional<Duration>> {
                      MULTINET_CHECK(keepCertificates(certificates_, {"webhook"}, clock_,
                                                      [this] { return elector_.leading(); }));
                      ++looks_;
                      return Duration(seconds(15));
                    })};
};

TEST_F(LeadingTest, CertificatesAreKeptAfterEachStall) {
  ASSERT_TRUE(eventually([&] { return elector_.leading(); }));
  ASSERT_TRUE(keepsOn(60)) << "at the start";
  for (int stall = 1; stall <= 60; ++stall) {
    clock_.advance(seconds(stall));  // nothing of ours ran meanwhile
    ASSERT_TRUE(keepsOn(60)) << "after " << stall << " s";
  }
}

}  // namespace
}  // namespace multinet::controller
