#include "nodeagent/services/joining_engine.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "lib/netns/cookie.h"
#include "nodeagent/attach/fake_attach_engine.h"
#include "nodeagent/services/fake_table.h"

namespace multinet::agent::services {
namespace {

const IntentId kIntent("intent");

class JoiningEngineTest : public testing::Test {
 protected:
  JoiningEngineTest() {
    static_cast<void>(members_.open(map_));
    const auto home = netns::openHome();
    netns_ = std::move(*netns::make());
    cookie_ = *netns::cookie(netns_, *home);
    plan_.network = NetworkName("blue");
    plan_.networkUid = NetworkUid("uid-blue");
  }
  [[nodiscard]] bool attach() {
    std::promise<bool> answered;
    engine_.attach(kIntent, std::move(*netns_.duplicate()), {plan_},
                   std::make_shared<std::atomic<bool>>(false),
                   [&](const auto& made) { answered.set_value(made.has_value()); });
    return answered.get_future().get();
  }
  [[nodiscard]] bool isMember() const {
    return members_.has(cookie_, keyOf(NetworkUid("uid-blue")));
  }
  void settle() {
    std::promise<void> done;
    const_cast<async::Lane&>(engine_.lane()).post([&] { done.set_value(); });
    done.get_future().wait();
  }

  FakeTable map_;
  Members members_;
  attach::FakeAttachEngine inner_;
  JoiningEngine engine_{inner_, members_, kSystemClock};
  Fd netns_;
  std::uint64_t cookie_ = 0;
  InterfacePlan plan_;
};

TEST_F(JoiningEngineTest, APodIsOnItsNetworksWhenItsAttachIsAnswered) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(attach());
    ASSERT_TRUE(isMember());
    std::promise<bool> answered;
    engine_.detach(kIntent, std::nullopt,
                   [&](const Status& gone) { answered.set_value(gone.has_value()); });
    ASSERT_TRUE(answered.get_future().get());
    settle();
    ASSERT_FALSE(isMember());
  }
}

TEST_F(JoiningEngineTest, OneWhoseAttachFailedIsOnNone) {
  inner_.failAttach({Code::Unavailable, "", "no"});
  EXPECT_FALSE(attach());
  settle();
  EXPECT_FALSE(isMember());
}

TEST_F(JoiningEngineTest, NoPodFailsForWantOfAPlaceInTheMap) {
  map_.setCapacity(0);
  EXPECT_TRUE(attach());
  EXPECT_FALSE(isMember());
  EXPECT_EQ(members_.problem()->reason, "MapFull");
}

TEST_F(JoiningEngineTest, APodOfAnEarlierAgentJoinsWithTheFirstLookAtIt) {
  inner_.put(kIntent, "", {plan_});
  for (int i = 0; i < 2; ++i) {
    std::promise<void> answered;
    engine_.maintain(kIntent, std::move(*netns_.duplicate()), {plan_},
                     std::make_shared<std::atomic<bool>>(false),
                     [&](const auto&) { answered.set_value(); });
    answered.get_future().wait();
    settle();
    EXPECT_TRUE(isMember());
  }
  EXPECT_EQ(map_.writes(), 2U) << "once";
}

}  // namespace
}  // namespace multinet::agent::services
