// Leader election and Events on the misbehaving server.
#include "lib/kube/leader.h"

#include <thread>

#include "lib/base/fake_clock.h"
#include "lib/kube/events.h"
#include "test/support/apiserver.h"

namespace multinet::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ApiServer;
using testing::Fault;

std::unique_ptr<Client> clientOf(const ApiServer& server) {
  Config config;
  config.server = server.url();
  ClientOptions options;
  options.deadline = milliseconds(500);
  return connect(config, options).value();
}

class LeaderTest : public ::testing::Test {
 protected:
  LeaderOptions as(const std::string& identity) {
    LeaderOptions options{"multinet-system", "controller", identity};
    options.started = [this, identity] { told_.push_back("+" + identity); };
    options.stopped = [this, identity] { told_.push_back("-" + identity); };
    return options;
  }

  ApiServer server_;
  std::unique_ptr<Client> client_ = clientOf(server_);
  FakeClock clock_;
  std::vector<std::string> told_;
};

TEST_F(LeaderTest, HasOneLeaderUntilItsLeaseWasSeenUnchangedForItsDuration) {
  LeaderElector first(*client_, clock_, as("first"));
  LeaderElector second(*client_, clock_, as("second"));
  static_cast<void>(first.step());
  static_cast<void>(second.step());
  EXPECT_TRUE(first.leading());
  EXPECT_FALSE(second.leading());
  EXPECT_EQ(second.holder(), "first");
  for (int i = 0; i < 7; ++i) {
    clock_.advance(seconds(2));
    static_cast<void>(second.step());
    EXPECT_FALSE(second.leading()) << i;
  }
  EXPECT_FALSE(first.leading()) << "it could not renew, so it doubts before others may take over";
  clock_.advance(seconds(2));
  static_cast<void>(second.step());
  EXPECT_TRUE(second.leading());
  static_cast<void>(first.step());
  EXPECT_FALSE(first.leading());
  EXPECT_THAT(told_, ::testing::ElementsAre("+first", "+second", "-first"));
}

TEST_F(LeaderTest, RenewsAsLongAsItLives) {
  LeaderElector first(*client_, clock_, as("first"));
  LeaderElector second(*client_, clock_, as("second"));
  for (int i = 0; i < 20; ++i) {
    static_cast<void>(first.step());
    static_cast<void>(second.step());
    EXPECT_TRUE(first.leading());
    EXPECT_FALSE(second.leading());
    clock_.advance(seconds(2));
  }
  EXPECT_THAT(told_, ::testing::ElementsAre("+first"));
}

TEST_F(LeaderTest, RenewsInOneCallAndReadsTheLeaseAgainOnlyWhereAnotherChangedIt) {
  LeaderElector first(*client_, clock_, as("first"));
  static_cast<void>(first.step());
  const auto before = server_.requests().size();
  for (int i = 0; i < 3; ++i) {
    clock_.advance(seconds(2));
    static_cast<void>(first.step());
  }
  EXPECT_EQ(server_.requests().size(), before + 3);
  const Kind lease{"coordination.k8s.io", "v1", "leases", "Lease", Scope::Namespaced};
  ASSERT_TRUE(client_->raw().patch(lease, {"multinet-system", "controller"}, PatchType::Merge,
                                   {{"spec", {{"holderIdentity", "thief"}}}}, Subresource::None,
                                   Conflicts::Refuse));
  clock_.advance(seconds(2));
  static_cast<void>(first.step());
  EXPECT_FALSE(first.leading());
  EXPECT_EQ(first.holder(), "thief");
}

TEST_F(LeaderTest, StopsLeadingWhenTheServerStaysAway) {
  LeaderElector first(*client_, clock_, as("first"));
  static_cast<void>(first.step());
  server_.inject({Fault::InternalError, "", "", 1000});
  clock_.advance(seconds(9));
  static_cast<void>(first.step());
  EXPECT_TRUE(first.leading());
  clock_.advance(seconds(2));
  EXPECT_FALSE(first.leading()) << "by the clock alone";
  static_cast<void>(first.step());
  EXPECT_THAT(told_, ::testing::ElementsAre("+first", "-first"));
}

TEST_F(LeaderTest, TellsAlsoALapseThatTheNextRenewalEnds) {
  LeaderElector first(*client_, clock_, as("first"));
  static_cast<void>(first.step());
  clock_.advance(seconds(12));  // the process was stopped, or the server didn't answer
  EXPECT_FALSE(first.leading());
  static_cast<void>(first.step());
  EXPECT_TRUE(first.leading());
  EXPECT_THAT(told_, ::testing::ElementsAre("+first", "-first", "+first"));
}

