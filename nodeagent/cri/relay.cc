#include "nodeagent/cri/relay.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "lib/base/log.h"
#include "nodeagent/cri/exchange.h"
#include "nodeagent/cri/runtime_socket.h"

namespace multinet::agent::cri {
namespace {

using std::chrono::milliseconds;
using Role = http2::Connection::Role;

constexpr std::size_t kBufferBytes = 256U << 10U;
/// How often a stop looks whether all has ended.
constexpr milliseconds kLook(5);
/// How long a caller without calls may take to end its connection. Who finds it ended from here
/// can't know whether what he is sending was taken.
constexpr milliseconds kParting(200);

Fd makePoll(const Inbox& inbox) {
  Fd poll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;  // data.ptr stays null: the inbox
  epoll_ctl(poll.get(), EPOLL_CTL_ADD, inbox.descriptor(), &event);
  return poll;
}

}  // namespace

Relay::Relay(RelayOptions options)
    : options_(std::move(options)),
      poll_(makePoll(*inbox_)),
      buffer_(kBufferBytes, '\0'),
      runner_("cri-relay", *options_.clock, [this] { return next(); }) {
  if (const auto usable = checkEndpoint(options_.runtime); !usable) {
    log::error("no call can be relayed", {{"error", usable.error()}});
  }
}

Relay::~Relay() {
  stop(milliseconds(0));
}

void Relay::add(Fd connection) {
  const auto shared = std::make_shared<Fd>(std::move(connection));
  inbox_->post([this, shared] { adopt(std::move(*shared), Role::Server); });
}

void Relay::awaitQuiet(milliseconds limit) {
  std::unique_lock lock(mutex_);
  quiet_.wait_for(lock, limit, [this] { return finite_ == 0; });
}

void Relay::stop(milliseconds drain) {
  if (std::exchange(stopped_, true)) return;
  inbox_->post([this, until = std::chrono::steady_clock::now() + drain] { beginStop(until); });
  runner_.join();
}

// All that follows runs on the relay's thread.

async::Task Relay::next() {
  if (ended_) return nullptr;
  inbox_->belong();
  const int limit = stopsAt_ ? static_cast<int>(kLook.count()) : -1;
  const int count = epoll_wait(poll_.get(), events_.data(), kEvents, limit);
  return [this, count] { turn(count); };
}

void Relay::turn(int events) {
  for (int i = 0; i < events; ++i) {
    const epoll_event& event = events_.at(static_cast<std::size_t>(i));
    auto* peer = static_cast<Peer*>(event.data.ptr);
    if (peer == nullptr) {
      inbox_->runAll();
      continue;
    }
    if ((event.events & EPOLLOUT) != 0) peer->unblock();
    if ((event.events & ~std::uint32_t{EPOLLOUT}) != 0 && !peer->gone()) peer->read(buffer_);
  }
  writeAll();
  dropGone();
  if (stopsAt_ && drained()) end();
}

void Relay::end() {
  inbox_->close();
  for (const auto& peer : peers_) peer->close("the agent is stopping");
  peers_.clear();
  ended_ = true;
}

void Relay::writeAll() {
  // What one writes opens the window of another.
  for (bool again = true; again;) {
    again = false;
    // By number: closing one may open another.
    for (std::size_t i = 0; i < peers_.size(); ++i) again = peers_[i]->write() || again;
  }
  for (const auto& peer : peers_) peer->askPoll(poll_);
}

void Relay::dropGone() {
  if (runtime_ != nullptr && runtime_->gone()) runtime_ = nullptr;
  if (own_ != nullptr && own_->gone()) own_ = nullptr;
  std::erase_if(peers_, [this](const std::unique_ptr<Peer>& peer) {
    // A runtime that takes no more calls keeps those that it has.
    const bool over = !peer->ofKubelet() && peer.get() != runtime_ && peer.get() != own_ &&
                      peer->http2().streams() == 0 && peer->http2().output().empty();
    return peer->gone() || over;
  });
  countCallers();
}

void Relay::countCallers() {
  callers_ = static_cast<std::size_t>(
      std::ranges::count_if(peers_, [](const auto& peer) { return peer->ofKubelet(); }));
}

Peer& Relay::adopt(Fd socket, Role role) {
  peers_.push_back(std::make_unique<Peer>(*this, std::move(socket), role));
  peers_.back()->askPoll(poll_);
  return *peers_.back();
}

Result<Peer*> Relay::peerFor(std::string_view method) {
  const bool own = !options_.ownService.empty() && method.starts_with(options_.ownService);
  Peer*& peer = own ? own_ : runtime_;
  if (peer != nullptr && !peer->gone() && !peer->http2().closing()) return peer;
  MULTINET_TRY(Fd socket, own ? options_.connectOwn() : connectRuntime(options_.runtime));
  peer = &adopt(std::move(socket), Role::Client);
  return peer;
}

void Relay::began(const Exchange& call) {
  if (call.endless()) return;
  const std::lock_guard lock(mutex_);
  ++finite_;
}

void Relay::ended(const Exchange& call, std::string_view method, int code) {
  if (options_.called) options_.called(method, code);
  if (call.endless()) return;
  const std::lock_guard lock(mutex_);
  if (--finite_ == 0) quiet_.notify_all();
}

void Relay::beginStop(Time until) {
  stopsAt_ = until;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    Peer& peer = *peers_[i];
    if (!peer.ofKubelet()) continue;
    peer.http2().goAway();
    for (const auto& call : peer.calls()) {
      if (call->endless()) call->endNow();
    }
  }
}

bool Relay::drained() {
  if (std::chrono::steady_clock::now() >= *stopsAt_) {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (!peers_[i]->ofKubelet()) continue;
      for (const auto& call : peers_[i]->calls()) call->endNow();
    }
    writeAll();
    return true;
  }
  bool callers = false;
  for (const auto& peer : peers_) {
    if (!peer->ofKubelet()) continue;
    if (!peer->http2().drained() || !peer->http2().output().empty()) return false;
    callers = true;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!drainedAt_) drainedAt_ = now;
  return !callers || now >= *drainedAt_ + kParting;
}

}  // namespace multinet::agent::cri
