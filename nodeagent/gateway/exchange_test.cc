#include "nodeagent/gateway/exchange.h"

#include <gmock/gmock.h>

#include "lib/http2/connection.h"

namespace multinet::agent::gateway {
namespace {

using http2::Connection;
using http2::Headers;
using http2::StreamId;
using testing::HasSubstr;

Check checkOf(api::HealthCheck how) {
  Check check;
  check.target = {IpAddress::parse("10.20.0.5").value(), 8080};
  check.how = std::move(how);
  return check;
}
Check byGrpc(const std::string& service = "") {
  api::HealthCheck how;
  how.grpc = api::GrpcCheck{{8080, ""}, service};
  return checkOf(how);
}
Check byHttp(api::HttpScheme scheme) {
  api::HealthCheck how;
  how.httpGet = api::HttpGetCheck{{8080, ""}, "/healthz", scheme};
  return checkOf(how);
}

std::string said(Exchange& exchange) {
  std::string bytes(exchange.output());
  exchange.wrote(bytes.size());
  return bytes;
}

/// A server of gRPC that gives one answer.
class Server final : public Connection::Events {
 public:
  struct Reply {
    std::string status = "200";
    std::string message = std::string("\0\0\0\0\2\x08\x01", 7);  // SERVING
    std::string grpcStatus = "0";
    bool hangs = false;
    bool resets = false;
  };
  explicit Server(Reply reply)
      : reply_(std::move(reply)), connection_(Connection::Role::Server, *this) {}

  /// Until it has an answer or nobody says any more.
  std::optional<Answer> talk(Exchange& exchange, std::size_t piece) {
    while (true) {
      const std::string bytes = said(exchange);
      EXPECT_TRUE(connection_.receive(bytes));
      const std::string back(connection_.output().substr(0, piece));
      if (bytes.empty() && back.empty()) return std::nullopt;
      connection_.wrote(back.size());
      if (auto answer = exchange.receive(back)) return answer;
    }
  }

  Headers request;
  std::string asked;

 private:
  void headers(StreamId /*stream*/, Headers headers, bool /*end*/) override {
    request = std::move(headers);
  }
  void data(StreamId stream, std::string_view bytes, bool end) override {
    asked.append(bytes);
    if (!end || reply_.hangs) return;
    if (reply_.resets) return connection_.reset(stream, http2::ErrorCode::RefusedStream);
    const Headers trailers = {{"grpc-status", reply_.grpcStatus}};
    if (reply_.message.empty()) {  // trailers alone
      return connection_.sendHeaders(
          stream, {{":status", reply_.status}, {"grpc-status", reply_.grpcStatus}}, true);
    }
    connection_.sendHeaders(stream, {{":status", reply_.status}}, false);
    connection_.sendData(stream, reply_.message, false);
    connection_.sendHeaders(stream, trailers, true);
  }
  void sent(StreamId /*stream*/, std::size_t /*bytes*/) override {}
  void reset(StreamId /*stream*/, http2::ErrorCode /*code*/) override {}