TEST_F(LeaderTest, KeepsLeadingThroughALostReply) {
  LeaderElector first(*client_, clock_, as("first"));
  static_cast<void>(first.step());
  server_.inject({Fault::LoseReply, "PATCH", "/leases"});
  clock_.advance(seconds(2));
  static_cast<void>(first.step());
  clock_.advance(seconds(2));
  static_cast<void>(first.step());
  clock_.advance(seconds(9));
  EXPECT_TRUE(first.leading());
  EXPECT_THAT(told_, ::testing::ElementsAre("+first"));
}

TEST_F(LeaderTest, ReleasesTheLeaseAtItsEnd) {
  {
    LeaderElector first(*client_, clock_, as("first"));
    first.start();
    const auto until = std::chrono::steady_clock::now() + seconds(5);
    while (!first.leading() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    EXPECT_TRUE(first.leading());
  }
  LeaderElector second(*client_, clock_, as("second"));
  static_cast<void>(second.step());
  EXPECT_TRUE(second.leading());
}

class EventsTest : public ::testing::Test {
 protected:
  Json events() {
    return server_.store()
        .list(testing::ResourcePath::parse("/api/v1/events"), "", "", 0, "")
        .body["items"];
  }
  const ObjectReference pod_{"v1", "Pod", {"shop", "web-0"}, "uid-1"};

  ApiServer server_;
  std::unique_ptr<Client> client_ = clientOf(server_);
  FakeClock clock_;
};

TEST_F(EventsTest, CountsWhatHappensAgain) {
  EventRecorder recorder(*client_, clock_, {"agent", "n1"});
  recorder.record(pod_, Severity::Warning, "NetworkRefused", "network blue isn't granted");
  const auto until = std::chrono::steady_clock::now() + seconds(5);
  while (events().empty() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(2));
  }
  for (int i = 0; i < 3; ++i) {
    recorder.record(pod_, Severity::Warning, "NetworkRefused", "network blue isn't granted");
  }
  recorder.record(pod_, Severity::Warning, "NetworkRefused", "another text");
  recorder.stop();
  const auto found = events();
  ASSERT_EQ(found.size(), 2U);
  std::map<std::string, int> counts;
  for (const auto& event : found) counts[event["message"]] = event["count"];
  EXPECT_EQ(counts["network blue isn't granted"], 4);
  EXPECT_EQ(counts["another text"], 1);
  EXPECT_EQ(found[0]["involvedObject"]["uid"], "uid-1");
  EXPECT_EQ(found[0]["source"]["host"], "n1");
  EXPECT_EQ(found[0]["type"], "Warning");
}

TEST_F(EventsTest, CutsAFloodOfOneSubjectAndNotOfAnother) {
  EventOptions options{"agent", "n1"};
  options.burst = 3;
  EventRecorder recorder(*client_, clock_, options);
  for (int i = 0; i < 10; ++i) {
    recorder.record(pod_, Severity::Normal, "Noise", "number " + std::to_string(i));
  }
  EXPECT_EQ(recorder.dropped(), 7U);
  recorder.record({"v1", "Pod", {"shop", "web-1"}, "uid-2"}, Severity::Normal, "Noise", "quiet");
  EXPECT_EQ(recorder.dropped(), 7U);
  clock_.advance(std::chrono::minutes(5));
  recorder.record(pod_, Severity::Normal, "Noise", "later");
  EXPECT_EQ(recorder.dropped(), 7U);
}

TEST_F(EventsTest, ANameThatIsCutStaysAName) {
  EventRecorder recorder(*client_, clock_, {"agent", "n1"});
  for (const char* seam : {"-", ".", "-.-"}) {
    const std::string name = std::string(230 - std::string(seam).size(), 'a') + seam + "tail";
    recorder.record({"v1", "Pod", {"shop", name}, seam}, Severity::Normal, "Noise", "x");
  }
  recorder.stop();
  const auto found = events();
  ASSERT_EQ(found.size(), 3U);
  for (const auto& event : found) {
    const std::string name = event["metadata"]["name"];
    EXPECT_NE(name[name.rfind('.') - 1], '-') << name;
    EXPECT_NE(name[name.rfind('.') - 1], '.') << name;
  }
}

TEST_F(EventsTest, NeverHoldsACallerUp) {
  server_.inject({Fault::Stall, "", "", 1000});
  EventOptions options{"agent", "n1"};
  options.queueLimit = 5;
  EventRecorder recorder(*client_, clock_, options);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) {
    recorder.record({"v1", "Pod", {"shop", "web-" + std::to_string(i)}, std::to_string(i)},
                    Severity::Normal, "Noise", "x");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
  EXPECT_GE(recorder.dropped(), 90U);
}

}  // namespace
}  // namespace multinet::kube
