#include "nodeagent/cri/sandbox_list.h"

#include <gtest/gtest.h>

#include <string>

#include "nodeagent/cri/extension.h"
#include "proto/cri-multinet/internal/cri_subset.pb.h"

namespace multinet::agent::cri {
namespace {

namespace subset = multinet::cri::subset;

constexpr unsigned kItems = 1;
constexpr unsigned kNobodyKnows = 2047;

/// An item as protobuf would never write it: fields out of order, one twice, unknown ones between.
std::string oddItem(const std::string& id, const std::string& uid, bool ready) {
  subset::PodSandboxMetadata metadata;
  metadata.set_uid(uid);
  return wireField(kNobodyKnows, "before") + wireVarint(3, ready ? 0 : 1) + wireField(1, "first") +
         wireField(2, metadata.SerializeAsString()) + wireVarint(kNobodyKnows + 1, 300) +
         wireField(1, id);
}

sandbox::Snapshot snapshotOf(std::initializer_list<std::pair<std::string, sandbox::Verdict>> all) {
  sandbox::Snapshot snapshot{.recovered = true, .bootId = "b", .sandboxes = {}, .running = {}};
  for (const auto& [id, verdict] : all) snapshot.sandboxes[SandboxId(id)].verdict = verdict;
  return snapshot;
}

TEST(JudgeList, KeepsEveryByteOfWhatNoVerdictTouches) {
  const auto good = wireField(kItems, oddItem("good", "u1", true));
  const auto dead = wireField(kItems, oddItem("dead", "u2", false));
  const auto hidden = wireField(kItems, oddItem("hidden", "u3", true));
  const auto unknown = wireField(kNobodyKnows, "list") + wireVarint(kNobodyKnows + 2, 1U << 31U);
  const auto snapshot =
      snapshotOf({{"hidden", sandbox::Verdict::Hidden}, {"dead", sandbox::Verdict::NotReady}});
  const auto judged = judgeList(good + unknown + hidden + dead, snapshot, {});
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  EXPECT_EQ(*judged, good + unknown + dead) << "dead is NOTREADY already";
}

TEST(JudgeList, AppendsTheStateAndNothingElse) {
  const auto item = oddItem("bad", "u1", true);
  const auto judged =
      judgeList(wireField(kItems, item), snapshotOf({{"bad", sandbox::Verdict::NotReady}}), {});
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(*judged, wireField(kItems, item + wireVarint(3, 1)));
  subset::ListPodSandboxResponse shown;
  ASSERT_TRUE(shown.ParseFromString(*judged));
  EXPECT_EQ(shown.items(0).state(), subset::SANDBOX_NOTREADY);
  EXPECT_EQ(shown.items(0).id(), "bad");
}

TEST(JudgeList, FiltersByTheStateThatIsShown) {
  const auto bad = wireField(kItems, oddItem("bad", "u1", true));
  const auto good = wireField(kItems, oddItem("good", "u2", true));
  const auto snapshot = snapshotOf({{"bad", sandbox::Verdict::NotReady}});
  EXPECT_EQ(judgeList(bad + good, snapshot, SandboxState::Ready), good);
  subset::ListPodSandboxResponse shown;
  ASSERT_TRUE(
      shown.ParseFromString(judgeList(bad + good, snapshot, SandboxState::NotReady).value()));
  ASSERT_EQ(shown.items_size(), 1);
  EXPECT_EQ(shown.items(0).id(), "bad");
}

TEST(JudgeList, RefusesWhatIsNoMessageAtEveryCut) {
  const auto snapshot = snapshotOf({});
  EXPECT_EQ(judgeList("", snapshot, {}), "");
  const auto whole = wireField(kItems, oddItem("good", "u1", true));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const auto judged = judgeList(whole.substr(0, size), snapshot, {});
    ASSERT_FALSE(judged.has_value()) << size;
    EXPECT_EQ(judged.error().code, Code::Internal);
  }
  EXPECT_FALSE(judgeList(std::string(1, '\0'), snapshot, {}).has_value());
  EXPECT_FALSE(judgeList(wireField(kItems, "\xff"), snapshot, {}).has_value());
}

}  // namespace
}  // namespace multinet::agent::cri
