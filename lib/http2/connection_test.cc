#include "lib/http2/connection.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace multinet::http2 {
namespace {

/// One end, and what it heard.
class End final : public Connection::Events {
 public:
  explicit End(Connection::Role role) : connection(role, *this) {}

  void headers(StreamId stream, Headers headers, bool end) override {
    blocks[stream].push_back(std::move(headers));
    if (end) ended.push_back(stream);
  }
  void data(StreamId stream, std::string_view bytes, bool end) override {
    received[stream].append(bytes);
    if (takes) connection.consumed(stream, bytes.size());
    if (end) ended.push_back(stream);
  }
  void sent(StreamId stream, std::size_t bytes) override { framed[stream] += bytes; }
  void reset(StreamId stream, ErrorCode code) override { resets[stream] = code; }

  Connection connection;
  bool takes = true;  ///< what comes, at once
  std::map<StreamId, std::vector<Headers>> blocks;
  std::map<StreamId, std::string> received;
  std::map<StreamId, std::size_t> framed;
  std::map<StreamId, ErrorCode> resets;
  std::vector<StreamId> ended;
};

class Http2 : public testing::Test {
 protected:
  /// Hands on what both have to say, `piece` bytes at a time, until they are silent.
  void talk(std::size_t piece = 1U << 20U) {
    while (pass(client, server, piece) || pass(server, client, piece)) continue;
  }
  static bool pass(End& from, End& to, std::size_t piece) {
    const std::string bytes(from.connection.output().substr(0, piece));
    if (bytes.empty()) return false;
    from.connection.wrote(bytes.size());
    const auto taken = to.connection.receive(bytes);
    EXPECT_TRUE(taken.has_value()) << taken.error().message;
    return taken.has_value();
  }
  StreamId open(bool end = false) { return *client.connection.open({{":path", "/p"}}, end); }
  static std::string frame(FrameType type, std::uint8_t flags, StreamId stream,
                           std::string_view payload) {
    std::string bytes;
    appendFrameHeader(bytes, {static_cast<std::uint32_t>(payload.size()), type, flags, stream});
    return bytes.append(payload);
  }

