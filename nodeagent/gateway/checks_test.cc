#include "nodeagent/gateway/checks.h"

#include <gmock/gmock.h>

#include "lib/api/service.h"

namespace multinet::agent::gateway {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

api::HealthCheck httpCheck(std::int32_t failures = 3, std::int32_t successes = 1) {
  api::HealthCheck how;
  how.httpGet = api::HttpGetCheck{{80, ""}, "/healthz"};
  how.failureThreshold = failures;
  how.successThreshold = successes;
  return how;
}

Check checkOf(const std::string& address = "10.20.0.5") {
  Check check;
  check.target = {IpAddress::parse(address).value(), 80};
  check.how = httpCheck();
  return check;
}

TEST(Verdict, NeedsItsThresholdsInARow) {
  Verdict verdict;
  const auto how = httpCheck(3, 2);
  const Answer good{true, "Answered", "a"};
  const Answer bad{false, "Refused", "b"};
  EXPECT_FALSE(verdict.hear(good, how));
  EXPECT_FALSE(verdict.now()) << "one of two";
  EXPECT_TRUE(verdict.hear(good, how));
  EXPECT_TRUE(verdict.now()->healthy);
  EXPECT_FALSE(verdict.hear(bad, how));
  EXPECT_FALSE(verdict.hear(bad, how));
  EXPECT_FALSE(verdict.hear(good, how)) << "not in a row";
  EXPECT_FALSE(verdict.hear(bad, how));
  EXPECT_FALSE(verdict.hear(bad, how));
  EXPECT_TRUE(verdict.hear(bad, how));
  EXPECT_FALSE(verdict.now()->healthy);
  EXPECT_EQ(verdict.now()->reason, "Refused");
  EXPECT_FALSE(verdict.hear({false, "TimedOut", "c"}, how)) << "no other verdict, no write";
  EXPECT_EQ(verdict.now()->message, "b");
}

TEST(Judge, GoesByTheStatus) {
  const Check check = checkOf();
  EXPECT_FALSE(judge(check, ""));
  EXPECT_FALSE(judge(check, "HTTP/1.1 20"));
  EXPECT_TRUE(judge(check, "HTTP/1.1 200 OK\r\n")->healthy);
  EXPECT_TRUE(judge(check, "HTTP/1.0 399")->healthy);
  EXPECT_EQ(judge(check, "HTTP/1.1 503 Service")->message, "GET http://10.20.0.5:80/healthz: 503");
  EXPECT_FALSE(judge(check, "HTTP/1.1 503 Service")->healthy);
  EXPECT_EQ(judge(check, "SSH-2.0")->reason, "NoHttp");
  EXPECT_EQ(judge(check, "HTTP/1.1 2x0 ")->reason, "NoHttp");
  EXPECT_EQ(textOf(checkOf("fd00:20::5")), "GET http://[fd00:20::5]:80/healthz");
  EXPECT_THAT(requestOf(check), testing::StartsWith("GET /healthz HTTP/1.1\r\nHost: 10.20.0.5:80"));
}

TEST(Judge, MessagesFitIntoTheSetThatTellsThem) {
  Check check = checkOf("fd00:20:1111:2222:3333:4444:5555:6666");
  check.how.httpGet->path = "/" + std::string(api::kMostCheckPath - 1, 'a');
  check.how.httpGet->scheme = api::HttpScheme::HTTPS;
  EXPECT_THAT(textOf(check), testing::StartsWith("GET https://[fd00:20:1111"));
  EXPECT_THAT(textOf(check), testing::EndsWith("aaa..."));
  EXPECT_LT(textOf(check).size(), 512U);
  EXPECT_THAT(requestOf(check), testing::HasSubstr(check.how.httpGet->path + " HTTP/1.1"));
  check.how.httpGet.reset();
  check.how.grpc = api::GrpcCheck{{80, ""}, std::string(api::kMostGrpcService, 'a')};
  EXPECT_LT(textOf(check).size(), 512U);
}

TEST(Checks, AreOfThisNodesPodsOnce) {
  k8s::Service service;
  service.metadata.name = "web";
  service.metadata.uid = "svc";
  EXPECT_FALSE(isChecked(service));
  service.metadata.annotations = {
      {api::kHealthCheckAnnotation, api::spellHealthCheck(httpCheck())}};
  EXPECT_TRUE(isChecked(service));
  const auto endpointOf = [](const std::string& address, const std::string& pod,
                             const std::string& node) {
    k8s::Endpoint one;
    one.addresses = {address};
    one.targetRef = k8s::ObjectReference{"Pod", "shop", pod, "uid-" + pod};
    one.nodeName = node;
    return one;
  };
  auto four = std::make_shared<k8s::EndpointSlice>();
  four->metadata.labels = {{api::kManagedByLabel, api::kServiceManager}};
  four->addressType = "IPv4";
  four->endpoints = {endpointOf("10.20.0.5", "a", "n1"), endpointOf("10.20.0.6", "b", "n2"),
                     endpointOf("10.20.0.7", "gone", "n1")};
  auto six = std::make_shared<k8s::EndpointSlice>(*four);
  six->addressType = "IPv6";
  six->endpoints = {endpointOf("fd00::5", "a", "n1")};
  auto pod = std::make_shared<k8s::Pod>();
  pod->metadata.uid = "uid-a";
  const auto checks = checksOf(service, {four, six}, NetworkUid("net"), NodeName("n1"), {pod});
  ASSERT_THAT(checks, SizeIs(1));
  EXPECT_EQ(checks[0].pod.str(), "uid-a");
  EXPECT_EQ(checks[0].serviceUid, "svc");
  EXPECT_EQ(checks[0].target.address.str(), "10.20.0.5");
  EXPECT_EQ(checks[0].target.port, 80);
  const auto asked = [&](const endpoints::Slices& slices) {
    return checksOf(service, slices, NetworkUid("net"), NodeName("n1"), {pod}).at(0).target.address;
  };
  EXPECT_EQ(asked({six, four}).str(), "10.20.0.5");
  service.spec.ipFamilies = {"IPv6", "IPv4"};
  EXPECT_EQ(asked({four, six}).str(), "fd00::5");
  EXPECT_EQ(asked({four}).str(), "10.20.0.5") << "it has no other";
  service.metadata.annotations = {{api::kHealthCheckAnnotation, "{nonsense"}};
  EXPECT_THAT(checksOf(service, {four}, NetworkUid("net"), NodeName("n1"), {pod}), IsEmpty());
}

}  // namespace
}  // namespace multinet::agent::gateway
