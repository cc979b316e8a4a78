#include "lib/api/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/api/names.h"
#include "lib/api/resolve.h"
#include "lib/api/test_objects.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

using testing::goodAttachment;
using testing::otherNetwork;

/// Networks blue and green, attachments of namespace default, a pod with app=web.
class SelectTest : public ::testing::Test {
 protected:
  SelectTest() {
    catalog_.networks["blue"] = otherNetwork("blue", 20);
    catalog_.networks["green"] = otherNetwork("green", 30);
    catalog_.namespaces["default"] = {{kSelectLabel, kSelectEnabled}};
    pod_.namespaceName = "default";
    pod_.labels = {{"app", "web"}};
  }

  PodNetworkAttachment& add(const std::string& name, const std::string& network,
                            std::optional<k8s::LabelSelector> selector) {
    PodNetworkAttachment& made = catalog_.attachments[{"default", name}];
    made = goodAttachment(name, network);
    made.spec.podSelector = std::move(selector);
    return made;
  }
  PodNetworkAttachment& addWeb(const std::string& name, const std::string& network) {
    return add(name, network, k8s::LabelSelector{{{"app", "web"}}, {}});
  }
  [[nodiscard]] Selection chosen() const {
    std::vector<PodNetworkAttachment> all;
    // Backwards, so that no order comes by itself.
    for (auto one = catalog_.attachments.rbegin(); one != catalog_.attachments.rend(); ++one) {
      all.push_back(one->second);
    }
    return select(pod_, all, catalog_);
  }
  /// As the pod is once admission has written.
  void written(const Selection& selection) {
    pod_.request = selection.request;
    pod_.selected = selection.selected;
  }

  FakeCatalog catalog_;
  Candidate pod_;
};

TEST_F(SelectTest, ChoosesByLabelsInTheOrderOfNames) {
  addWeb("b", "blue");
  addWeb("a", "green");
  add("c", "blue", k8s::LabelSelector{{{"app", "db"}}, {}});
  add("d", "blue", std::nullopt);
  EXPECT_EQ(chosen(), (Selection{"attachment/a, attachment/b", "attachment/a, attachment/b", {}}));
  pod_.labels = {{"app", "cache"}};
  EXPECT_EQ(chosen(), Selection());
}

TEST_F(SelectTest, AnEmptySelectorChoosesEveryPod) {
  add("all", "blue", k8s::LabelSelector{});
  pod_.labels.clear();
  EXPECT_EQ(chosen().selected, "attachment/all");
}

TEST_F(SelectTest, ExpressionsCountToo) {
  using k8s::SelectorOperator;
  add("not-db", "blue", k8s::LabelSelector{{}, {{"app", SelectorOperator::NotIn, {"db"}}}});
  add("tiered", "green", k8s::LabelSelector{{}, {{"tier", SelectorOperator::Exists, {}}}});
  EXPECT_EQ(chosen().selected, "attachment/not-db");
}

TEST_F(SelectTest, WhatThePodAsksForItselfComesFirstAndIsntGivenTwice) {
  addWeb("a", "blue");
  addWeb("b", "green");
  add("own", "blue", std::nullopt);
  pod_.request = "blue";
  EXPECT_EQ(chosen(), (Selection{"blue, attachment/b", "attachment/b", {}}));
  pod_.request = "attachment/own";
  EXPECT_EQ(chosen(), (Selection{"attachment/own, attachment/b", "attachment/b", {}}));
  pod_.request = " green,blue";
  EXPECT_EQ(chosen(), (Selection{" green,blue", std::nullopt, {}})) << "as it was written";
  pod_.request = "attachment/a";
  EXPECT_EQ(chosen(), (Selection{"attachment/a, attachment/b", "attachment/b", {}}));
}

TEST_F(SelectTest, ASecondLookComesToTheSame) {
  addWeb("a", "blue");
  for (const auto& own : {std::optional<std::string>(), std::optional<std::string>("green")}) {
    pod_.request = own;
    pod_.selected.reset();
    const Selection first = chosen();
    written(first);
    EXPECT_EQ(chosen(), first) << own.value_or("nothing");
  }
}

TEST_F(SelectTest, ACopyIsChosenAnew) {
  addWeb("a", "blue");
  written(chosen());
  pod_.labels = {{"app", "db"}};
  EXPECT_EQ(chosen(), Selection()) << "nothing is left of where it was copied from";
  pod_.request = "green, attachment/a";
  EXPECT_EQ(chosen(), (Selection{"green", std::nullopt, {}}));
}

TEST_F(SelectTest, AForgedWordTakesNothingButWhatItNames) {
  addWeb("a", "blue");
  for (const char* forged : {"attachment/none", "blue", "", "{}", "attachment/a,,"}) {
    pod_.request = "green";
    pod_.selected = forged;
    EXPECT_EQ(chosen(), (Selection{"green, attachment/a", "attachment/a", {}})) << forged;
  }
}

TEST_F(SelectTest, ARequestThatCantBeReadStaysForTheRules) {
  addWeb("a", "blue");
  for (const char* bad : {"", "blue,", "Blue", "blue,blue"}) {
    pod_.request = bad;
    EXPECT_EQ(chosen(), (Selection{bad, std::nullopt, {}})) << bad;
  }
}

