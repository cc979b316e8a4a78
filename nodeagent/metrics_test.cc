#include "nodeagent/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "lib/base/fake_clock.h"
#include "nodeagent/attach/fake_attach_engine.h"
#include "nodeagent/journal/fake_journal.h"
#include "nodeagent/measured.h"
#include "nodeagent/sandbox/fake_runtime.h"

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
  gauges_.services = {2, 7, 11, 3};
  EXPECT_THAT(text(), HasSubstr("multinet_agent_service_frontends 2"));
  EXPECT_THAT(text(), HasSubstr("multinet_agent_service_endpoints 7"));
  EXPECT_THAT(text(), HasSubstr("multinet_agent_service_map_writes 11"));
  EXPECT_THAT(text(), HasSubstr("multinet_agent_service_sockets_ended 3"));
  gauges_.policies = {
      .policies = 3, .isolated = 9, .pending = 1, .undoable = 4, .notEnforced = 2, .stale = true};
  gauges_.denied = {.egress = 4, .ingress = 7};
  EXPECT_THAT(text(), HasSubstr("multinet_agent_policies 3"));
  EXPECT_THAT(text(), HasSubstr("multinet_agent_policies_stale 1"));
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_policy_interfaces{state="Enforced"} 2)"));
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_policy_interfaces{state="NotEnforced"} 2)"));
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_policy_denied{direction="ingress"} 7)"));
  gauges_.flows = {.held = 300, .most = 4096};
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_policy_flows{state="held"} 300)"));
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_policy_flows{state="most"} 4096)"));
  gauges_.drops = {{"arp", 5}};
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_port_security_drops{reason="arp"} 5)"));
  EXPECT_THAT(get("/readyz").body, HasSubstr("no kubeconfig"));
  EXPECT_EQ(get("/healthz").status, 200U);
  gauges_ = {};
  EXPECT_THAT(text(), HasSubstr("multinet_agent_ready 1"));
  EXPECT_THAT(text(), HasSubstr(R"(intents{state="ATTACHED"} 0)"));
  EXPECT_EQ(get("/readyz").status, 200U);
}

TEST_F(MetricsTest, CountsAndTimesCallsOfTheApi) {
  metrics_.apiCalled({"get", "namespaces", 200, seconds(2)});
  metrics_.apiCalled({"get", "namespaces", 0, seconds(2)});
  metrics_.apiCalled({"watch", "pods", 200, std::chrono::minutes(7)});
  EXPECT_THAT(text(), HasSubstr(R"(api_calls_total{code="0",resource="namespaces",verb="get"} 1)"));
  EXPECT_THAT(text(), HasSubstr(R"(api_seconds_sum{verb="get"} 4)"));
  EXPECT_THAT(text(), Not(HasSubstr(R"(api_seconds_count{verb="watch"})")));
}

TEST_F(MetricsTest, CountsStopsByWhyTheyWentOnAndHowLongTheyWereHeld) {
  metrics_.stopped("held", seconds(3));
  metrics_.stopped("held", seconds(6));
  metrics_.stopped("short", seconds(0));
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_stops_total{why="held"} 2)"));
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_stops_total{why="short"} 1)"));
  EXPECT_THAT(text(), HasSubstr("multinet_agent_stop_held_seconds_sum 9"));
  EXPECT_THAT(text(), HasSubstr(R"(multinet_agent_stop_held_seconds_bucket{le="3"} 2)"));
}

TEST_F(MetricsTest, CountsLooksAndEachRepair) {
  FakeClock clock;
  attach::FakeAttachEngine engine;
  MeasuredEngine measured(engine, metrics_, clock);
  engine.repairOnce({"net1: set up", "net1: add address 10.20.0.5/16"});
  for (int i = 0; i < 2; ++i) {
    measured.maintain(IntentId("i"), Fd(), {}, nullptr, [](const auto&) {});
  }
  const auto aborted = std::make_shared<std::atomic<bool>>(true);
  measured.maintain(IntentId("i"), Fd(), {}, aborted, [](const auto&) {});
  EXPECT_THAT(text(), HasSubstr(R"(looks_total{result="ok"} 2)"));
  EXPECT_THAT(text(), HasSubstr(R"(looks_total{result="error"} 1)"));
  EXPECT_THAT(text(), HasSubstr("multinet_agent_repairs_total 2"));
}

