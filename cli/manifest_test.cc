#include "cli/manifest.h"

#include <gmock/gmock.h>

namespace multinet::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json valueOf(const std::string& text) {
  const auto objects = readObjects("kind: A\nvalue: " + text, "a.yaml");
  return objects ? objects->at(0).object["value"] : json(objects.error().message);
}
std::string wrongIn(const std::string& text) {
  const auto objects = readObjects(text, "a.yaml");
  return objects ? "" : objects.error().message;
}

TEST(ReadObjects, TypesScalarsAsKubectlDoes) {
  for (const char* yes : {"true", "True", "yes", "on", "y"}) EXPECT_EQ(valueOf(yes), json(true));
  for (const char* no : {"false", "FALSE", "no", "Off", "N"}) EXPECT_EQ(valueOf(no), json(false));
  for (const char* nothing : {"", "~", "null", "NULL"}) EXPECT_EQ(valueOf(nothing), json());
  EXPECT_EQ(valueOf("80"), json(80));
  EXPECT_EQ(valueOf("0x50"), json(80));
  EXPECT_EQ(valueOf("0o120"), json(80));
  EXPECT_EQ(valueOf("0120"), json(80));
  EXPECT_EQ(valueOf("0b1010000"), json(80));
  EXPECT_EQ(valueOf("-1_000"), json(-1000));
  EXPECT_EQ(valueOf("1.5"), json(1.5));
  for (const char* word : {"\"80\"", "'80'", "!!str 80"}) EXPECT_EQ(valueOf(word), json("80"));
  EXPECT_EQ(valueOf("\"yes\""), json("yes"));
  for (const char* word : {"pg", "0x", "--5", "_", "10.0.0.0/8", "1a"}) {
    EXPECT_EQ(valueOf(word), json(word));
  }
}

TEST(ReadObjects, TellsWhichDocumentItIs) {
  const auto objects =
      readObjects("kind: A\n---\n---\nkind: List\nitems: [{kind: B}, {kind: C}]\n", "a.yaml");
  ASSERT_TRUE(objects) << objects.error().message;
  ASSERT_EQ(objects->size(), 3U);
  EXPECT_EQ(objects->at(0).place, "a.yaml, document 1");
  EXPECT_EQ(objects->at(2).object["kind"], "C");
  EXPECT_EQ(objects->at(2).place, "a.yaml, document 3: items[1]");
  EXPECT_EQ(readObjects("kind: A", "a.yaml")->at(0).place, "a.yaml");
  EXPECT_TRUE(readObjects("", "a.yaml")->empty());
}

TEST(ReadObjects, WhatKubectlWouldReadOtherwiseIsRefused) {
  EXPECT_THAT(wrongIn("kind: A\n---\n- kind: B"),
              HasSubstr("a.yaml, document 2: must be an object"));
  EXPECT_THAT(wrongIn("Kind: A"), HasSubstr("a.yaml: kind: is missing"));
  EXPECT_THAT(wrongIn("kind: A\nb: 1\nb: 2"), HasSubstr("field \"b\" stands twice in one map"));
  EXPECT_THAT(wrongIn("kind: A\nb: &b {c: 1}\nd: {<<: *b}"), HasSubstr("\"<<\" isn't read here"));
  EXPECT_EQ(wrongIn("kind: A\nb: {\"<<\": 1}"), "");
}

TEST(ReadObjects, AnAliasThatStandsForTooMuchIsRefused) {
  EXPECT_THAT(wrongIn("kind: A\na: &a [x, *a]"), HasSubstr("an alias inside of what it names"));
  EXPECT_THAT(wrongIn("&a\nkind: List\nitems: [*a]"),
              HasSubstr("an alias inside of what it names"));
  std::string text = "kind: A\na0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 8; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j == 0 ? "" : ", ") + before;
    text += "]\n";
  }
  EXPECT_THAT(wrongIn(text), HasSubstr("more than 1000000 values"));
}

}  // namespace
}  // namespace multinet::cli
