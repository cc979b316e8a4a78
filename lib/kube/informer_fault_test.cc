// Informers against a server that loses, doubles, delays, cuts and forgets.
#include "lib/kube/informer.h"

#include <atomic>
#include <thread>

#include "lib/kube/compare_after.h"
#include "lib/kube/fake_kind.h"
#include "test/support/apiserver.h"

namespace multinet::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ApiServer;
using testing::Fault;

const std::string kNotes = "/apis/test.dev/v1/namespaces/default/notes";

class InformerTest : public ::testing::TestWithParam<InitialList> {
 protected:
  void SetUp() override {
    Config config;
    config.server = server_.url();
    ClientOptions options;
    options.deadline = milliseconds(500);
    client_ = connect(config, options).value();
  }
  WatchOptions options() const {
    WatchOptions options;
    options.initialList = GetParam();
    options.pageSize = 2;
    options.silence = milliseconds(400);
    options.backoffFirst = milliseconds(5);
    options.backoffMost = milliseconds(50);
    return options;
  }
  void start(WatchOptions options) {
    informer_ = std::make_unique<Informer<FakeNote>>(*client_, std::move(options));
    informer_->addHandler({[this](const FakeNote&) { ++added_; },
                           [this](const FakeNote&, const FakeNote&) { ++updated_; },
                           [this](const FakeNote&) { ++deleted_; }});
    informer_->start();
  }
  void put(const std::string& name, const std::string& text) {
    const auto answer =
        server_.store().patch(testing::ResourcePath::parse(kNotes + "/" + name),
                              {{"metadata", {{"name", name}}}, {"spec", {{"text", text}}}},
                              testing::ObjectStore::IfAbsent::Create);
    ASSERT_LT(answer.status, 300);
  }
  void remove(const std::string& name) {
    ASSERT_EQ(server_.store().remove(testing::ResourcePath::parse(kNotes + "/" + name), {}).status,
              200);
  }
  /// Waits for a state; that it comes within ten seconds is the claim.
  template <class Condition>
  bool eventually(const Condition& condition) {
    const auto until = std::chrono::steady_clock::now() + seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return true;
  }
  /// The cache equals the server.
  bool agrees() {
    const auto page = server_.store().list(testing::ResourcePath::parse(kNotes), "", "", 0, "");
    const auto& items = page.body["items"];
    if (informer_->size() != items.size()) return false;
    for (const auto& item : items) {
      const auto cached = informer_->get({"default", item["metadata"]["name"]});
      if (!cached || cached->text != item["spec"]["text"].get<std::string>()) return false;
    }
    return true;
  }
  int requestsWith(const std::string& text) {
    int count = 0;
    for (const auto& request : server_.requests()) {
      if (request.find(text) != std::string::npos) ++count;
    }
    return count;
  }

  ApiServer server_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Informer<FakeNote>> informer_;
  std::atomic<int> added_ = 0;
  std::atomic<int> updated_ = 0;
  std::atomic<int> deleted_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Lists, InformerTest,
                         ::testing::Values(InitialList::Streamed, InitialList::Paged),
                         [](const auto& tested) {
                           return tested.param == InitialList::Streamed ? "Streamed" : "Paged";
                         });

TEST_P(InformerTest, ComesSoonAfterRightsThatComeLate) {
  put("n", "text");
  // Doubling from 5 ms without another bound: more than a minute.
  server_.inject(
      {.fault = Fault::Forbidden, .method = "GET", .targetContains = "notes", .times = 14});
  auto impatient = options();
  impatient.backoffMost = seconds(60);
  impatient.backoffRefused = milliseconds(20);
  start(std::move(impatient));
  EXPECT_TRUE(informer_->waitSynced(seconds(10))) << informer_->health().lastError;
  EXPECT_EQ(informer_->health().failures, 14U);
  EXPECT_TRUE(agrees());
}

TEST_P(InformerTest, AKindThatTheServerLostAndLearntAgainIsFollowed) {
  put("a", "one");
  put("b", "one");
  auto optional = options();
  optional.isOptional = true;
  start(std::move(optional));
  ASSERT_TRUE(informer_->waitSynced(seconds(10))) << informer_->health().lastError;
  server_.inject(
      {.fault = Fault::NotFound, .method = "GET", .targetContains = "notes", .times = 6});
  server_.set(ApiServer::Presence::Away);
  server_.set(ApiServer::Presence::Here);
  ASSERT_TRUE(eventually([&] { return informer_->health().kindUnknownSince.has_value(); }));
  EXPECT_EQ(informer_->size(), 2U) << "what is known stays";
  remove("a");
  EXPECT_TRUE(eventually([&] { return agrees(); }));
  EXPECT_FALSE(informer_->health().kindUnknownSince.has_value());
}