TEST_F(SelectTest, LeavesOutWhatIsBeingDeletedAndPodsOfTheNodesNetwork) {
  addWeb("a", "blue").metadata.deletionTimestamp = WallTime{};
  EXPECT_EQ(chosen(), Selection());
  addWeb("a", "blue");
  pod_.hostNetwork = true;
  EXPECT_EQ(chosen(), (Selection{std::nullopt, std::nullopt, {"a"}}));
}

TEST_F(SelectTest, WhatIsChosenIsJudgedAsIfItWereAskedFor) {
  addWeb("a", "blue").spec.interfaceName = "san0";
  addWeb("b", "green").spec.interfaceName = "san0";
  const Selection both = chosen();
  auto refused = resolve({"default", false, both.request}, catalog_);
  ASSERT_FALSE(refused);
  tellSelection(refused.error(), both);
  EXPECT_THAT(
      refused.error().front().str(),
      ::testing::AllOf(
          ::testing::HasSubstr("\"attachment/b\" gets interface name \"san0\", which item 1 "
                               "(attachment/a) has"),
          ::testing::HasSubstr("by its labels it got attachment/a, attachment/b")));
}

TEST_F(SelectTest, MoreThanAPodCanHaveAreRefused) {
  for (std::size_t i = 0; i <= kMaxInterfaces; ++i) {
    const std::string number = std::to_string(10 + i);
    catalog_.networks["n" + number] = otherNetwork("n" + number, static_cast<int>(40 + i));
    addWeb("a" + number, "n" + number);
  }
  const auto refused = resolve({"default", false, chosen().request}, catalog_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().front().reason, "TooManyInterfaces");
  catalog_.attachments.erase({"default", "a10"});
  EXPECT_TRUE(resolve({"default", false, chosen().request}, catalog_));
}

TEST(SelectsPods, ByTheLabelAndNeverInOurOwn) {
  EXPECT_TRUE(selectsPods("shop", {{"multinet.dev/select", "enabled"}}));
  EXPECT_FALSE(selectsPods("shop", {{"multinet.dev/select", "true"}}));
  EXPECT_FALSE(selectsPods("shop", {}));
  EXPECT_FALSE(selectsPods("multinet-system", {{"multinet.dev/select", "enabled"}}));
}

/// An attachment with a selector: the only sentence that the rules say of it, or none.
std::string refusal(const PodNetworkAttachment& attachment, const FakeCatalog& catalog) {
  const Report report = validate(attachment, catalog);
  EXPECT_LE(report.violations.size(), 1U);
  return report.ok() ? "" : report.violations.front().str();
}

TEST(ValidateSelector, StandsOnlyWherePodsAreChosen) {
  PodNetworkAttachment attachment = goodAttachment("nas", "red");
  attachment.spec.podSelector = k8s::LabelSelector{{{"app", "web"}}, {}};
  FakeCatalog catalog = testing::goodCatalog();
  catalog.namespaces["default"] = {{"multinet.dev/select", "enabled"}};
  EXPECT_EQ(refusal(attachment, catalog), "");
  EXPECT_TRUE(validate(attachment, catalog).warnings.empty());
  catalog.namespaces["default"] = {{"multinet.dev/select", "true"}};
  EXPECT_EQ(refusal(attachment, catalog),
            "spec.podSelector: chooses no pod: namespace \"default\" lacks the label "
            "multinet.dev/select=enabled; have the admin run kubectl label namespace default "
            "multinet.dev/select=enabled, or leave it out");
  catalog.namespaces.clear();
  EXPECT_THAT(
      refusal(attachment, catalog),
      ::testing::StartsWith("spec.podSelector: can't be judged: namespace \"default\" isn't "
                            "known yet"));
  attachment.metadata.nameSpace = "multinet-system";
  catalog.namespaces["multinet-system"] = {{"multinet.dev/select", "enabled"}};
  EXPECT_THAT(refusal(attachment, catalog),
              ::testing::StartsWith("spec.podSelector: chooses no pod: those of namespace "
                                    "\"multinet-system\" get no networks"));
}

TEST(ValidateSelector, IsOfLabelsThatPodsCanHaveAndWarnsOfEveryPod) {
  PodNetworkAttachment attachment = goodAttachment("nas", "red");
  FakeCatalog catalog = testing::goodCatalog();
  catalog.namespaces["default"] = {{"multinet.dev/select", "enabled"}};
  attachment.spec.podSelector = k8s::LabelSelector{{{"app", "a b"}}, {}};
  EXPECT_THAT(
      refusal(attachment, catalog),
      ::testing::StartsWith("spec.podSelector: matchLabels.app: \"a b\" is no label value"));
  attachment.spec.podSelector = k8s::LabelSelector{};
  EXPECT_EQ(refusal(attachment, catalog), "");
  ASSERT_EQ(validate(attachment, catalog).warnings.size(), 1U);
  EXPECT_EQ(validate(attachment, catalog).warnings.front().reason, "SelectsEveryPod");
}

}  // namespace
}  // namespace multinet::api
