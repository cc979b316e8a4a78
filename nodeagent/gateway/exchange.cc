#include "nodeagent/gateway/exchange.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "lib/http2/connection.h"
#include "lib/tls/unchecked_client.h"

namespace multinet::agent::gateway {
namespace {

/// More than a status line, certificates or a message of two bytes needs.
constexpr std::size_t kMostReceived = 128U << 10U;

Answer tooLong(const std::string& what) {
  return {false, "TooLong", what + ": no answer in the first 128 KiB"};
}

class Http final : public Exchange {
 public:
  explicit Http(Check check) : check_(std::move(check)), request_(requestOf(check_)) {}

  [[nodiscard]] std::string_view output() const override { return request_; }
  void wrote(std::size_t bytes) override { request_.erase(0, bytes); }
  [[nodiscard]] std::optional<Answer> receive(std::string_view bytes) override {
    received_.append(bytes);
    return judge(check_, received_);
  }
  [[nodiscard]] Answer closed() override {
    return {false, "NoHttp", textOf(check_) + ": closed without an answer"};
  }

 private:
  const Check check_;
  std::string request_;
  std::string received_;
};

class Https final : public Exchange {
 public:
  Https(Check check, tls::UncheckedClient client)
      : check_(std::move(check)), client_(std::move(client)) {
    client_.send(requestOf(check_));
  }

  [[nodiscard]] std::string_view output() const override { return client_.output(); }
  void wrote(std::size_t bytes) override { client_.wrote(bytes); }
  [[nodiscard]] std::optional<Answer> receive(std::string_view bytes) override {
    read_ += bytes.size();
    const Status heard = client_.receive(bytes);
    // A server that answered may break off, or ask for the client's certificate, after that.
    received_.append(client_.take());
    if (auto answer = judge(check_, received_)) return answer;
    if (!heard) return Answer{false, "TlsFailed", textOf(check_) + ": " + heard.error().message};
    if (read_ > kMostReceived) return tooLong(textOf(check_));
    return std::nullopt;
  }
  [[nodiscard]] Answer closed() override {
    if (client_.established()) {
      return {false, "NoHttp", textOf(check_) + ": closed without an answer"};
    }
    return {false, "TlsFailed", textOf(check_) + ": closed during the TLS handshake"};
  }

 private:
  const Check check_;
  tls::UncheckedClient client_;
  std::size_t read_ = 0;
  std::string received_;
};

/// Codes of gRPC (grpc/doc/statuscodes.md).
constexpr std::array kGrpcCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
/// HealthCheckResponse.ServingStatus (grpc.health.v1, health.proto).
constexpr std::array kServing = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};

template <class Names>
std::string nameIn(const Names& names, std::uint64_t number) {
  return number < names.size() ? names.at(number) : std::to_string(number);
}

/// A varint at the front of `bytes`, which it is taken from (protobuf's encoding guide).
std::optional<std::uint64_t> takeVarint(std::string_view& bytes) {
  constexpr unsigned kBits = 7;
  constexpr std::size_t kMostBytes = 10;
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes.size() && i < kMostBytes; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    number |= static_cast<std::uint64_t>(byte & 0x7fU) << (kBits * i);
    if (byte < 0x80U) {
      bytes.remove_prefix(i + 1);
      return number;
    }
  }
  return std::nullopt;
}

/// HealthCheckRequest{service} behind the five bytes of a message of gRPC. Two bytes of length are
/// enough: a service's name is bounded.
std::string healthRequest(const std::string& service) {
  std::string message;
  if (!service.empty()) {
    message += '\x0a';
    if (service.size() >= 0x80) {
      message += static_cast<char>((service.size() & 0x7fU) | 0x80U);
      message += static_cast<char>(service.size() >> 7U);
    } else {
      message += static_cast<char>(service.size());
    }
    message += service;
  }
  std::string framed(1, '\0');  // not compressed
  http2::appendNumber32(framed, static_cast<std::uint32_t>(message.size()));
  return framed + message;
}

/// HealthCheckResponse's status; nothing where it isn't a whole one.
std::optional<std::uint64_t> servingStatus(std::string_view framed) {
  constexpr std::size_t kFrame = 5;
  if (framed.size() < kFrame || framed[0] != '\0') return std::nullopt;
  if (http2::number32(framed.substr(1)) != framed.size() - kFrame) return std::nullopt;
  framed.remove_prefix(kFrame);
  std::uint64_t status = 0;  // as proto3 leaves it out
  while (!framed.empty()) {
    const auto tag = takeVarint(framed);
    const auto kind = tag.value_or(0) & 7U;
    const auto value = !tag || (kind != 0 && kind != 2) ? std::nullopt : takeVarint(framed);
    if (!value) return std::nullopt;
    if (kind == 2) {
      if (*value > framed.size()) return std::nullopt;
      framed.remove_prefix(*value);
    } else if (*tag == 0x08) {
      status = *value;
    }
  }
  return status;
}

