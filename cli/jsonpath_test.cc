#include "cli/jsonpath.h"

namespace multinet::cli {
namespace {

std::string shown(const std::string& tmpl) {
  static const auto kObject = nlohmann::json::parse(R"({"kind": "List", "items": [
    {"metadata": {"name": "a", "annotations": {"multinet.dev/networks": "blue"}},
     "spec": {"mtu": 1450}, "status": {"conditions": [{"type": "Ready", "status": "True"},
       {"type": "InUse", "status": "False"}]}},
    {"metadata": {"name": "b"}, "spec": {"mtu": 9000, "list": [1, 2, 3]}}]})");
  const auto result = runJsonPath(tmpl, kObject);
  return result ? *result : "error: " + result.error().message;
}

TEST(JsonPath, ReadsAsKubectlDoes) {
  EXPECT_EQ(shown("{.kind}"), "List");
  EXPECT_EQ(shown(".kind"), "List");
  EXPECT_EQ(shown("{$.items[*].metadata.name}"), "a b");
  EXPECT_EQ(shown("{.items[-1].metadata.name}{\"\\t\"}{.items[0].spec.mtu}"), "b\t1450");
  EXPECT_EQ(shown("{.items[?(@.spec.mtu>=9000)].metadata.name}"), "b");
  EXPECT_EQ(shown(R"({.items[0].status.conditions[?(@.type=="Ready")].status})"), "True");
  EXPECT_EQ(shown(R"({.items[?(@.spec.list)].metadata['name']})"), "b");
  EXPECT_EQ(shown(R"({.items[0].metadata.annotations.multinet\.dev/networks})"), "blue");
  EXPECT_EQ(shown("{range .items[*]}<{.metadata.name}>{end}."), "<a><b>.");
  EXPECT_EQ(shown("{..name}"), "a b");
  EXPECT_EQ(shown("{.items[1].spec.list}"), "[1,2,3]");
  EXPECT_EQ(shown("{.nothing.there}"), "");
}

TEST(JsonPath, SaysWhatItCantRead) {
  for (const char* wrong : {"{.items[}", "{.items[x]}", "{.a", "{items}"}) {
    EXPECT_EQ(shown(wrong).find("error: jsonpath"), 0U) << wrong << ": " << shown(wrong);
  }
  EXPECT_EQ(shown("{.items[?(@.kind==zz)]}"),
            "error: jsonpath \".items[?(@.kind==zz)]\": \"zz\" is no value");
}

}  // namespace
}  // namespace multinet::cli
