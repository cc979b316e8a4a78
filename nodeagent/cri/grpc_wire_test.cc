#include "nodeagent/cri/grpc_wire.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace multinet::agent::cri {
namespace {

using namespace std::chrono_literals;

TEST(MessageReader, PutsMessagesTogetherFromAnyPieces) {
  const std::string bytes = framed("first") + framed("") + framed(std::string(70'000, 'x'));
  for (const std::size_t piece : {1U, 3U, 6U, 80'000U}) {
    MessageReader reader;
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.append(std::string_view(bytes).substr(at, piece));
      while (reader.whole()) messages.push_back(**reader.next());
    }
    ASSERT_EQ(messages.size(), 3U) << piece;
    EXPECT_EQ(messages[0], "first");
    EXPECT_EQ(messages[1], "");
    EXPECT_EQ(messages[2].size(), 70'000U);
    EXPECT_TRUE(reader.empty());
  }
}

TEST(MessageReader, RefusesWhatIsCompressed) {
  MessageReader reader;
  reader.append(std::string("\1\0\0\0\1x", 6));
  EXPECT_EQ(reader.next().error().code, Code::Unimplemented);
}

TEST(GrpcWire, ReadsTimeouts) {
  EXPECT_EQ(parseTimeout("2H"), 2h);
  EXPECT_EQ(parseTimeout("4M"), 4min);
  EXPECT_EQ(parseTimeout("15S"), 15s);
  EXPECT_EQ(parseTimeout("99999999m"), 99'999'999ms);
  EXPECT_EQ(parseTimeout("7u"), 7us);
  EXPECT_EQ(parseTimeout("0n"), 0ns);
  for (const auto* wrong : {"", "S", "5", "-5S", "5s", "5 S", "123456789S", "99999999H"}) {
    EXPECT_EQ(parseTimeout(wrong), std::nullopt) << wrong;
  }
}

TEST(GrpcWire, WritesAndReadsStatuses) {
  const auto trailers = trailersOf(5, "no \xc3\xa9 at 100 %\n", false);
  EXPECT_EQ(statusOf(trailers), 5);
  EXPECT_EQ(http2::valueOf(trailers, "grpc-message"), "no %C3%A9 at 100 %25%0A");
  EXPECT_EQ(http2::valueOf(trailersOf(0, "", true), ":status"), "200");
  EXPECT_EQ(statusOf(http2::Headers{}), 2);
  EXPECT_EQ(statusOf(http2::Headers{{"grpc-status", "17"}}), 2);
  EXPECT_EQ(statusOf(http2::ErrorCode::Cancel), 1);
}

TEST(GrpcWire, SendsDetailsOfAStatusOfAnyLength) {
  for (const std::string& sent : {std::string("\0", 1), std::string("\0\1", 2),
                                  std::string("\0\1\xff", 3), std::string("\xff\xfe\xfd\xfc", 4)}) {
    const auto trailers = trailersOf(5, "", false, sent);
    EXPECT_EQ(metadataOf(trailers).find("grpc-status-details-bin")->second, sent);
  }
  EXPECT_EQ(metadataOf(trailersOf(5, "", false)).count("grpc-status-details-bin"), 0U);
}

TEST(GrpcWire, ReadsBackWhatItSaysOfAnError) {
  const std::string text = "no \xc3\xa9 at 100 %\n";
  const std::string details("\0\xff", 2);
  const auto trailers = trailersOf(5, text, false, details);
  EXPECT_EQ(messageOf(trailers), text);
  EXPECT_EQ(detailsOf(trailers), details);
  EXPECT_EQ(messageOf({{"grpc-message", "5% of %4 and %zz"}}), "5% of %4 and %zz") << "no escapes";
  EXPECT_EQ(messageOf({}), "");
  EXPECT_EQ(detailsOf({}), "");
}

TEST(GrpcWire, WritesWhatIsLeftOfTheTime) {
  EXPECT_EQ(timeoutOf(1500ms), "1500m");
  EXPECT_EQ(timeoutOf(-5s), "1m") << "zero would say that there is no limit to some";
  EXPECT_EQ(timeoutOf(std::chrono::hours(1000)), "99999999m");
}

TEST(GrpcWire, WritesMetadataAsItCame) {
  const std::string bytes("\0\1\xff", 3);
  const auto [key, value] = headerOf("padded-bin", bytes);
  EXPECT_EQ(metadataOf({{key, value}}).find(key)->second, bytes);
  EXPECT_EQ(headerOf("x-trace", "a").second, "a");
}

TEST(GrpcWire, GivesMetadataAsTheBytesThatItIs) {
  const auto metadata = metadataOf({{":path", "/p"},
                                    {"x-trace", "a"},
                                    {"x-trace", "b"},
                                    {"padded-bin", "AAH/"},
                                    {"short-bin", "AAE"},
                                    {"filled-bin", "AAE="}});
  EXPECT_EQ(metadata.count(":path"), 0U);
  EXPECT_EQ(metadata.count("x-trace"), 2U);
  EXPECT_EQ(metadata.find("padded-bin")->second, std::string("\0\1\xff", 3));
  EXPECT_EQ(metadata.find("short-bin")->second, std::string("\0\1", 2));
  EXPECT_EQ(metadata.find("filled-bin")->second, std::string("\0\1", 2));
}

}  // namespace
}  // namespace multinet::agent::cri
