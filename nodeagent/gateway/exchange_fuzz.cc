// Whatever an endpoint says to a health check, in whatever pieces: no crash, and by HTTP and gRPC
// the pieces don't matter.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "nodeagent/gateway/exchange.h"

namespace {

using namespace multinet;
using namespace multinet::agent::gateway;

Check checkBy(unsigned way) {
  Check check;
  check.target = {IpAddress::fromV4({10, 20, 0, 5}), 80};
  if (way == 0) {
    check.how.grpc = api::GrpcCheck{{80, ""}, "a"};
  } else {
    check.how.httpGet = api::HttpGetCheck{{80, ""}, "/", {}};
    if (way == 2) check.how.httpGet->scheme = api::HttpScheme::HTTPS;
  }
  return check;
}

/// What it comes to; empty while it says nothing.
std::string heard(const Check& check, std::string_view bytes, std::size_t piece) {
  auto exchange = exchangeFor(check);
  if (!exchange) return "";
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    (*exchange)->wrote((*exchange)->output().size());
    if (const auto answer = (*exchange)->receive(part)) {
      if (answer->reason.empty() || answer->message.size() > 1024) std::abort();
      return (answer->healthy ? "+" : "-") + answer->reason + answer->message;
    }
  }
  if ((*exchange)->closed().healthy) std::abort();
  return "";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Check check = checkBy(data[0] % 3U);
  const std::string bytes(data + 2, data + size);
  const std::size_t piece = std::max<std::size_t>(data[1], 1);
  const std::string whole = heard(check, bytes, bytes.size());
  const std::string pieces = heard(check, bytes, piece);
  if (data[0] % 3U != 2 && whole != pieces) std::abort();
  return 0;
}