class Grpc final : public Exchange, private http2::Connection::Events {
 public:
  explicit Grpc(const Check& check)
      : what_(textOf(check)), connection_(http2::Connection::Role::Client, *this) {
    const http2::Headers request = {{":method", "POST"},
                                    {":scheme", "http"},
                                    {":path", "/grpc.health.v1.Health/Check"},
                                    {":authority", authorityOf(check.target)},
                                    {"content-type", "application/grpc"},
                                    {"te", "trailers"},
                                    {"user-agent", kCheckAgent}};
    if (const auto stream = connection_.open(request, false)) {
      connection_.sendData(*stream, healthRequest(check.how.grpc->service), true);
    }
  }

  [[nodiscard]] std::string_view output() const override { return connection_.output(); }
  void wrote(std::size_t bytes) override { connection_.wrote(bytes); }
  [[nodiscard]] std::optional<Answer> receive(std::string_view bytes) override {
    read_ += bytes.size();
    const Status heard = connection_.receive(bytes);
    if (answer_) return answer_;
    if (!heard) return Answer{false, "NoGrpc", what_ + ": " + heard.error().message};
    if (read_ > kMostReceived) return tooLong(what_);
    return std::nullopt;
  }
  [[nodiscard]] Answer closed() override {
    return {false, "NoGrpc", what_ + ": closed without an answer"};
  }

 private:
  void headers(http2::StreamId /*stream*/, http2::Headers headers, bool end) override {
    if (!hasHead_) {
      hasHead_ = true;
      const auto status = http2::valueOf(headers, ":status");
      if (status != "200") {
        answer_ = Answer{false, "NoGrpc", what_ + ": HTTP status " + text(status)};
        return;
      }
    }
    if (end) conclude(http2::valueOf(headers, "grpc-status"));
  }
  void data(http2::StreamId stream, std::string_view bytes, bool end) override {
    message_.append(bytes);
    connection_.consumed(stream, bytes.size());
    if (end) conclude("");
  }
  void sent(http2::StreamId /*stream*/, std::size_t /*bytes*/) override {}
  void reset(http2::StreamId /*stream*/, http2::ErrorCode code) override {
    if (answer_) return;
    answer_ = Answer{false, "NoGrpc",
                     what_ + ": the stream was reset, error " +
                         std::to_string(static_cast<std::uint32_t>(code))};
  }

  void conclude(std::string_view status) {
    if (answer_) return;
    std::uint64_t code = 0;
    const auto* end = status.data() + status.size();
    if (status.empty() || std::from_chars(status.data(), end, code).ptr != end) {
      answer_ = Answer{false, "NoGrpc", what_ + ": the answer has no grpc-status"};
    } else if (code != 0) {
      answer_ = Answer{false, "BadStatus", what_ + ": " + nameIn(kGrpcCodes, code)};
    } else if (const auto serving = servingStatus(message_); !serving) {
      answer_ = Answer{false, "NoGrpc", what_ + ": the answer is no HealthCheckResponse"};
    } else {
      const bool healthy = *serving == 1;
      answer_ = Answer{healthy, healthy ? "Serving" : "NotServing",
                       what_ + ": " + nameIn(kServing, *serving)};
    }
  }
  /// What the endpoint says goes into an object of the API.
  static std::string text(std::string_view status) {
    const bool isCode =
        status.size() == 3 && status.find_first_not_of("0123456789") == std::string_view::npos;
    return isCode ? std::string(status) : "missing";
  }

  const std::string what_;
  http2::Connection connection_;
  bool hasHead_ = false;
  std::size_t read_ = 0;
  std::string message_;
  std::optional<Answer> answer_;
};

}  // namespace

Result<std::unique_ptr<Exchange>> exchangeFor(const Check& check) {
  if (check.how.grpc) return std::make_unique<Grpc>(check);
  if (!check.how.httpGet) return nullptr;
  if (check.how.httpGet->scheme != api::HttpScheme::HTTPS) return std::make_unique<Http>(check);
  MULTINET_TRY(auto client, tls::UncheckedClient::begin());
  return std::make_unique<Https>(check, std::move(client));
}

}  // namespace multinet::agent::gateway
