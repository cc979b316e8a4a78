#include "nodeagent/gateway/local_health.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

namespace multinet::agent::gateway {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

sockaddr_in at(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Fd connectTo(std::uint16_t port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = at(port);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return {};
  return socket;
}

std::string ask(std::uint16_t port) {
  const Fd socket = connectTo(port);
  if (!socket.valid()) return "";
  static_cast<void>(::send(socket.get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL));
  std::string all;
  char text[1000];
  pollfd polled{socket.get(), POLLIN, 0};
  while (::poll(&polled, 1, 5000) > 0) {
    const auto got = ::recv(socket.get(), text, sizeof text, 0);
    if (got <= 0) break;
    all.append(text, static_cast<std::size_t>(got));
  }
  return all;
}

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

std::uint16_t freePort() {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = at(0);
  socklen_t size = sizeof address;
  static_cast<void>(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size));
  static_cast<void>(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size));
  return ntohs(address.sin_port);
}

TEST(LocalHealth, AnswersAsKubeProxyDoes) {
  EXPECT_THAT(answerOf({30000, "shop", "web", 2}), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answerOf({30000, "shop", "web", 2}),
              HasSubstr(R"({"service":{"namespace":"shop","name":"web"},"localEndpoints":2,)"));
  EXPECT_THAT(answerOf({30000, "shop", "web", 0}), StartsWith("HTTP/1.1 503 "));
}

TEST(LocalHealth, ServesEachPortAndNoOther) {
  const SystemClock clock;
  LocalHealth served(clock);
  const std::uint16_t port = freePort();
  served.serve({{port, "shop", "web", 1}});
  ASSERT_TRUE(eventually([&] { return ask(port).starts_with("HTTP/1.1 200"); }));
  const Fd silent = connectTo(port);  // says nothing, and holds up nobody
  served.serve({{port, "shop", "web", 0}});
  EXPECT_TRUE(eventually([&] { return ask(port).starts_with("HTTP/1.1 503"); }));
  served.serve({});
  EXPECT_TRUE(eventually([&] { return !connectTo(port).valid(); }));
}

}  // namespace
}  // namespace multinet::agent::gateway