TEST_P(InformerTest, FollowsTheServer) {
  for (int i = 0; i < 5; ++i) put("n" + std::to_string(i), "one");
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5))) << informer_->health().lastError;
  EXPECT_TRUE(agrees());
  put("n0", "two");
  put("new", "x");
  remove("n1");
  EXPECT_TRUE(eventually([&] { return agrees() && deleted_ == 1; }));
  EXPECT_EQ(added_, 6);
  EXPECT_EQ(updated_, 1);
  EXPECT_EQ(informer_->health().lists, 1U);
}

/// Notes of these texts.
Informer<FakeNote>::Other texts(const std::string& now, const std::string& added,
                                std::function<void()> done) {
  const auto selection = [](const std::string& text) {
    Selection one;
    one.fieldSelector = "spec.text=" + text;
    return one;
  };
  Informer<FakeNote>::Other other;
  if (now != "any") other.now = selection(now);
  if (!added.empty()) other.added = selection(added);
  other.has = [now](const FakeNote& note) { return now == "any" || note.text == now; };
  other.done = std::move(done);
  return other;
}

TEST_P(InformerTest, GoesOnWithAnotherSelectionAndListsWhatIsNewInIt) {
  put("a", "red");
  put("b", "blue");
  auto red = options();
  red.selection.fieldSelector = "spec.text=red";
  start(red);
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  ASSERT_EQ(informer_->size(), 1U);
  const auto known = informer_->get({"default", "a"});
  std::atomic<int> done = 0;
  informer_->select(texts("any", "blue", [&] { ++done; }));
  ASSERT_TRUE(eventually([&] { return done == 1; }));
  EXPECT_TRUE(agrees());
  EXPECT_EQ(informer_->get({"default", "a"}), known) << "the very object";
  EXPECT_EQ(deleted_, 0);
  put("c", "green");
  remove("b");
  EXPECT_TRUE(eventually([&] { return agrees() && deleted_ == 1; }));

  // Nothing is new, so nothing is listed.
  const int lists = requestsWith("limit=");
  informer_->select(texts("red", "", [&] { ++done; }));
  ASSERT_TRUE(eventually([&] { return done == 2; }));
  EXPECT_EQ(informer_->size(), 1U);
  EXPECT_EQ(deleted_, 2) << "what isn't selected any more";
  put("d", "green");
  put("e", "red");
  ASSERT_TRUE(eventually([&] { return informer_->get({"default", "e"}) != nullptr; }));
  EXPECT_EQ(informer_->get({"default", "d"}), nullptr);
  EXPECT_EQ(requestsWith("limit="), lists);
  EXPECT_EQ(informer_->health().lists, 1U);
  EXPECT_EQ(informer_->health().failures, 0U);
}

TEST_P(InformerTest, TakesUpAnotherSelectionHoweverTheServerFails) {
  put("a", "red");
  put("b", "blue");
  for (const auto fault : {Fault::InternalError, Fault::Stall, Fault::EventCut}) {
    auto red = options();
    red.selection.fieldSelector = "spec.text=red";
    start(red);
    ASSERT_TRUE(informer_->waitSynced(seconds(5)));
    server_.inject({fault, "GET", "notes", 1});
    std::atomic<bool> done = false;
    informer_->select(texts("any", "blue", [&] { done = true; }));
    ASSERT_TRUE(eventually([&] { return done.load(); })) << static_cast<int>(fault);
    EXPECT_TRUE(agrees()) << static_cast<int>(fault);
    put("a", "red");
    put("c" + std::to_string(static_cast<int>(fault)), "blue");
    EXPECT_TRUE(eventually([&] { return agrees(); })) << static_cast<int>(fault);
    informer_->stop();
  }
}

/// Also before its first list, and after one that is too old to go on from.
TEST_P(InformerTest, ListsAnotherSelectionWholeWhereItHasNothingToGoOnFrom) {
  put("a", "red");
  put("b", "blue");
  auto red = options();
  red.selection.fieldSelector = "spec.text=red";
  start(red);
  std::atomic<int> done = 0;
  informer_->select(texts("blue", "blue", [&] { ++done; }));
  ASSERT_TRUE(eventually([&] { return done == 1; }));
  EXPECT_EQ(informer_->size(), 1U);
  EXPECT_NE(informer_->get({"default", "b"}), nullptr);

  server_.set(ApiServer::Presence::Away);
  put("c", "red");
  remove("b");
  server_.store().compact();
  server_.set(ApiServer::Presence::Here);
  informer_->select(texts("any", "red", [&] { ++done; }));
  EXPECT_TRUE(eventually([&] { return done == 2 && agrees(); }));
}

