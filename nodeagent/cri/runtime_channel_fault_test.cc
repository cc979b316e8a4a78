// The agent's own calls to a runtime that is slow, large, stuck or gone.
#include "nodeagent/cri/runtime_channel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "proto/cri-multinet/internal/cri_subset.pb.h"
#include "test/support/cri/runtime.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;
using namespace std::chrono_literals;

class RuntimeChannelFault : public testing::Test {
 protected:
  RuntimeChannelFault() { runtime_.start(); }
  ~RuntimeChannelFault() override {
    channel_.reset();
    runtime_.stop();
    std::filesystem::remove_all(directory_);
  }

  std::future<RuntimeReply> call(const std::string& method, std::string message = {},
                                 Duration limit = 30s) {
    auto reply = std::make_shared<std::promise<RuntimeReply>>();
    channel_->call({method, std::move(message), clock_.now() + limit, {}},
                   [reply](RuntimeReply got) { reply->set_value(std::move(got)); });
    return reply->get_future();
  }

  std::string directory_ = [] {
    std::string name = "/tmp/multinet-channel-XXXXXX";
    return std::string(mkdtemp(name.data()));
  }();
  SystemClock clock_;
  support::Runtime runtime_{directory_};
  std::optional<RuntimeChannel> channel_{std::in_place, runtime_.endpoint(), clock_};
};

TEST_F(RuntimeChannelFault, CallsOfManyThreadsGetTheirOwnReplies) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 50;
  std::vector<std::vector<std::string>> ids(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        subset::RunPodSandboxRequest request;
        request.mutable_config()->mutable_metadata()->set_uid(std::to_string(t * kCalls + i));
        const auto got = call("RunPodSandbox", request.SerializeAsString()).get();
        ASSERT_TRUE(got.message.has_value()) << got.message.error().message;
        subset::RunPodSandboxResponse response;
        ASSERT_TRUE(response.ParseFromString(*got.message));
        ids[static_cast<std::size_t>(t)].push_back(response.pod_sandbox_id());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::map<std::string, std::string> uids;
  for (const auto& one : runtime_.sandboxes()) uids[one.id()] = one.metadata().uid();
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kCalls; ++i) {
      EXPECT_EQ(uids.at(ids[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)]),
                std::to_string(t * kCalls + i));
    }
  }
}

TEST_F(RuntimeChannelFault, AMessageLongerThanEveryWindowGoesThroughBothWays) {
  subset::RunPodSandboxRequest request;
  request.mutable_config()->mutable_metadata()->set_uid("long");
  (*request.mutable_config()->mutable_annotations())["a"] = std::string(12U << 20U, 'x');
  const std::string sent = request.SerializeAsString();
  const auto made = call("RunPodSandbox", sent).get();
  ASSERT_TRUE(made.message.has_value()) << made.message.error().message;
  EXPECT_EQ(runtime_.lastRunRequest(), sent);
  const auto list = call("ListPodSandbox").get();
  ASSERT_TRUE(list.message.has_value()) << list.message.error().message;
  EXPECT_GT(list.message->size(), std::size_t{12U << 20U});
}

TEST_F(RuntimeChannelFault, EachCallEndsByItsOwnDeadlineAndHoldsUpNoOther) {
  for (int i = 0; i < 2; ++i) runtime_.inject("Version", {.hangs = true});
  auto later = call("Version", {}, 10s);
  auto sooner = call("Version", {}, 50ms);
  const auto ended = sooner.get();
  ASSERT_FALSE(ended.message.has_value());
  EXPECT_EQ(ended.message.error().code, Code::DeadlineExceeded) << ended.message.error().message;
  EXPECT_EQ(later.wait_for(0s), std::future_status::timeout);
  EXPECT_TRUE(call("ListPodSandbox").get().message.has_value()) << "on the same connection";
  EXPECT_EQ(call("ListPodSandbox", {}, -1s).get().message.error().code, Code::DeadlineExceeded);
  channel_.reset();
  const auto dropped = later.get();
  ASSERT_FALSE(dropped.message.has_value()) << "whoever waits is told, also by the end";
  EXPECT_EQ(dropped.message.error().code, Code::Unavailable);
}

TEST_F(RuntimeChannelFault, ARuntimeThatGoesAwayEndsItsCallsAndTheNextOneServes) {
  runtime_.inject("Version", {.hangs = true});
  auto pending = call("Version");
  ASSERT_TRUE(call("ListPodSandbox").get().message.has_value());
  runtime_.stop();
  const auto ended = pending.get();
  ASSERT_FALSE(ended.message.has_value());
  const auto away = call("ListPodSandbox").get();
  ASSERT_FALSE(away.message.has_value());
  EXPECT_EQ(away.message.error().code, Code::Unavailable) << away.message.error().message;
  EXPECT_NE(away.message.error().message.find(runtime_.endpoint()), std::string::npos)
      << away.message.error().message;
  runtime_.start();
  const auto back = call("ListPodSandbox").get();
  EXPECT_TRUE(back.message.has_value());
}

TEST_F(RuntimeChannelFault, AnAnswerMayAskAgain) {
  std::promise<bool> asked;
  channel_->call({"ListPodSandbox", {}, clock_.now() + 5s, {}}, [&](const RuntimeReply& first) {
    ASSERT_TRUE(first.message.has_value());
    channel_->call({"ListPodSandbox", {}, clock_.now() + 5s, {}}, [&](const RuntimeReply& second) {
      asked.set_value(second.message.has_value());
    });
  });
  EXPECT_TRUE(asked.get_future().get());
}

}  // namespace
}  // namespace multinet::agent::cri
