#include "webhook/admission/review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace multinet::webhook {
namespace {

using testing::HasSubstr;

http::Response post(const std::string& body, Verdict verdict = {}) {
  return answerReview(body, [&](const Review&) { return verdict; });
}

nlohmann::json good() {
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "u1"},
            {"operation", "CREATE"},
            {"namespace", "shop"},
            {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
            {"object", {{"metadata", {{"name", "web"}}}}}}}};
}

TEST(ReviewTest, AnswersWithTheUidAndThePatch) {
  Verdict verdict;
  verdict.patch = {{{"op", "add"}, {"path", "/a"}, {"value", 1}}};
  verdict.warnings = {"careful"};
  const auto answer = post(good().dump(), verdict);
  EXPECT_EQ(answer.status, 200U);
  const auto json = nlohmann::json::parse(answer.body);
  EXPECT_EQ(json["kind"], "AdmissionReview");
  EXPECT_EQ(json["response"]["uid"], "u1");
  EXPECT_EQ(json["response"]["allowed"], true);
  EXPECT_EQ(json["response"]["patchType"], "JSONPatch");
  EXPECT_EQ(json["response"]["patch"], "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2EiLCJ2YWx1ZSI6MX1d");
  EXPECT_EQ(json["response"]["warnings"][0], "careful");
}

TEST(ReviewTest, ARefusalCarriesNoPatch) {
  auto verdict = Verdict::refuse(422, "Invalid", "spec.mtu: \"9\" is too small");
  verdict.patch = {{{"op", "add"}, {"path", "/a"}, {"value", 1}}};
  const auto json = nlohmann::json::parse(post(good().dump(), verdict).body);
  EXPECT_EQ(json["response"]["allowed"], false);
  EXPECT_EQ(json["response"]["status"]["code"], 422);
  EXPECT_THAT(json["response"]["status"]["message"], HasSubstr("spec.mtu"));
  EXPECT_FALSE(json["response"].contains("patch"));
}

TEST(ReviewTest, PatchesOfEveryLengthArePaddedRight) {
  for (const auto& [value, end] : {std::pair("", "\"}]"), {"a", "\"}]"}, {"ab", "\"}]"}}) {
    Verdict verdict;
    verdict.patch = {{{"v", value}}};
    const auto json = nlohmann::json::parse(post(good().dump(), verdict).body);
    EXPECT_EQ(json["response"]["patch"].get<std::string>().size() % 4, 0U) << value << end;
  }
}

TEST(ReviewTest, RefusesWhatIsNoReview) {
  const auto without = [](const char* pointer) {
    auto review = good();
    const nlohmann::json::json_pointer path(pointer);
    review[path.parent_pointer()].erase(path.back());
    return review.dump();
  };
  const auto with = [](const char* pointer, const nlohmann::json& value) {
    auto review = good();
    review[nlohmann::json::json_pointer(pointer)] = value;
    return review.dump();
  };
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += R"({"a":)";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "read JSON"},
      {"hello", "read JSON"},
      {"[]", "no JSON object"},
      {"null", "no JSON object"},
      {"{}", "want AdmissionReview"},
      {deep, "read JSON"},
      {with("/apiVersion", "admission.k8s.io/v1beta1"), "want admission.k8s.io/v1"},
      {with("/kind", "Pod"), "want AdmissionReview"},
      {with("/request", "x"), "request is missing"},
      {without("/request"), "request is missing"},
      {without("/request/uid"), "request.uid is missing"},
      {with("/request/uid", ""), "request.uid is missing"},
      {with("/request/uid", 5), "request.uid is missing"},
      {with("/request/operation", "PATCH"), "none of CREATE"},
      {without("/request/resource"), "request.resource is missing"},
      {good().dump().substr(0, 100), "read JSON"},
      {R"({"kind":"AdmissionReview","kind":"AdmissionReview"})", "key \"kind\" stands twice"},
      {R"({"a":[{"b":{"c":1,"d":2,"c":3}}]})", "key \"c\" stands twice"},
      {"{\"kind\":\"\xff\xfe\"}", "UTF-8"}};
  for (const auto& [body, message] : cases) {
    const auto answer = post(body);
    EXPECT_EQ(answer.status, 400U) << body.substr(0, 200);
    EXPECT_THAT(answer.body, HasSubstr(message)) << body.substr(0, 200);
  }
  EXPECT_EQ(post(good().dump()).status, 200U) << "the parser works on after what was bad";
}

TEST(ReviewTest, ObjectsNeedNotBeThere) {
  auto review = good();
  review["request"]["object"] = nullptr;
  review["request"]["operation"] = "DELETE";
  EXPECT_EQ(post(review.dump()).status, 200U);
}

}  // namespace
}  // namespace multinet::webhook
