#include "nodeagent/gateway/checker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "lib/base/log.h"
#include "lib/base/socket_address.h"

namespace multinet::agent::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// At once: an endpoint that says more is heard in its next turn.
constexpr std::size_t kMostRead = 4096;

Answer failed(const Check& check, int error) {
  const char* reason = error == ECONNREFUSED ? "Refused" : "Unreachable";
  return {false, reason, textOf(check) + ": " + std::strerror(error)};
}

/// Nobody's next probe waits for the end of a connection: it is reset.
void closeAtOnce(Fd& socket) {
  const linger none{1, 0};
  static_cast<void>(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none));
  socket = Fd();
}

}  // namespace

Checker::Checker(Found found, const Clock& clock)
    : found_(std::move(found)),
      clock_(clock),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      runner_("mn-checks", clock, [this] { return wait(); }) {}

void Checker::stop() {
  stopping_ = true;
  static_cast<void>(::eventfd_write(wake_.get(), 1));
  runner_.join();
}

void Checker::follow(std::vector<Check> checks) {
  {
    const std::lock_guard lock(mutex_);
    incoming_ = std::move(checks);
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
}

async::Task Checker::wait() {
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
  std::vector<One*> asked;
  const BootTime now = clock_.now();
  BootTime next = BootTime::max();
  for (auto& [key, one] : all_) {
    if (one.socket.valid()) {
      const bool hasOutput = one.exchange != nullptr && !one.exchange->output().empty();
      const int events = !one.connected ? POLLOUT : hasOutput ? POLLIN | POLLOUT : POLLIN;
      polled.push_back({one.socket.get(), static_cast<short>(events), 0});
      asked.push_back(&one);
      next = std::min(next, one.deadline);
    } else if (one.check.netns != nullptr && asking_ < kAsking) {
      next = std::min(next, one.due);
    }
  }
  int timeout = -1;
  if (next != BootTime::max()) {
    const auto left = std::chrono::ceil<milliseconds>(next - now).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }
  static_cast<void>(::poll(polled.data(), polled.size(), timeout));
  eventfd_t count = 0;
  static_cast<void>(::eventfd_read(wake_.get(), &count));
  if (stopping_) return nullptr;
  ready_.clear();
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (polled[i + 1].revents != 0) ready_.push_back(asked[i]);
  }
  return [this] { turn(); };
}

void Checker::turn() {
  if (!home_) {
    auto home = netns::openHome();
    if (!home) return log::error("can't check endpoints", {{"error", home.error()}});
    home_ = std::move(*home);
  }
  for (One* one : ready_) goOn(*one);
  ready_.clear();
  takeChecks();
  const BootTime now = clock_.now();
  for (auto& [key, one] : all_) {
    if (one.socket.valid() && now >= one.deadline) {
      end(one, {false, "TimedOut",
                textOf(one.check) + ": no answer within " +
                    std::to_string(one.check.how.timeout()) + " s"});
    }
  }
  // Those first that have waited longest.
  std::vector<One*> due;
  for (auto& [key, one] : all_) {
    if (!one.socket.valid() && one.check.netns != nullptr && now >= one.due) due.push_back(&one);
  }
  std::ranges::sort(due, {}, &One::due);
  for (One* one : due) {
    if (asking_ >= kAsking) break;
    begin(*one);
  }
}

void Checker::takeChecks() {
  std::optional<std::vector<Check>> incoming;
  {
    const std::lock_guard lock(mutex_);
    incoming.swap(incoming_);
  }
  if (!incoming) return;
  std::set<std::pair<PodUid, NetworkUid>> interfaces;
  for (const auto& [interface, health] : told_) interfaces.insert(interface);
  std::map<Key, One> before = std::exchange(all_, {});
  for (Check& check : *incoming) {
    const Key key{check.pod, check.network, check.serviceUid};
    interfaces.emplace(check.pod, check.network);
    auto had = before.extract(key);
    if (had.empty()) {
      One one;
      one.check = std::move(check);
      all_.insert_or_assign(key, std::move(one));
      continue;
    }
    One& one = had.mapped();
    // What is under way asks the old place: it is asked anew.
    if (one.socket.valid() && (one.check.target != check.target || one.check.how != check.how)) {
      closeAtOnce(one.socket);
      --asking_;
      one.due = {};
    }
    one.check = std::move(check);
    all_.insert(std::move(had));
  }
  for (auto& [key, one] : before) {
    if (one.socket.valid()) --asking_;
  }
  for (const auto& [pod, network] : interfaces) tell(pod, network);
}

