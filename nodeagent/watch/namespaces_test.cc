#include "nodeagent/watch/namespaces.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "lib/base/fake_clock.h"

namespace multinet::agent::watch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLongEnough(10);

/// An API server of which the test says what it answers, and for which names it hangs.
class FakeServer {
 public:
  ~FakeServer() { release(); }
  Result<k8s::StringMap> fetch(const std::string& name) {
    std::unique_lock lock(mutex_);
    ++fetches_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !hung_.contains(name); });
    if (error_) return fail(*error_);
    return labels_;
  }
  void hang(const std::string& name) {
    const std::lock_guard lock(mutex_);
    hung_.insert(name);
  }
  void release() {
    const std::lock_guard lock(mutex_);
    hung_.clear();
    changed_.notify_all();
  }
  void answer(k8s::StringMap labels, std::optional<Error> error = {}) {
    const std::lock_guard lock(mutex_);
    labels_ = std::move(labels);
    error_ = std::move(error);
  }
  int fetches() {
    const std::lock_guard lock(mutex_);
    return fetches_;
  }
  bool waitFetches(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLongEnough, [&] { return fetches_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> hung_;
  k8s::StringMap labels_ = {{"team", "a"}};
  std::optional<Error> error_;
  int fetches_ = 0;
};

class NamespacesTest : public testing::Test {
 protected:
  std::future<Status> ask(const std::string& name) {
    const auto promise = std::make_shared<std::promise<Status>>();
    namespaces_.need(name, [promise](Status status) { promise->set_value(std::move(status)); });
    return promise->get_future();
  }
  Status need(const std::string& name) {
    auto answer = ask(name);
    if (answer.wait_for(kLongEnough) == std::future_status::ready) return answer.get();
    return fail(Code::DeadlineExceeded, "NoAnswer", name);
  }
  std::string team(const std::string& name) {
    const auto labels = namespaces_.labels(name);
    return labels ? labels->at("team") : "";
  }

  FakeClock clock_;
  FakeServer server_;
  Namespaces namespaces_{{.patience = milliseconds(20), .workers = 3},
                         clock_,
                         [this](const std::string& name) { return server_.fetch(name); }};
};

TEST_F(NamespacesTest, FetchesWhatIsUnknownAndTrustsWhatIsFresh) {
  EXPECT_FALSE(namespaces_.labels("red").has_value());
  ASSERT_TRUE(need("red"));
  EXPECT_EQ(team("red"), "a");
  server_.answer({{"team", "b"}});
  clock_.advance(seconds(29));
  ASSERT_TRUE(need("red"));
  EXPECT_EQ(server_.fetches(), 1);
  clock_.advance(seconds(2));
  ASSERT_TRUE(need("red"));
  EXPECT_EQ(team("red"), "b") << "a server that answers is heard before the labels decide";
}

TEST_F(NamespacesTest, KnownLabelsDecideWhileTheServerHangs) {
  ASSERT_TRUE(need("red"));
  server_.hang("red");
  clock_.advance(std::chrono::hours(5));
  for (int call = 0; call < 3; ++call) {
    auto answer = ask("red");
    EXPECT_EQ(answer.wait_for(milliseconds(0)), std::future_status::timeout);
    clock_.advance(milliseconds(20));
    ASSERT_EQ(answer.wait_for(kLongEnough), std::future_status::ready);
    EXPECT_TRUE(answer.get());
  }
  ASSERT_TRUE(server_.waitFetches(2));
  EXPECT_EQ(server_.fetches(), 2) << "one at a time";
  server_.answer({{"team", "b"}});
  server_.release();
  while (team("red") != "b") std::this_thread::yield();  // what came late counts for the next
}

TEST_F(NamespacesTest, OneThatHangsHoldsUpNoOther) {
  server_.hang("red");
  server_.hang("green");
  auto red = ask("red");
  auto green = ask("green");
  ASSERT_TRUE(server_.waitFetches(2));
  EXPECT_TRUE(need("blue"));
  EXPECT_EQ(red.wait_for(milliseconds(0)), std::future_status::timeout)
      << "nothing is known of it: only its own caller waits";
  server_.release();
  EXPECT_TRUE(red.get());
  EXPECT_TRUE(green.get());
}

TEST_F(NamespacesTest, TellsWhatItCannotKnowAndForgetsWhatIsGone) {
  server_.answer({}, Error{Code::Unavailable, "NamespaceNotRead", "away"});
  EXPECT_EQ(need("red").error().code, Code::Unavailable);
  server_.answer({{"team", "a"}});
  ASSERT_TRUE(need("red"));
  clock_.advance(seconds(31));
  server_.answer({}, Error{Code::PermissionDenied, "NamespaceNotRead", "forbidden"});
  EXPECT_TRUE(need("red")) << "rights that are lost take nothing that was known";
  server_.answer({}, Error{Code::NotFound, "NamespaceNotRead", "gone"});
  EXPECT_EQ(need("red").error().code, Code::NotFound);
  EXPECT_FALSE(namespaces_.labels("red").has_value());
}

}  // namespace
}  // namespace multinet::agent::watch
