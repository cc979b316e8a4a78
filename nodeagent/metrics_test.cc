#include "nodeagent/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "lib/base/fake_clock.h"
#include "nodeagent/attach/fake_attach_engine.h"

namespace multinet::agent {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class MetricsTest : public testing::Test {
 protected:
  http::Response get(const std::string& path) {
    return metrics_.handler([this] { return gauges_; })({"GET", path, "", "", ""});
  }
  std::string text() { return get("/metrics").body; }

  Metrics metrics_;
  Gauges gauges_;
};

TEST_F(MetricsTest, CountsCallsByMethodAndCode) {
  metrics_.called("/runtime.v1.RuntimeService/RunPodSandbox", 0);
  metrics_.called("/runtime.v1.RuntimeService/RunPodSandbox", 14);
  metrics_.called("/runtime.v1.RuntimeService/RunPodSandbox", 14);
  metrics_.called("/runtime.v1.RuntimeService/MadeUp", 12);
  metrics_.called("/elsewhere/RunPodSandbox", 12);
  metrics_.called("", 12);
  EXPECT_THAT(text(), HasSubstr(R"(calls_total{code="Ok",method="RunPodSandbox"} 1)"));
  EXPECT_THAT(text(), HasSubstr(R"(calls_total{code="Unavailable",method="RunPodSandbox"} 2)"));
  EXPECT_THAT(text(), HasSubstr(R"(calls_total{code="Unimplemented",method="other"} 3)"));
  EXPECT_THAT(text(), Not(HasSubstr("MadeUp")));
}

TEST_F(MetricsTest, ShowsWhatIsThereWhenAsked) {
  gauges_.ready = fail(Code::Unavailable, "NotConnected", "no kubeconfig");
  gauges_.intents = {{journal::State::Attached, 3}};
  gauges_.watches = {{"podnetworks", seconds(7)}};
  EXPECT_THAT(text(), HasSubstr("multinet_agent_ready 0"));
  EXPECT_THAT(text(), HasSubstr(R"(intents{state="ATTACHED"} 3)"));
  EXPECT_THAT(text(), HasSubstr(R"(intents{state="ROLLBACK"} 0)"));
  EXPECT_THAT(text(), HasSubstr(R"(age_seconds{resource="podnetworks"} 7)"));
  EXPECT_EQ(get("/readyz").status, 503U);
  EXPECT_THAT(get("/readyz").body, HasSubstr("no kubeconfig"));
  EXPECT_EQ(get("/healthz").status, 200U);
  gauges_ = {};
  EXPECT_THAT(text(), HasSubstr("multinet_agent_ready 1"));
  EXPECT_THAT(text(), HasSubstr(R"(intents{state="ATTACHED"} 0)"));
  EXPECT_EQ(get("/readyz").status, 200U);
}

TEST_F(MetricsTest, TimesAttachesByResult) {
  FakeClock clock;
  metrics_.attached({}, seconds(2));
  metrics_.attached(fail(Code::Internal, "Busy", "busy"), seconds(2));
  EXPECT_THAT(text(), HasSubstr(R"(attach_seconds_sum{result="ok"} 2)"));
  EXPECT_THAT(text(), HasSubstr(R"(attach_seconds_count{result="error"} 1)"));
  attach::FakeAttachEngine engine;
  MeasuredEngine measured(engine, metrics_, clock);
  bool done = false;
  measured.attach(IntentId("i"), Fd(), {}, nullptr, [&](const auto&) { done = true; });
  EXPECT_TRUE(done);
  EXPECT_THAT(text(), HasSubstr(R"(attach_seconds_count{result="ok"} 2)"));
}

TEST_F(MetricsTest, EachIsDocumented) {
  metrics_.called("", 0);
  gauges_.watches = {{"pods", seconds(1)}};
  std::stringstream documented;
  documented << std::ifstream(MULTINET_SOURCE_DIR "/docs/metrics.md").rdbuf();
  std::istringstream lines(text());
  int kinds = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    ++kinds;
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    EXPECT_THAT(documented.str(), HasSubstr("`" + name + "`"));
  }
  EXPECT_EQ(kinds, 5);
}

}  // namespace
}  // namespace multinet::agent
