#include "cli/output.h"

#include <yaml-cpp/yaml.h>

namespace multinet::cli {
namespace {

Table sample() {
  return {{{"NAME"}, {"READY"}, {"REASON", true}},
          {{{"blue"}, {"True", Mood::Good}, {"Accepted"}},
           {{"a-longer-name"}, {"False", Mood::Bad}, {""}}}};
}

TEST(Render, AlignsAndLeavesNoBlanksAtTheEnd) {
  EXPECT_EQ(render(sample(), Format::Table, Colour::Never),
            "NAME            READY\n"
            "blue            True\n"
            "a-longer-name   False\n");
}

TEST(Render, WideShowsAllAndADashForNothing) {
  EXPECT_EQ(render(sample(), Format::Wide, Colour::Never),
            "NAME            READY   REASON\n"
            "blue            True    Accepted\n"
            "a-longer-name   False   -\n");
}

TEST(Render, ColoursDontChangeTheAlignment) {
  const auto text = render(sample(), Format::Wide, Colour::Always);
  EXPECT_NE(text.find("\033[32mTrue\033[0m    Accepted"), std::string::npos) << text;
}

TEST(Render, WhatStandsInAnObjectDoesntDriveTheTerminal) {
  const Table table{{{"NAME"}}, {{{"\033]0;owned\a\n"}}}};
  EXPECT_EQ(render(table, Format::Table, Colour::Never), "NAME\n?]0;owned??\n");
}

TEST(Render, CountsCharactersNotBytes) {
  const Table table{{{"A"}, {"B"}}, {{{"é"}, {"x"}}, {{"ab"}, {"y"}}}};
  EXPECT_EQ(render(table, Format::Table, Colour::Never), "A    B\né    x\nab   y\n");
}

TEST(ToYaml, ReadsBackAsTheSame) {
  const auto value = nlohmann::json::parse(R"({
    "kind": "List", "empty": {}, "none": [], "yes": "yes", "number": "0123", "count": 3,
    "ratio": 1.5, "on": true, "nothing": null, "text": "a: b # c\n\"d\"", "colon": "12:30:00",
    "items": [{"name": "blue", "list": ["fd00:20::/64", "x"]}, [1, [2]], "tail", "-", "- a"]})");
  const auto text = toYaml(value);
  const auto node = YAML::Load(text);
  EXPECT_EQ(node["yes"].as<std::string>(), "yes");
  EXPECT_EQ(node["yes"].Tag(), "!") << "quoted: a string, no boolean";
  EXPECT_EQ(node["number"].as<std::string>(), "0123");
  EXPECT_EQ(node["count"].as<int>(), 3);
  EXPECT_TRUE(node["nothing"].IsNull());
  EXPECT_EQ(node["text"].as<std::string>(), "a: b # c\n\"d\"");
  EXPECT_EQ(node["colon"].Tag(), "!");
  EXPECT_TRUE(node["empty"].IsMap());
  EXPECT_TRUE(node["none"].IsSequence());
  EXPECT_EQ(node["items"][0]["list"][0].as<std::string>(), "fd00:20::/64");
  EXPECT_EQ(node["items"][1][1][0].as<int>(), 2);
  EXPECT_EQ(node["items"][3].as<std::string>(), "-");
  EXPECT_EQ(node["items"][4].as<std::string>(), "- a");
}

TEST(ParseOutput, NamesTheRightWords) {
  EXPECT_EQ(parseOutput("wide")->format, Format::Wide);
  EXPECT_EQ(parseOutput("jsonpath={.a}")->jsonPath, "{.a}");
  const auto wrong = parseOutput("jsn");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_NE(wrong.error().message.find("did you mean \"json\"?"), std::string::npos);
}

TEST(Age, ReadsAsKubectlSaysIt) {
  EXPECT_EQ(age(-3), "0s");
  EXPECT_EQ(age(119), "119s");
  EXPECT_EQ(age(125), "2m5s");
  EXPECT_EQ(age(180), "3m");
  EXPECT_EQ(age(3600), "60m");
  EXPECT_EQ(age(3 * 3600 + 60), "3h1m");
  EXPECT_EQ(age(30L * 3600), "30h");
  EXPECT_EQ(age(8L * 86400), "8d");
}

}  // namespace
}  // namespace multinet::cli