TEST_P(InformerTest, IsSyncedWithAnEmptyServerToo) {
  start(options());
  EXPECT_TRUE(informer_->waitSynced(seconds(5))) << informer_->health().lastError;
  EXPECT_EQ(informer_->size(), 0U);
}

struct Mishap {
  Fault fault;
  std::string target;
};

TEST_P(InformerTest, ConvergesThroughFaultsOfTheWatch) {
  for (const auto fault : {Fault::EventDoubled, Fault::EventDelayed, Fault::EventCut, Fault::Stall,
                           Fault::InternalError, Fault::TooManyRequests}) {
    server_.inject({fault, "GET", "watch=1", 1});
    put("a", "before");
    start(options());
    ASSERT_TRUE(informer_->waitSynced(seconds(8))) << static_cast<int>(fault);
    put("a", "after" + std::to_string(static_cast<int>(fault)));
    put("b" + std::to_string(static_cast<int>(fault)), "x");
    EXPECT_TRUE(eventually([&] { return agrees(); })) << static_cast<int>(fault);
    informer_->stop();
  }
}

TEST_P(InformerTest, FindsALostEventByComparing) {
  put("a", "one");
  server_.inject({Fault::EventLost, "GET", "watch=1", 1});
  auto brief = options();
  brief.compareEvery = milliseconds(300);
  brief.lifetime = milliseconds(500);
  start(brief);
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  remove("a");
  EXPECT_TRUE(eventually([&] { return deleted_ == 1; }));
}

/// A list is paid for by the time until the next: what is large is seldom listed to compare.
TEST_P(InformerTest, ComparesWhatIsLargeLessOften) {
  put("a", std::string(200000, 'x'));
  auto brief = options();
  brief.compareEvery = milliseconds(1);
  brief.lifetime = milliseconds(500);
  brief.silence = seconds(5);
  start(brief);
  ASSERT_TRUE(informer_->waitSynced(seconds(5))) << informer_->health().lastError;
  const auto watches = informer_->health().watches;
  ASSERT_TRUE(eventually([&] { return informer_->health().watches >= watches + 2; }));
  EXPECT_EQ(informer_->health().lists, 1U);
}

TEST(CompareAfter, IsPaidForByTime) {
  const std::chrono::minutes every(30);
  EXPECT_EQ(compareAfter(every, 0), every);
  EXPECT_EQ(compareAfter(every, kCompareBytes * 1800), every);
  EXPECT_EQ(compareAfter(every, kCompareBytes * 7200), std::chrono::hours(2));
}

TEST_P(InformerTest, NoticesAWatchThatFellSilent) {
  server_.inject({Fault::Silence, "GET", "watch=1", 1});
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  put("a", "unheard");
  EXPECT_TRUE(eventually([&] { return agrees(); }));
  EXPECT_GE(informer_->health().failures, 1U);
}

TEST_P(InformerTest, ListsAgainAfterCompaction) {
  put("a", "one");
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  server_.set(ApiServer::Presence::Away);
  put("b", "two");
  remove("a");
  server_.store().compact();
  server_.set(ApiServer::Presence::Here);
  EXPECT_TRUE(eventually([&] { return agrees() && deleted_ == 1; }));
  EXPECT_GE(informer_->health().lists, 2U);
}

TEST_P(InformerTest, KeepsItsCacheWhileTheServerIsAwayAndDoesNotHammerIt) {
  put("a", "one");
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  server_.inject({Fault::InternalError, "GET", "", 1000});
  server_.set(ApiServer::Presence::Away);
  server_.set(ApiServer::Presence::Here);
  ASSERT_TRUE(eventually([&] { return informer_->health().failures >= 3; }));
  EXPECT_EQ(informer_->size(), 1U);
  EXPECT_EQ(deleted_, 0);
  EXPECT_FALSE(informer_->health().connected);
}

