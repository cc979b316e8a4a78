#include "nodeagent/gateway/local_health.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "lib/base/log.h"

namespace multinet::agent::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMostClients = 256;
constexpr seconds kPatience(2);
constexpr seconds kListenAgain(5);

/// On all addresses of both families, or of IPv4 where there is no other.
Result<Fd> listenAt(std::uint16_t port) {
  const std::string what = "listen at healthCheckNodePort " + std::to_string(port);
  const int on = 1;
  const int off = 0;
  Fd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const bool six = socket.valid();
  if (!six) socket = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail(errnoError(what, errno));
  static_cast<void>(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  sockaddr_in6 any6{};
  any6.sin6_family = AF_INET6;
  any6.sin6_port = htons(port);
  sockaddr_in any4{};
  any4.sin_family = AF_INET;
  any4.sin_port = htons(port);
  if (six)
    static_cast<void>(::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
  const sockaddr* any =
      six ? reinterpret_cast<const sockaddr*>(&any6) : reinterpret_cast<const sockaddr*>(&any4);
  if (::bind(socket.get(), any, six ? sizeof any6 : sizeof any4) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0) {
    return fail(errnoError(what, errno));
  }
  return socket;
}

}  // namespace

std::string answerOf(const LocalService& service) {
  const std::string count = std::to_string(service.endpoints);
  const std::string body = R"({"service":{"namespace":")" + service.nameSpace + R"(","name":")" +
                           service.name + R"("},"localEndpoints":)" + count +
                           R"(,"serviceProxyHealthy":true})";
  return std::string(service.endpoints > 0 ? "HTTP/1.1 200 OK"
                                           : "HTTP/1.1 503 Service Unavailable") +
         "\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff"
         "\r\nX-Load-Balancing-Endpoint-Weight: " +
         count + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

LocalHealth::LocalHealth(const Clock& clock)
    : clock_(clock),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      runner_("mn-healthports", clock, [this] { return wait(); }) {}

void LocalHealth::stop() {
  stopping_ = true;
  static_cast<void>(::eventfd_write(wake_.get(), 1));
  runner_.join();
}

void LocalHealth::serve(std::vector<LocalService> services) {
  {
    const std::lock_guard lock(mutex_);
    incoming_ = std::move(services);
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
}

async::Task LocalHealth::wait() {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
  std::vector<std::uint16_t> ports;
  for (const auto& [port, socket] : listening_) {
    if (clients_.size() >= kMostClients) break;
    polled.push_back({socket.get(), POLLIN, 0});
    ports.push_back(port);
  }
  BootTime next = lacks_ ? listenAt_ : BootTime::max();
  std::vector<Client*> clients;
  for (Client& one : clients_) {
    polled.push_back({one.socket.get(), POLLIN, 0});
    clients.push_back(&one);
    next = std::min(next, one.deadline);
  }
  int timeout = -1;
  if (next != BootTime::max()) {
    const auto left = std::chrono::ceil<milliseconds>(next - clock_.now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }
  static_cast<void>(::poll(polled.data(), polled.size(), timeout));
  eventfd_t count = 0;
  static_cast<void>(::eventfd_read(wake_.get(), &count));
  if (stopping_) return nullptr;
  called_.clear();
  asking_.clear();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (polled[1 + i].revents != 0) called_.push_back(ports[i]);
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (polled[1 + ports.size() + i].revents != 0) asking_.push_back(clients[i]);
  }
  return [this] { turn(); };
}

void LocalHealth::turn() {
  const BootTime now = clock_.now();
  for (Client* client : asking_) {
    // What it asks for is read, else its answer would be lost with a reset.
    char ignored[4096];
    while (::recv(client->socket.get(), ignored, sizeof ignored, 0) > 0) continue;
    if (const auto service = services_.find(client->port); service != services_.end()) {
      const std::string answer = answerOf(service->second);
      static_cast<void>(::send(client->socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
    }
    client->deadline = now;
  }
  std::erase_if(clients_, [now](const Client& one) { return now >= one.deadline; });
  for (const std::uint16_t port : called_) accept(port);
  takeServices();
  if (lacks_ && now >= listenAt_) listen();
}

void LocalHealth::accept(std::uint16_t port) {
  const auto socket = listening_.find(port);
  while (socket != listening_.end() && clients_.size() < kMostClients) {
    Fd client(::accept4(socket->second.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client.valid()) return;
    clients_.push_back({std::move(client), port, clock_.now() + kPatience});
  }
}

void LocalHealth::takeServices() {
  std::optional<std::vector<LocalService>> incoming;
  {
    const std::lock_guard lock(mutex_);
    incoming.swap(incoming_);
  }
  if (!incoming) return;
  services_.clear();
  for (LocalService& one : *incoming) services_.try_emplace(one.port, std::move(one));
  std::erase_if(listening_, [this](const auto& one) { return !services_.contains(one.first); });
  listen();
}

void LocalHealth::listen() {
  lacks_ = false;
  for (const auto& [port, service] : services_) {
    if (listening_.contains(port)) continue;
    auto socket = listenAt(port);
    if (socket) {
      listening_.emplace(port, std::move(*socket));
      continue;
    }
    lacks_ = true;
    log::warn("can't serve a healthCheckNodePort yet", {{"error", socket.error()}});
  }
  listenAt_ = clock_.now() + kListenAgain;
}

}  // namespace multinet::agent::gateway
