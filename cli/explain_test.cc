#include "cli/explain.h"

#include <gtest/gtest.h>

#include "lib/api/test_objects.h"

namespace multinet::cli {
namespace {

Result<std::vector<ManifestPod>> podsOf(std::string_view text, const std::string& nameSpace) {
  MULTINET_TRY(const auto objects, readObjects(text, "pods.yaml"));
  return podsIn(objects, nameSpace);
}

TEST(PodsIn, FindsPodsWhereverWorkloadsKeepThem) {
  const auto pods = podsOf(R"(
kind: Pod
metadata: {name: p, namespace: team-a, annotations: {multinet.dev/networks: blue}}
spec: {hostNetwork: true}
---
kind: Deployment
metadata: {name: d}
spec: {template: {metadata: {annotations: {multinet.dev/networks: "red, attachment/nas"}}}}
---
kind: CronJob
metadata: {name: c}
spec: {jobTemplate: {spec: {template: {spec: {}}}}}
---
kind: List
items: [{kind: Pod, metadata: {name: q}}, {kind: ConfigMap, metadata: {name: no}}]
)",
                           "shop");
  ASSERT_TRUE(pods.has_value()) << pods.error().message;
  ASSERT_EQ(pods->size(), 4U);
  EXPECT_EQ(pods->at(0).title, "Pod team-a/p");
  EXPECT_TRUE(pods->at(0).subject.hostNetwork);
  EXPECT_EQ(pods->at(0).subject.request, "blue");
  EXPECT_EQ(pods->at(1).title, "Deployment shop/d");
  EXPECT_EQ(pods->at(1).subject.request, "red, attachment/nas");
  EXPECT_FALSE(pods->at(2).subject.request);
  EXPECT_EQ(pods->at(3).title, "Pod shop/q");
}

TEST(PodsIn, SaysWhatItCantRead) {
  EXPECT_EQ(podsOf("a: [", "x").error().reason, "InvalidYAML");
  EXPECT_EQ(podsOf("kind: ConfigMap", "x").error().reason, "NoPods");
  EXPECT_EQ(podsOf("", "x").error().reason, "NoPods");
}

TEST(DescribeExplanation, NamesTheRefusalOfAnUnknownNetwork) {
  const auto pods =
      podsOf("kind: Pod\nmetadata: {name: p, annotations: {multinet.dev/networks: nope}}", "shop");
  ASSERT_TRUE(pods.has_value());
  const ListedCatalog catalog({}, {}, {{"shop", {}}});
  const auto text = describeExplanation(pods->at(0), api::explain(pods->at(0).subject, catalog));
  EXPECT_EQ(text.find("Pod shop/p: would be refused\n"), 0U) << text;
  EXPECT_NE(text.find("\"nope\""), std::string::npos) << text;
}

TEST(DescribeExplanation, SaysThatNothingWasAskedFor) {
  const auto pods = podsOf("kind: Pod\nmetadata: {name: p}", "shop");
  ASSERT_TRUE(pods.has_value());
  const ListedCatalog catalog({}, {}, {});
  EXPECT_EQ(describeExplanation(pods->at(0), api::explain(pods->at(0).subject, catalog)),
            "Pod shop/p: asks for no networks (no annotation multinet.dev/networks), and no "
            "podSelector chooses it\n");
}

TEST(ChooseFor, TellsWhatAWorkloadsPodsGetByTheirLabels) {
  const auto pods = podsOf(R"(
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web, tier: "1"}}, spec: {}}}
---
kind: DaemonSet
metadata: {name: host}
spec: {template: {metadata: {labels: {app: web}}, spec: {hostNetwork: true}}}
)",
                           "shop");
  ASSERT_TRUE(pods.has_value());
  auto attachment = api::testing::goodAttachment("web-blue", "blue");
  attachment.metadata.nameSpace = "shop";
  attachment.spec.podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
  const std::vector<api::PodNetworkAttachment> attachments = {attachment};
  const ListedCatalog catalog({api::testing::goodNetwork("blue")}, attachments, {{"shop", {}}});

  ManifestPod web = pods->at(0);
  EXPECT_EQ(web.labels, (k8s::StringMap{{"app", "web"}, {"tier", "1"}}));
  chooseFor(web, attachments, catalog);
  const auto text = describeExplanation(web, api::explain(web.subject, catalog));
  EXPECT_EQ(text.find("Deployment shop/web: would get eth0 and\n  net1 on network blue"), 0U)
      << text;
  EXPECT_NE(text.find("\n  chosen by its labels: attachment/web-blue\n"), std::string::npos)
      << text;

  ManifestPod host = pods->at(1);
  EXPECT_EQ(chooseFor(host, attachments, catalog).onHost, std::vector<std::string>{"web-blue"});
  EXPECT_FALSE(host.subject.request);
}

}  // namespace
}  // namespace multinet::cli