  End client{Connection::Role::Client};
  End server{Connection::Role::Server};
};

TEST_F(Http2, CarriesACallInPiecesOfAnySize) {
  for (const std::size_t piece : {1U, 7U, 100U, 100'000U}) {
    const auto stream = open();
    client.connection.sendData(stream, "request", true);
    talk(piece);
    EXPECT_EQ(valueOf(server.blocks[stream].at(0), ":path"), "/p");
    EXPECT_EQ(server.received[stream], "request");
    server.connection.sendHeaders(stream, {{":status", "200"}}, false);
    server.connection.sendData(stream, "reply", false);
    server.connection.sendHeaders(stream, {{"grpc-status", "0"}}, true);
    talk(piece);
    EXPECT_EQ(client.received[stream], "reply");
    EXPECT_EQ(valueOf(client.blocks[stream].at(1), "grpc-status"), "0");
    EXPECT_EQ(client.connection.streams(), 0U);
    EXPECT_EQ(server.connection.streams(), 0U);
    EXPECT_TRUE(client.resets.empty());
  }
}

TEST_F(Http2, CarriesMoreThanAllWindowsAndLongHeaders) {
  const auto stream = open(true);
  talk();
  std::string bytes(20U << 20U, 'x');
  bytes[12'345'678] = 'y';
  server.connection.sendHeaders(stream, {{"long", std::string(1U << 20U, 'h')}}, false);
  server.connection.sendData(stream, bytes, false);
  server.connection.sendHeaders(stream, {{"grpc-status", "0"}}, true);
  talk();
  EXPECT_TRUE(client.received[stream] == bytes);
  EXPECT_EQ(server.framed[stream], bytes.size());
  EXPECT_EQ(client.blocks[stream].at(0).at(0).second.size(), 1U << 20U);
  EXPECT_EQ(valueOf(client.blocks[stream].at(1), "grpc-status"), "0") << "after all data";
}

TEST_F(Http2, HoldsAStreamThatNobodyReadsWithoutHoldingOthers) {
  const auto slow = open(true);
  const auto other = open(true);
  talk();
  client.takes = false;
  server.connection.sendHeaders(slow, {}, false);
  server.connection.sendData(slow, std::string(30U << 20U, 's'), true);
  talk();
  EXPECT_EQ(client.received[slow].size(), kStreamWindow);
  EXPECT_EQ(server.connection.waiting(slow), (30U << 20U) - kStreamWindow);
  client.takes = true;
  server.connection.sendHeaders(other, {}, false);
  server.connection.sendData(other, std::string(10U << 20U, 'o'), true);
  talk();
  EXPECT_EQ(client.received[other].size(), 10U << 20U);
  client.connection.consumed(slow, kStreamWindow);
  talk();
  EXPECT_EQ(client.received[slow].size(), 30U << 20U);
  EXPECT_EQ(server.connection.streams(), 0U);
}

TEST_F(Http2, ToldToStopACallerEndsItsStream) {
  const auto stream = open();
  talk();
  server.connection.sendHeaders(stream, {{"grpc-status", "5"}}, true);
  talk();
  EXPECT_EQ(client.ended, std::vector<StreamId>{stream});
  EXPECT_EQ(client.resets[stream], ErrorCode::NoError);
  client.connection.sendData(stream, "late", true);
  talk();
  EXPECT_TRUE(server.received[stream].empty());
  EXPECT_EQ(client.connection.streams() + server.connection.streams(), 0U);
}

TEST_F(Http2, ResetsReachTheOtherEnd) {
  const auto first = open();
  const auto second = open();
  talk();
  client.connection.reset(first, ErrorCode::Cancel);
  server.connection.reset(second, ErrorCode::RefusedStream);
  talk();
  EXPECT_EQ(server.resets, (std::map<StreamId, ErrorCode>{{first, ErrorCode::Cancel}}));
  EXPECT_EQ(client.resets, (std::map<StreamId, ErrorCode>{{second, ErrorCode::RefusedStream}}));
  EXPECT_EQ(client.connection.streams() + server.connection.streams(), 0U);
}

TEST_F(Http2, KeepsToTheNumberOfStreamsThatTheOtherEndWants) {
  talk();
  std::string one;
  appendSetting(one, Setting::MaxConcurrentStreams, 1);
  ASSERT_TRUE(client.connection.receive(frame(FrameType::Settings, 0, 0, one)).has_value());
  const auto first = open();
  const auto second = open();
  const auto given = open();
  const auto third = open();
  client.connection.sendData(first, "1", true);
  client.connection.sendData(second, "2", true);
  client.connection.reset(given, ErrorCode::Cancel);
  client.connection.sendHeaders(third, {{"trailer", "3"}}, true);
  talk();
  EXPECT_EQ(server.received, (std::map<StreamId, std::string>{{first, "1"}}));
  server.connection.sendHeaders(first, {{"grpc-status", "0"}}, true);
  talk();
  EXPECT_EQ(server.received[second], "2");
  server.connection.sendHeaders(second, {{"grpc-status", "0"}}, true);
  talk();
  EXPECT_EQ(server.blocks[third].size(), 2U);
  EXPECT_EQ(server.blocks.count(given), 0U) << "given up before its turn";
}

TEST_F(Http2, GoesAwayWithoutLosingACall) {
  const auto before = open();
  talk();
  server.connection.goAway();
  const auto crossing = open();  // the client hasn't read it yet
  pass(client, server, 1U << 20U);
  talk();
  EXPECT_EQ(server.blocks.count(crossing), 1U);
  EXPECT_TRUE(client.connection.closing());
  EXPECT_EQ(client.connection.open({}, true), std::nullopt);
  EXPECT_FALSE(server.connection.drained());
  for (const auto stream : {before, crossing}) {
    server.connection.sendHeaders(stream, {{"grpc-status", "0"}}, true);
  }
  talk();
  EXPECT_TRUE(server.connection.drained());
  EXPECT_EQ(client.ended, (std::vector<StreamId>{before, crossing}));
}

TEST_F(Http2, TakesACallRightBehindTheAnswerToItsGoAway) {
  talk();
  server.connection.goAway();
  const auto crossing = open();
  const std::string call(client.connection.output());
  client.connection.wrote(call.size());
  ASSERT_TRUE(client.connection.receive(server.connection.output()).has_value());
  server.connection.wrote(server.connection.output().size());
  const std::string answer(client.connection.output());
  client.connection.wrote(answer.size());
  ASSERT_TRUE(server.connection.receive(answer + call).has_value());
  EXPECT_EQ(server.blocks.count(crossing), 1U);
}

TEST_F(Http2, TellsWhichStreamsTheOtherEndNeverTook) {
  const auto taken = open();
  const auto refused = open();
  std::string payload;
  appendNumber32(payload, taken);
  appendNumber32(payload, 0);
  ASSERT_TRUE(client.connection.receive(frame(FrameType::GoAway, 0, 0, payload)).has_value());
  EXPECT_EQ(client.resets, (std::map<StreamId, ErrorCode>{{refused, ErrorCode::RefusedStream}}));
}

TEST_F(Http2, AnswersPingsAndPassesOverWhatItDoesNotKnow) {
  talk();
  ASSERT_TRUE(server.connection.receive(frame(FrameType::Ping, 0, 0, "12345678")).has_value());
  EXPECT_EQ(server.connection.output(), frame(FrameType::Ping, kAck, 0, "12345678"));
  const auto unknown = frame(static_cast<FrameType>(0xef), 0xff, 7, "?");
  EXPECT_TRUE(server.connection.receive(unknown).has_value());
  EXPECT_TRUE(server.connection.receive(frame(FrameType::Priority, 0, 1, "12345")).has_value());
}

TEST_F(Http2, ReadsPaddingAndPriorities) {
  talk();
  const std::string block = "\x2" + std::string(5, '\0') + encodeHeaders({{"a", "b"}}) + "..";
  ASSERT_TRUE(server.connection
                  .receive(frame(FrameType::Headers, kEndHeaders | kPadded | kPriority, 1, block))
                  .has_value());
  ASSERT_TRUE(server.connection.receive(frame(FrameType::Data, kPadded | kEndStream, 1, "\x3xy..."))
                  .has_value());
  EXPECT_EQ(server.blocks[1].at(0), (Headers{{"a", "b"}}));
  EXPECT_EQ(server.received[1], "xy");
}

TEST_F(Http2, EndsAConnectionThatBreaksTheRules) {
  const std::string zero(4, '\0');
  const std::string block = encodeHeaders({{"a", "b"}});
  for (const auto& bytes :
       {frame(FrameType::Data, 0, 1, "x"), frame(FrameType::Data, 0, 0, "x"),
        frame(FrameType::Headers, kEndHeaders, 2, block),
        frame(FrameType::Headers, kEndHeaders, 0, block),
        frame(FrameType::Headers, kEndHeaders, 1, "\x80"),
        frame(FrameType::Headers, kEndHeaders | kPadded, 1, "\x5xx"),
        frame(FrameType::Headers, 0, 1, block) + frame(FrameType::Ping, 0, 0, "12345678"),
        frame(FrameType::Continuation, kEndHeaders, 1, block), frame(FrameType::Ping, 0, 0, "x"),
        frame(FrameType::Settings, 0, 0, "x"), frame(FrameType::WindowUpdate, 0, 0, zero),
        frame(FrameType::WindowUpdate, 0, 5, zero), frame(FrameType::RstStream, 0, 5, zero),
        frame(FrameType::PushPromise, 0, 1, zero), frame(FrameType::GoAway, 0, 0, "x"),
        frame(FrameType::Ping, 0, 0, std::string(kDefaultFrameBytes + 1, 'x'))}) {
    End fresh(Connection::Role::Server);
    ASSERT_TRUE(fresh.connection.receive(kPreface).has_value());
    EXPECT_FALSE(fresh.connection.receive(bytes).has_value());
    EXPECT_TRUE(fresh.connection.closing());
    EXPECT_EQ(
        parseFrameHeader(fresh.connection.output().substr(fresh.connection.output().size() - 17))
            .type,
        FrameType::GoAway)
        << "it says so";
  }
  End other(Connection::Role::Server);
  EXPECT_FALSE(other.connection.receive("GET / HTTP/1.1").has_value());
}

TEST_F(Http2, FollowsAWindowThatShrinks) {
  const auto stream = open(true);
  talk();
  std::string small;
  appendSetting(small, Setting::InitialWindowSize, 0);
  ASSERT_TRUE(server.connection.receive(frame(FrameType::Settings, 0, 0, small)).has_value());
  server.connection.sendData(stream, "held", true);
  EXPECT_EQ(server.connection.waiting(stream), 4U);
  std::string more;
  appendNumber32(more, 2);
  ASSERT_TRUE(
      server.connection.receive(frame(FrameType::WindowUpdate, 0, stream, more)).has_value());
  EXPECT_EQ(server.connection.waiting(stream), 2U);
  ASSERT_TRUE(
      server.connection.receive(frame(FrameType::WindowUpdate, 0, stream, more)).has_value());
  EXPECT_EQ(server.connection.streams(), 0U);
}

}  // namespace
}  // namespace multinet::http2