TEST_P(InformerTest, BelievesAnOlderStoreOnlyWhenItStaysSo) {
  put("a", "one");
  auto watching = options();
  std::atomic<int> alarms = 0;
  watching.onRevisionWentBack = [&](const std::string&, const std::string&) { ++alarms; };
  start(watching);
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  put("b", "two");
  ASSERT_TRUE(eventually([&] { return informer_->size() == 2; }));
  server_.set(ApiServer::Presence::Away);
  remove("a");
  server_.store().goBackTo(50);
  server_.set(ApiServer::Presence::Here);
  EXPECT_TRUE(eventually([&] { return agrees() && alarms == 1; })) << informer_->health().lastError;
  EXPECT_EQ(deleted_, 1);
}

// As a server does whose store was put back without a connection being cut.
TEST_P(InformerTest, ListsAfterSilenceAndSeesAnOlderStoreSo) {
  put("a", "one");
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  put("b", "two");
  ASSERT_TRUE(eventually([&] { return informer_->size() == 2; }));
  remove("a");
  ASSERT_TRUE(eventually([&] { return informer_->size() == 1; }));
  server_.store().goBackTo(50);
  put("c", "of the older store");
  EXPECT_TRUE(eventually([&] { return agrees(); })) << informer_->health().lastError;
}

TEST_P(InformerTest, WaitsAsLongAsTheServerAsks) {
  put("a", "one");
  server_.inject({.fault = Fault::TooManyRequests, .method = "GET", .targetContains = "watch=1"});
  const auto begin = std::chrono::steady_clock::now();
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(10)));
  put("b", "two");
  ASSERT_TRUE(eventually([&] { return agrees(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, seconds(1)) << "Retry-After: 1";
}

TEST_P(InformerTest, FollowsASelection) {
  put("a", "mine");
  put("b", "theirs");
  auto chosen = options();
  chosen.selection.fieldSelector = "spec.text=mine";
  start(chosen);
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  EXPECT_EQ(informer_->size(), 1U);
  put("a", "theirs");
  EXPECT_TRUE(eventually([&] { return informer_->size() == 0; }));
}

TEST_P(InformerTest, StopsAtOnceInAnyState) {
  start(options());
  informer_->stop();
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  const auto begin = std::chrono::steady_clock::now();
  informer_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
  server_.set(ApiServer::Presence::Away);
  start(options());
  informer_->stop();
}

class FallbackTest : public InformerTest {};
INSTANTIATE_TEST_SUITE_P(Lists, FallbackTest, ::testing::Values(InitialList::Streamed));

TEST_P(FallbackTest, ListsInPagesWhereTheServerHasNoStreamedLists) {
  put("a", "one");
  server_.inject({Fault::BadRequest, "GET", "sendInitialEvents", 1000});
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5))) << informer_->health().lastError;
  put("b", "two");
  EXPECT_TRUE(eventually([&] { return agrees(); }));
  EXPECT_EQ(requestsWith("sendInitialEvents"), 1);
}

TEST(Watch, WaitsForBookmarksLongerThanForInitialEvents) {
  ApiServer server({.certificate = {}, .key = {}, .bookmarkEvery = milliseconds(600)});
  Config config;
  config.server = server.url();
  const auto client = connect(config).value();
  WatchOptions options;
  options.initialSilence = milliseconds(200);
  Informer<FakeNote> informer(*client, options);
  informer.start();
  ASSERT_TRUE(informer.waitSynced(seconds(5)));
  const auto first = informer.health().heardAt;
  const auto until = std::chrono::steady_clock::now() + seconds(10);
  while (informer.health().heardAt == first && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(2));
  }
  EXPECT_NE(informer.health().heardAt, first) << "no bookmark came";
  EXPECT_EQ(informer.health().failures, 0U) << informer.health().lastError;
}

class PagedTest : public InformerTest {};
INSTANTIATE_TEST_SUITE_P(Lists, PagedTest, ::testing::Values(InitialList::Paged));

TEST_P(PagedTest, DeletesNothingOnTheWordOfAnOldList) {
  put("a", "one");
  start(options());
  ASSERT_TRUE(informer_->waitSynced(seconds(5)));
  put("b", "two");
  ASSERT_TRUE(eventually([&] { return informer_->size() == 2; }));
  server_.inject({Fault::OldList, "GET", "limit=2", 1});
  server_.set(ApiServer::Presence::Away);
  server_.store().compact();
  server_.set(ApiServer::Presence::Here);
  ASSERT_TRUE(eventually([&] { return informer_->health().lists >= 3; }));
  EXPECT_TRUE(eventually([&] { return agrees(); }));
  EXPECT_EQ(deleted_, 0);
}

}  // namespace
}  // namespace multinet::kube
