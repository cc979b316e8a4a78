#include "lib/api/health_check.h"

#include <gmock/gmock.h>

namespace multinet::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

HealthCheck byHttp() {
  HealthCheck check;
  check.httpGet = HttpGetCheck{{0, "web"}, "/healthz"};
  return check;
}

std::vector<std::string> sentencesOf(const HealthCheck& check) {
  std::vector<std::string> sentences;
  for (const auto& one : validate(check, "spec.healthCheck").violations) {
    sentences.push_back(one.str());
  }
  return sentences;
}

TEST(HealthCheck, IsSpelledAsInTheSpecAndReadBack) {
  auto check = byHttp();
  check.periodSeconds = 5;
  check.timeoutSeconds = 1;
  const auto text = spellHealthCheck(check);
  EXPECT_EQ(text,
            R"({"httpGet":{"path":"/healthz","port":"web"},"periodSeconds":5,"timeoutSeconds":1})");
  const auto read = parseHealthCheck(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, check);
  EXPECT_EQ(read->port(), (k8s::IntOrString{0, "web"}));
  EXPECT_EQ(read->failures(), 3);
  EXPECT_EQ(read->successes(), 1);

  HealthCheck bySocket;
  bySocket.tcpSocket = TcpSocketCheck{{8080, ""}};
  EXPECT_EQ(spellHealthCheck(bySocket), R"({"tcpSocket":{"port":8080}})");
  EXPECT_EQ(parseHealthCheck(spellHealthCheck(bySocket))->port().number, 8080);

  HealthCheck byGrpc;
  byGrpc.grpc = GrpcCheck{{0, "api"}, "shop.v1.Cart"};
  EXPECT_EQ(spellHealthCheck(byGrpc), R"({"grpc":{"port":"api","service":"shop.v1.Cart"}})");
  EXPECT_EQ(parseHealthCheck(spellHealthCheck(byGrpc)), byGrpc);
  EXPECT_EQ(byGrpc.port().name, "api");

  HealthCheck byHttps;
  byHttps.httpGet = HttpGetCheck{{443, ""}, "", HttpScheme::HTTPS};
  EXPECT_EQ(spellHealthCheck(byHttps), R"({"httpGet":{"port":443,"scheme":"HTTPS"}})");
  EXPECT_EQ(parseHealthCheck(spellHealthCheck(byHttps)), byHttps);
}

TEST(HealthCheck, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"httpGet":{}})", R"({"grpc":{"service":"a"}})",
        R"({"httpGet":{"port":80,"scheme":"https"}})", R"({"exec":{"command":["true"]}})",
        R"({"tcpSocket":{"port":80},"periodSeconds":"x"})"}) {
    EXPECT_FALSE(parseHealthCheck(text)) << text;
  }
  EXPECT_THAT(parseHealthCheck(R"({"tcpSocket":{"port":80},"periodSeconds":0})").error().message,
              HasSubstr("multinet.dev/health-check.periodSeconds: \"0\" is out of range"));
}

TEST(HealthCheck, EachRuleNamesFieldAndRemedy) {
  EXPECT_THAT(sentencesOf(byHttp()), IsEmpty());
  auto bad = byHttp();
  bad.tcpSocket = TcpSocketCheck{{80, ""}};
  EXPECT_THAT(sentencesOf(bad), ElementsAre("spec.healthCheck: has more than one of httpGet, "
                                            "tcpSocket and grpc; write one of them, with a port"));
  EXPECT_THAT(sentencesOf({}), ElementsAre(HasSubstr("has none of httpGet, tcpSocket and grpc")));
  HealthCheck byGrpc;
  byGrpc.grpc = GrpcCheck{{80, ""}, ""};
  EXPECT_THAT(sentencesOf(byGrpc), IsEmpty());
  byGrpc.tcpSocket = TcpSocketCheck{{80, ""}};
  EXPECT_THAT(sentencesOf(byGrpc), ElementsAre(HasSubstr("has more than one of")));
  byGrpc.tcpSocket.reset();
  byGrpc.grpc->port = {0, "no_port"};
  EXPECT_THAT(sentencesOf(byGrpc), ElementsAre(HasSubstr("spec.healthCheck.grpc.port")));
  for (const auto& name : {std::string("a b"), std::string("\n"), std::string(257, 'a')}) {
    byGrpc.grpc = GrpcCheck{{80, ""}, name};
    EXPECT_THAT(sentencesOf(byGrpc), ElementsAre(HasSubstr("is no service's name")));
  }
  for (const k8s::IntOrString& port :
       {k8s::IntOrString{}, {65536, ""}, {-1, ""}, {0, "WEB"}, {0, "a-name-too-long1"}}) {
    bad = byHttp();
    bad.httpGet->port = port;
    EXPECT_THAT(sentencesOf(bad), ElementsAre(HasSubstr("spec.healthCheck.httpGet.port: \"" +
                                                        port.str() + "\" is no port")));
  }
  for (const char* path : {"healthz", "/a b", "/a\r\nX: y", "/\xc3\xa9", "/a#b"}) {
    bad = byHttp();
    bad.httpGet->path = path;
    EXPECT_THAT(sentencesOf(bad), ElementsAre(HasSubstr("spec.healthCheck.httpGet.path")));
  }
  bad.httpGet->path = "/" + std::string(kMostCheckPath, 'a');
  EXPECT_THAT(sentencesOf(bad), ElementsAre(HasSubstr("is no path")));
  bad = byHttp();
  bad.periodSeconds = 0;
  bad.timeoutSeconds = 301;
  bad.failureThreshold = 11;
  bad.successThreshold = -1;
  EXPECT_THAT(sentencesOf(bad), ElementsAre(HasSubstr("periodSeconds: \"0\" is out of range"),
                                            HasSubstr("timeoutSeconds: \"301\" is out of range"),
                                            HasSubstr("failureThreshold: \"11\""),
                                            HasSubstr("successThreshold: \"-1\"")));
  bad = byHttp();
  bad.timeoutSeconds = 6;
  EXPECT_THAT(sentencesOf(bad), ElementsAre("spec.healthCheck.timeoutSeconds: \"6\" is over "
                                            "periodSeconds, 5; write at most as much"));
}

TEST(HealthCheck, APortByNameIsAContainersOrASidecars) {
  k8s::PodSpec pod;
  pod.containers = {{{{"dns", 53, "UDP"}, {"web", 8080, ""}}, ""}, {{{"web", 81, "TCP"}}, ""}};
  pod.initContainers =
      std::vector<k8s::Container>{{{{"setup", 1, ""}}, ""}, {{{"proxy", 15000, "TCP"}}, "Always"}};
  EXPECT_EQ(tcpPortOf(pod, {0, "web"}), 8080);
  EXPECT_EQ(tcpPortOf(pod, {0, "proxy"}), 15000);
  EXPECT_EQ(tcpPortOf(pod, {0, "setup"}), std::nullopt) << "it has ended";
  EXPECT_EQ(tcpPortOf(pod, {0, "dns"}), std::nullopt) << "another protocol";
  EXPECT_EQ(tcpPortOf(pod, {7, ""}), 7);
}

}  // namespace
}  // namespace multinet::api
