// Reviews on a server that lags, hangs or is asked too much.
#include "webhook/reviews.h"

#include <gtest/gtest.h>

#include <future>

#include "lib/api/test_objects.h"
#include "test/support/apiserver.h"
#include "webhook/admission/fake_view.h"

namespace multinet::webhook {
namespace {

using api::testing::goodNetwork;
using multinet::testing::ApiServer;
using multinet::testing::Fault;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Refuses whatever is called as no network is; `bad` is no object, `greedy` asks for much more,
/// and what is `chosen` had better be looked at, and has a warning by those that are called so.
Verdict needsItsName(const Review& review, const View& view) {
  if (review.name == "bad") return Verdict::refuse(400, "BadRequest", "object is missing");
  if (review.name == "greedy") {
    for (int i = 0; i < 16; ++i) static_cast<void>(view.network("net-" + std::to_string(i)));
  }
  if (review.name == "chosen") {
    Verdict verdict;
    verdict.behind = true;
    if (view.network("chosen")) verdict.warnings.emplace_back("by the server's word");
    return verdict;
  }
  return view.network(review.name) ? Verdict{} : Verdict::refuse(422, "Invalid", "no network");
}

class ReviewsTest : public ::testing::Test {
 protected:
  ReviewsTest() { start({}); }

  void start(ReviewOptions options) {
    reviews_ =
        std::make_unique<Reviews>(client_->raw().transport(), caches_, kSystemClock, options);
    handler_ = reviews_->handler(needsItsName,
                                 [this](const Review&, const Verdict&, Duration) { ++verdicts_; });
  }
  static std::unique_ptr<kube::Client> connect(const ApiServer& server) {
    kube::Config config;
    config.server = server.url();
    return kube::connect(config).value();
  }
  std::future<nlohmann::json> ask(const std::string& name, const std::string& nameSpace = "shop",
                                  const std::string& resource = "pods") {
    const nlohmann::json review = {
        {"apiVersion", "admission.k8s.io/v1"},
        {"kind", "AdmissionReview"},
        {"request",
         {{"uid", "u1"},
          {"operation", "CREATE"},
          {"namespace", nameSpace},
          {"name", name},
          {"resource", {{"group", ""}, {"version", "v1"}, {"resource", resource}}},
          {"object", nlohmann::json::object()}}}};
    auto promise = std::make_shared<std::promise<nlohmann::json>>();
    auto answer = promise->get_future();
    http::Request request;
    request.body = review.dump();
    handler_(request, [promise](const http::Response& response) {
      promise->set_value(nlohmann::json::parse(response.body)["response"]);
    });
    return answer;
  }
  static bool isReady(const std::future<nlohmann::json>& answer, Duration within = {}) {
    return answer.wait_for(within) == std::future_status::ready;
  }
  void hang() { server_.inject({Fault::Stall, "GET", "podnetworks", 1000}); }

  ApiServer server_;
  std::unique_ptr<kube::Client> client_ = connect(server_);
  FakeView caches_;
  std::atomic<int> verdicts_ = 0;
  std::unique_ptr<Reviews> reviews_;
  http::AsyncHandler handler_;
};

TEST_F(ReviewsTest, NobodyIsRefusedByACacheAlone) {
  EXPECT_FALSE(ask("blue").get()["allowed"]);
  ASSERT_TRUE(client_->create(goodNetwork("blue")));
  EXPECT_TRUE(ask("blue").get()["allowed"]);
  EXPECT_EQ(verdicts_, 2) << "each review counts once";
}

TEST_F(ReviewsTest, WhatTheCachesAllowOrCannotReadAsksNobodyAndIsAnsweredAtOnce) {
  caches_.catalog.networks["blue"] = goodNetwork("blue");
  const auto good = ask("blue");
  const auto bad = ask("bad");
  EXPECT_TRUE(isReady(good));
  EXPECT_TRUE(isReady(bad));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(ReviewsTest, WhatMayBeBehindIsLookedAtAndStandsWhereThereIsNoRoom) {
  start({.threads = 1, .waiting = 4, .perNamespace = 1});
  ASSERT_TRUE(client_->create(goodNetwork("chosen")));
  EXPECT_TRUE(ask("chosen").get().contains("warnings"));
  hang();
  auto stuck = ask("pink");
  auto busy = ask("chosen");
  ASSERT_TRUE(isReady(busy)) << "no room for another look of the namespace";
  const auto answer = busy.get();
  EXPECT_TRUE(answer["allowed"]);
  EXPECT_FALSE(answer.contains("warnings")) << "as the caches have it";
  EXPECT_TRUE(isReady(stuck, seconds(10)));
}

TEST_F(ReviewsTest, OneReviewHasOneDeadlineHoweverMuchItAsks) {
  start({.budget = milliseconds(300)});
  hang();
  const auto begin = std::chrono::steady_clock::now();
  auto answer = ask("greedy");
  ASSERT_TRUE(isReady(answer, seconds(10)));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2)) << "17 calls hang";
  EXPECT_FALSE(answer.get()["allowed"]);
}

TEST_F(ReviewsTest, LooksThatHangHoldUpNoReviewThatNeedsNone) {
  caches_.catalog.networks["blue"] = goodNetwork("blue");
  hang();
  std::vector<std::future<nlohmann::json>> stuck;
  for (int i = 0; i < 8; ++i) stuck.push_back(ask("pink", "ns-" + std::to_string(i)));
  auto good = ask("blue");
  ASSERT_TRUE(isReady(good)) << "on the thread that asked";
  EXPECT_TRUE(good.get()["allowed"]);
  for (auto& one : stuck) EXPECT_TRUE(isReady(one, seconds(10)));
}

TEST_F(ReviewsTest, WhereThereIsNoRoomTheAnswerComesAtOnceAndNoNamespaceTakesItAll) {
  start({.threads = 2, .waiting = 4, .perNamespace = 3});
  hang();
  std::vector<std::future<nlohmann::json>> stuck;
  for (int i = 0; i < 3; ++i) stuck.push_back(ask("pink", "greedy"));
  auto refused = ask("pink", "greedy");
  ASSERT_TRUE(isReady(refused));
  const auto answer = refused.get();
  EXPECT_EQ(answer["status"]["code"], 429);
  EXPECT_NE(answer["status"]["message"].get<std::string>().find("try again"), std::string::npos);
  const auto other = ask("pink", "modest");
  EXPECT_FALSE(isReady(other)) << "it got its place";
  for (int i = 0; i < 20; ++i) stuck.push_back(ask("pink", "ns-" + std::to_string(i)));
  EXPECT_TRUE(isReady(stuck.back())) << "all places are taken";
  const auto network = ask("blue", "", "podnetworks");
  EXPECT_TRUE(isReady(network)) << "never by the caches alone";
  reviews_->stop();
  for (const auto& one : stuck) EXPECT_TRUE(isReady(one)) << "nobody is left without an answer";
  EXPECT_TRUE(isReady(other));
}

}  // namespace
}  // namespace multinet::webhook