void Checker::begin(One& one) {
  one.due = clock_.now() + seconds(one.check.how.period());
  const SocketAddress to(one.check.target.address, one.check.target.port);
  {
    const auto scope = netns::Scope::enter(*one.check.netns, *home_);
    // Of a gateway that is being taken away: no answer, no verdict.
    if (!scope) return log::warn("can't enter a gateway", {{"error", scope.error()}});
    one.socket = Fd(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  if (!one.socket.valid()) return;
  ++asking_;
  one.deadline = clock_.now() + seconds(one.check.how.timeout());
  one.connected = false;
  one.exchange.reset();
  if (::connect(one.socket.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) {
    end(one, failed(one.check, errno));
  }
}

void Checker::goOn(One& one) {
  if (!one.connected) return connected(one);
  char bytes[kMostRead];
  const auto got = ::recv(one.socket.get(), bytes, sizeof bytes, 0);
  if (got < 0 && errno != EAGAIN && errno != EINTR) return end(one, failed(one.check, errno));
  if (got == 0) return end(one, one.exchange->closed());
  if (got > 0) {
    auto answer = one.exchange->receive({bytes, static_cast<std::size_t>(got)});
    if (answer) return end(one, std::move(*answer));
  }
  write(one);
}

void Checker::connected(One& one) {
  int error = 0;
  socklen_t size = sizeof error;
  static_cast<void>(::getsockopt(one.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size));
  if (error != 0) return end(one, failed(one.check, error));
  one.connected = true;
  auto exchange = exchangeFor(one.check);
  if (!exchange) {
    const Error& why = exchange.error();
    return end(one, {false, why.reason, textOf(one.check) + ": " + why.message});
  }
  one.exchange = std::move(*exchange);
  if (one.exchange == nullptr) {
    return end(one, {true, "Connected", textOf(one.check) + ": accepted"});
  }
  write(one);
}

void Checker::write(One& one) {
  const std::string_view output = one.exchange->output();
  if (output.empty()) return;
  const auto sent = ::send(one.socket.get(), output.data(), output.size(), MSG_NOSIGNAL);
  if (sent > 0) return one.exchange->wrote(static_cast<std::size_t>(sent));
  if (errno != EAGAIN && errno != EINTR) end(one, failed(one.check, errno));
}

void Checker::end(One& one, Answer answer) {
  closeAtOnce(one.socket);
  one.exchange.reset();
  --asking_;
  if (!one.verdict.hear(answer, one.check.how)) return;
  log::info("an endpoint's health is another", {{"pod", one.check.pod},
                                                {"service", one.check.service},
                                                {"healthy", answer.healthy},
                                                {"message", answer.message}});
  tell(one.check.pod, one.check.network);
}

void Checker::tell(const PodUid& pod, const NetworkUid& network) {
  Health health;
  for (auto one = all_.lower_bound({pod, network, ""});
       one != all_.end() && std::get<0>(one->first) == pod && std::get<1>(one->first) == network;
       ++one) {
    if (health.checked.size() == api::kMostHealth) break;
    const Check& check = one->second.check;
    health.checked.insert(check.serviceUid);
    const auto& verdict = one->second.verdict.now();
    if (!verdict) continue;
    health.found.push_back(
        {check.service, check.serviceUid, verdict->healthy, verdict->reason, verdict->message});
  }
  std::ranges::sort(health.found, {}, &api::InterfaceHealth::service);
  const std::pair interface(pod, network);
  const auto before = told_.find(interface);
  if (before != told_.end() && before->second == health) return;
  found_(pod, network, health);
  if (health.checked.empty()) {
    told_.erase(interface);
  } else {
    told_[interface] = std::move(health);
  }
}

}  // namespace multinet::agent::gateway