  const Reply reply_;
  Connection connection_;
};

Answer answerTo(const Check& check, const Server::Reply& reply, std::size_t piece = 1000) {
  const auto exchange = exchangeFor(check).value();
  Server server(reply);
  return server.talk(*exchange, piece).value_or(Answer{false, "Waits", ""});
}

TEST(GrpcExchange, AsksAsTheProtocolSays) {
  const auto exchange = exchangeFor(byGrpc("shop.v1.Cart")).value();
  Server server({});
  const auto answer = server.talk(*exchange, 1);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->healthy);
  EXPECT_EQ(answer->reason, "Serving");
  EXPECT_EQ(answer->message, "gRPC health of \"shop.v1.Cart\" at 10.20.0.5:8080: SERVING");
  EXPECT_EQ(http2::valueOf(server.request, ":path"), "/grpc.health.v1.Health/Check");
  EXPECT_EQ(http2::valueOf(server.request, ":authority"), "10.20.0.5:8080");
  EXPECT_EQ(http2::valueOf(server.request, "content-type"), "application/grpc");
  EXPECT_EQ(http2::valueOf(server.request, "te"), "trailers");
  EXPECT_EQ(server.asked, std::string("\0\0\0\0\x0e\x0a\x0cshop.v1.Cart", 19));
}

TEST(GrpcExchange, NamesOfAnyLengthAndNone) {
  Server none({});
  EXPECT_TRUE(none.talk(*exchangeFor(byGrpc()).value(), 1000)->healthy);
  EXPECT_EQ(none.asked, std::string(5, '\0'));
  Server longest({});
  const std::string name(api::kMostGrpcService, 'a');
  EXPECT_TRUE(longest.talk(*exchangeFor(byGrpc(name)).value(), 1000)->healthy);
  EXPECT_EQ(longest.asked, std::string("\0\0\0\1\3\x0a\x80\2", 8) + name);
}

TEST(GrpcExchange, OnlyServingIsHealthy) {
  const auto message = [](const std::string& bytes) {
    return std::string(4, '\0') + static_cast<char>(bytes.size()) + bytes;
  };
  struct Case {
    Server::Reply reply;
    const char* reason;
    const char* message;
  };
  const Case cases[] = {
      {{.message = message("\x08\x02")}, "NotServing", ": NOT_SERVING"},
      {{.message = message("")}, "NotServing", ": UNKNOWN"},
      {{.message = message("\x08\x03")}, "NotServing", ": SERVICE_UNKNOWN"},
      {{.message = message("\x08\x63")}, "NotServing", ": 99"},
      {{.message = "", .grpcStatus = "5"}, "BadStatus", ": NOT_FOUND"},
      {{.message = "", .grpcStatus = "12"}, "BadStatus", ": UNIMPLEMENTED"},
      {{.grpcStatus = "77"}, "BadStatus", ": 77"},
      {{.message = "", .grpcStatus = "0"}, "NoGrpc", ": the answer is no HealthCheckResponse"},
      {{.grpcStatus = ""}, "NoGrpc", ": the answer has no grpc-status"},
      {{.grpcStatus = "ok"}, "NoGrpc", ": the answer has no grpc-status"},
      {{.status = "404"}, "NoGrpc", ": HTTP status 404"},
      {{.message = message("\x08")}, "NoGrpc", "no HealthCheckResponse"},
      {{.message = message("\x12\x05"
                           "a")},
       "NoGrpc",
       "no HealthCheckResponse"},
      {{.message = std::string("\1\0\0\0\2\x08\1", 7)}, "NoGrpc", "no HealthCheckResponse"},
      {{.message = std::string("\0\0\0\0\3\x08\1", 7)}, "NoGrpc", "no HealthCheckResponse"},
      {{.resets = true}, "NoGrpc", ": the stream was reset, error 7"},
      {{.hangs = true}, "Waits", ""}};
  for (const Case& one : cases) {
    const Answer answer = answerTo(byGrpc(), one.reply);
    EXPECT_FALSE(answer.healthy) << one.message;
    EXPECT_EQ(answer.reason, one.reason);
    EXPECT_THAT(answer.message, HasSubstr(one.message));
  }
  // A newer server's field is passed over.
  EXPECT_TRUE(answerTo(byGrpc(), {.message = message("\x12\1a\x08\1")}).healthy);
}

TEST(GrpcExchange, WhoeverSpeaksSomethingElseIsToldApart) {
  const auto exchange = exchangeFor(byGrpc()).value();
  const auto answer = exchange->receive("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->reason, "NoGrpc");
  EXPECT_EQ(exchangeFor(byGrpc()).value()->closed().reason, "NoGrpc");
}

// One that talks on and never answers takes no more of the agent than this.
TEST(GrpcExchange, NobodyTalksForEver) {
  const auto exchange = exchangeFor(byGrpc()).value();
  std::string flood;
  http2::appendFrameHeader(flood, {0, http2::FrameType::Settings, 0, 0});
  for (int i = 0; i < 400; ++i) http2::appendPing(flood, "12345678", 0);
  std::optional<Answer> answer;
  for (int i = 0; i < 40 && !answer; ++i) {
    answer = exchange->receive(flood);
    flood.clear();
    for (int ping = 0; ping < 400; ++ping) http2::appendPing(flood, "12345678", 0);
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->reason, "TooLong");
  EXPECT_LT(exchange->output().size(), 512U << 10U);
}

TEST(HttpExchange, SaysWhatItAsksAndHearsTheStatusInPieces) {
  const auto exchange = exchangeFor(byHttp(api::HttpScheme::HTTP)).value();
  EXPECT_THAT(said(*exchange), testing::StartsWith("GET /healthz HTTP/1.1\r\n"));
  EXPECT_EQ(said(*exchange), "");
  EXPECT_FALSE(exchange->receive("HTTP/1.1 2"));
  EXPECT_TRUE(exchange->receive("04 ")->healthy);
  EXPECT_EQ(exchange->closed().reason, "NoHttp");
}

TEST(HttpsExchange, SaysNothingInTheClear) {
  const auto exchange = exchangeFor(byHttp(api::HttpScheme::HTTPS)).value();
  const std::string hello = said(*exchange);
  EXPECT_EQ(hello.substr(0, 2), "\x16\x03") << "a record of the handshake";
  EXPECT_EQ(hello.find("GET"), std::string::npos);
  EXPECT_EQ(exchange->closed().reason, "TlsFailed");
  const auto answer = exchange->receive("HTTP/1.0 400 Bad Request\r\n\r\n");
  ASSERT_TRUE(answer) << "a server without TLS";
  EXPECT_EQ(answer->reason, "TlsFailed");
  EXPECT_THAT(answer->message, HasSubstr("GET https://10.20.0.5:8080/healthz: TLS handshake"));
}

TEST(Exchange, AConnectionThatIsAcceptedIsTheAnswerOfASocket) {
  api::HealthCheck how;
  how.tcpSocket = api::TcpSocketCheck{{8080, ""}};
  EXPECT_EQ(exchangeFor(checkOf(how)).value(), nullptr);
}

}  // namespace
}  // namespace multinet::agent::gateway
