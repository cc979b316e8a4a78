#include "lib/k8s/seldom.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/k8s/by_name.h"
#include "lib/k8s/core.h"

namespace multinet::k8s {
namespace {

TEST(Seldom, IsAPointerThatReadsAsEmpty) {
  const Seldom<StringMap> labels;
  static_assert(sizeof(labels) == sizeof(void*));
  EXPECT_TRUE(labels.empty());
  EXPECT_EQ(labels.size(), 0U);
  EXPECT_EQ(labels.find("a"), labels.end());
  EXPECT_EQ(*labels, StringMap());
  EXPECT_TRUE(Seldom<std::string>()->empty());
}

TEST(Seldom, IsChangedAndCopiedAsItsValueWouldBe) {
  Seldom<StringMap> labels;
  labels["team"] = "red";
  Seldom<StringMap> copy = labels;
  copy["team"] = "blue";
  EXPECT_EQ(labels.at("team"), "red");
  EXPECT_EQ(copy.at("team"), "blue");
  copy = labels;
  EXPECT_EQ(copy, labels);
  copy = *&copy;
  EXPECT_EQ(copy.at("team"), "red");
  const Seldom<StringMap> moved = std::move(copy);
  EXPECT_EQ(moved.at("team"), "red");
  const StringMap& whole = moved;
  EXPECT_EQ(whole.size(), 1U);
  labels.clear();
  EXPECT_TRUE(labels.empty());

  Seldom<std::vector<std::string>> list;
  list.push_back("a");
  list.edit().emplace_back("b");
  EXPECT_EQ(list, (std::vector<std::string>{"a", "b"}));
  list = {"c"};
  EXPECT_EQ(list->front(), "c");
  list = {};
  EXPECT_TRUE(list.empty());
  Seldom<std::string> word = "x";
  EXPECT_EQ(word, "x");
  word = "";
  EXPECT_EQ(word, Seldom<std::string>());
}

TEST(Seldom, IsEqualByValueAlsoWhereItOnceHeldMore) {
  Seldom<StringMap> labels;
  labels["a"] = "b";
  labels.edit().erase("a");
  EXPECT_EQ(labels, Seldom<StringMap>());
  EXPECT_EQ(Seldom<StringMap>(), labels);
  labels["a"] = "c";
  EXPECT_NE(labels, Seldom<StringMap>());
}

TEST(ByName, ObjectsKeysAndPointersAreFoundAlike) {
  Namespace red;
  red.metadata.name = "red";
  Pod web;
  web.metadata.nameSpace = "red";
  web.metadata.name = "web";
  SetByName<std::shared_ptr<const Pod>> pods;
  pods.insert(std::make_shared<const Pod>(web));
  EXPECT_FALSE(pods.insert(std::make_shared<const Pod>(web)).second);
  EXPECT_TRUE(pods.contains(web));
  EXPECT_EQ((*pods.find(ObjectKey{"red", "web"}))->metadata.name, "web");
  EXPECT_EQ(pods.find(ObjectKey{"web", "red"}), pods.end());
  EXPECT_EQ(pods.find(ObjectKey{"", "web"}), pods.end());
  EXPECT_EQ(nameOf(red), nameOf(ObjectKey{"", "red"}));
}

}  // namespace
}  // namespace multinet::k8s