// Every door of the agent, each call of it once.
void passAll(Metrics& metrics, const Clock& clock) {
  attach::FakeAttachEngine engine;
  MeasuredEngine kernel(engine, metrics, clock);
  kernel.attach(IntentId("i"), Fd(), {}, nullptr, [](const auto&) {});
  kernel.detach(IntentId("i"), std::nullopt, [](const Status&) {});
  EXPECT_TRUE(kernel.observe(std::nullopt));
  EXPECT_TRUE(kernel.observeAll());

  journal::FakeJournal disk;
  MeasuredJournal journal(disk, metrics, clock);
  journal.load([](const auto&) {});
  journal.put({}, journal::Durability::Synced, [](const Status&) {});
  journal.put({}, journal::Durability::Relaxed, [](const Status&) {});
  journal.erase(IntentId(""), [](const Status&) {});

  sandbox::FakeRuntime containerd;
  MeasuredRuntime runtime(containerd, metrics, clock);
  sandbox::RunRequest request;
  request.pod = {PodUid("uid"), "default", "web", 0};
  runtime.runPodSandbox(request, {}, [](const auto&) {});
  runtime.listPodSandboxes({}, [](const auto&) {});
  runtime.sandboxNetns(SandboxId("s1"), {}, [](const auto&) {});
  runtime.stopPodSandbox(SandboxId("s1"), {}, [](const Status&) {});
  runtime.removePodSandbox(SandboxId("s1"), {}, [](const Status&) {});
}

TEST_F(MetricsTest, CountsAndTimesEveryDoor) {
  FakeClock clock;
  passAll(metrics_, clock);
  metrics_.passed("journal", "put", Code::Unavailable, seconds(3));
  const std::string all = text();
  for (const char* labels : {
           R"({call="attach",code="Ok",door="kernel"} 1)",
           R"({call="detach",code="Ok",door="kernel"})",
           R"({call="observe",code="Ok",door="kernel"})",
           R"({call="observe-all",code="Ok",door="kernel"})",
           R"({call="load",code="Ok",door="journal"})",
           R"({call="put-synced",code="Ok",door="journal"})",
           R"({call="put",code="Unavailable",door="journal"})",
           R"({call="erase",code="Ok",door="journal"})",
           R"({call="RunPodSandbox",code="Ok",door="runtime"})",
           R"({call="ListPodSandbox",code="Ok",door="runtime"})",
           R"({call="StopPodSandbox",code="Ok",door="runtime"})",
           R"({call="RemovePodSandbox",code="Ok",door="runtime"})",
           R"(call="netns")",
       }) {
    EXPECT_THAT(all, HasSubstr(std::string(labels)));
  }
  EXPECT_THAT(all, HasSubstr(R"(door_seconds_sum{call="put",door="journal"} 3)"));
}

/// Words of the form `multinet_agent_...` in backquotes: what the page lists.
std::set<std::string> documented() {
  std::stringstream page;
  page << std::ifstream(MULTINET_SOURCE_DIR "/docs/metrics.md").rdbuf();
  const std::string text = page.str();
  std::set<std::string> names;
  const std::regex row(R"(\n\| `(multinet_agent_\w+)` \|)");
  for (std::sregex_iterator at(text.begin(), text.end(), row), end; at != end; ++at) {
    names.insert((*at)[1]);
  }
  return names;
}

TEST_F(MetricsTest, ThePageListsThemAllAndNoOther) {
  FakeClock clock;
  passAll(metrics_, clock);
  metrics_.called("", 0);
  metrics_.apiCalled({"get", "namespaces", 200, seconds(2)});
  metrics_.stopped("held", seconds(3));
  gauges_.watches = {{"pods", seconds(1)}};
  gauges_.lanes.push_back({.name = "sandbox"});
  gauges_.drops = {{"arp", 1}};
  std::istringstream lines(text());
  std::set<std::string> shown;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) shown.insert(line.substr(7, line.find(' ', 7) - 7));
  }
  EXPECT_EQ(shown, documented());
}

}  // namespace
}  // namespace multinet::agent
