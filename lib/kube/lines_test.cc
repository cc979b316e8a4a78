#include "lib/kube/lines.h"

#include <gmock/gmock.h>

namespace multinet::kube {
namespace {

TEST(LineSplitter, FindsTheSameLinesHoweverTheBytesAreCut) {
  const std::string text = "{\"a\":1}\n\n{\"b\":2}\n{\"c\":3}\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    LineSplitter splitter(100);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size(); at += size) {
      ASSERT_TRUE(splitter.feed(std::string_view(text).substr(at, size),
                                [&](std::string_view line) -> Status {
                                  lines.emplace_back(line);
                                  return {};
                                }));
    }
    EXPECT_THAT(lines, ::testing::ElementsAre("{\"a\":1}", "{\"b\":2}", "{\"c\":3}")) << size;
    EXPECT_EQ(splitter.partial(), 0U);
  }
}

TEST(LineSplitter, TellsOfALineThatHasNotEnded) {
  LineSplitter splitter(100);
  ASSERT_TRUE(splitter.feed("{\"a\"", [](std::string_view) -> Status { return {}; }));
  EXPECT_EQ(splitter.partial(), 4U);
}

TEST(LineSplitter, RefusesALineWithoutEnd) {
  LineSplitter splitter(10);
  const auto none = [](std::string_view) -> Status { return {}; };
  ASSERT_TRUE(splitter.feed("12345", none));
  const auto refused = splitter.feed("678901", none);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "EventTooLong");
}

TEST(LineSplitter, EndsWithTheReadersError) {
  LineSplitter splitter(10);
  int lines = 0;
  const auto ended = splitter.feed("a\nb\n", [&](std::string_view) -> Status {
    ++lines;
    return fail(Code::Cancelled, "Enough", "read: enough");
  });
  EXPECT_EQ(lines, 1);
  EXPECT_EQ(ended.error().reason, "Enough");
}

}  // namespace
}  // namespace multinet::kube
