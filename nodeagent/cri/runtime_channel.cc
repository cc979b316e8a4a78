#include "nodeagent/cri/runtime_channel.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "nodeagent/cri/grpc_wire.h"
#include "nodeagent/cri/hop.h"
#include "nodeagent/cri/http2_socket.h"
#include "nodeagent/cri/runtime_socket.h"

namespace multinet::agent::cri {
namespace {

constexpr std::size_t kBufferBytes = 64U << 10U;
constexpr std::string_view kService = "/runtime.v1.RuntimeService/";
/// A call that may take longer has no limit.
constexpr std::chrono::hours kLongest(24);

Error unavailable(std::string_view why) {
  return {Code::Unavailable, "RuntimeAway", "call the runtime: " + std::string(why)};
}

http2::Headers headersOf(const RuntimeCall& call, Duration left) {
  http2::Headers headers = {{":method", "POST"},
                            {":scheme", "http"},
                            {":path", std::string(kService) + call.method},
                            {":authority", "localhost"},
                            {"te", "trailers"},
                            {"content-type", "application/grpc"},
                            {"user-agent", "multinet-nodeagent"}};
  if (left < kLongest) headers.emplace_back("grpc-timeout", timeoutOf(left));
  for (const auto& [key, value] : call.metadata) {
    if (!belongsToTheHop(key)) headers.push_back(headerOf(key, value));
  }
  return headers;
}

}  // namespace

struct RuntimeChannel::Pending {
  std::function<void(RuntimeReply)> done;
  BootTime deadline;
  MessageReader reader{};
};

/// One connection and what is under way on it. Under the channel's lock.
class RuntimeChannel::Wire final : private http2::Connection::Events {
 public:
  Wire(RuntimeChannel& channel, Fd socket)
      : channel_(channel), socket_(std::move(socket), http2::Connection::Role::Client, *this) {}
  ~Wire() override = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  [[nodiscard]] bool takesCalls() const { return !gone_ && !socket_.http2().closing(); }
  [[nodiscard]] bool isOver() const {
    return gone_ || (socket_.http2().closing() && calls_.empty());
  }
  void unblock() { socket_.unblock(); }

  void begin(const http2::Headers& headers, std::string_view message, Pending pending) {
    const auto stream = socket_.http2().open(headers, false);
    if (!stream) {
      channel_.end(std::move(pending), {fail(unavailable("it takes no more calls")), {}});
      return;
    }
    calls_.emplace(*stream, std::move(pending));
    socket_.http2().sendData(*stream, framed(message), true);
    write();
  }

  void read(std::string& buffer) {
    if (const auto taken = socket_.read(buffer); !taken) close(taken.error().message);
  }

  void write() {
    if (gone_) return;
    if (const auto wrote = socket_.write(); !wrote) close(wrote.error().message);
  }

  void askPoll(const Fd& poll) {
    if (isOver()) return;
    if (const auto asked = socket_.askPoll(poll, this); !asked) close(asked.error().message);
  }

  void close(std::string_view why) {
    if (std::exchange(gone_, true)) return;
    for (auto& [stream, pending] : std::exchange(calls_, {})) {
      channel_.end(std::move(pending), {fail(unavailable(why)), {}});
    }
  }

  /// Ends what is late, and gives the earliest deadline of the rest.
  [[nodiscard]] BootTime expire(BootTime now) {
    std::vector<http2::StreamId> late;
    BootTime earliest = BootTime::max();
    for (const auto& [stream, pending] : calls_) {
      if (pending.deadline <= now) {
        late.push_back(stream);
      } else {
        earliest = std::min(earliest, pending.deadline);
      }
    }
    for (const auto stream : late) {
      socket_.http2().reset(stream, http2::ErrorCode::Cancel);
      end(stream, fail(Code::DeadlineExceeded, "RuntimeSlow", "Deadline Exceeded"), {});
    }
    return earliest;
  }

 private:
  void headers(http2::StreamId stream, http2::Headers headers, bool end) override {
    if (end) finish(stream, headers);
  }
  void data(http2::StreamId stream, std::string_view bytes, bool end) override {
    const auto found = calls_.find(stream);
    if (found == calls_.end()) return;
    found->second.reader.append(bytes);
    socket_.http2().consumed(stream, bytes.size());
    if (end) this->end(stream, fail(Code::Unknown, "NoStatus", "the runtime gave no status"), {});
  }
  void sent(http2::StreamId /*stream*/, std::size_t /*bytes*/) override {}
  void reset(http2::StreamId stream, http2::ErrorCode code) override {
    end(stream,
        fail(static_cast<Code>(statusOf(code)), "StreamReset", "the runtime reset the call"), {});
  }

  void finish(http2::StreamId stream, const http2::Headers& trailers) {
    const auto found = calls_.find(stream);
    if (found == calls_.end()) return;
    const auto code = static_cast<Code>(statusOf(trailers));
    if (code != Code::Ok) {
      return end(stream, fail(code, "Runtime", messageOf(trailers)), detailsOf(trailers));
    }
    auto message = found->second.reader.next();
    if (!message) return end(stream, fail(std::move(message).error()), {});
    if (!*message) {
      return end(stream, fail(Code::Internal, "Malformed", "the runtime's reply has no message"),
                 {});
    }
    end(stream, std::move(**message), {});
  }

  void end(http2::StreamId stream, Result<std::string> message, std::string details) {
    auto ended = calls_.extract(stream);
    if (ended.empty()) return;
    channel_.end(std::move(ended.mapped()), {std::move(message), std::move(details)});
  }

  RuntimeChannel& channel_;
  Http2Socket socket_;
  std::unordered_map<http2::StreamId, Pending> calls_;
  bool gone_ = false;
};

RuntimeChannel::RuntimeChannel(std::string endpoint, const Clock& clock)
    : endpoint_(std::move(endpoint)),
      clock_(clock),
      poll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      timer_(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)),
      buffer_(kBufferBytes, '\0'),
      runner_("cri-runtime", clock, [this] { return next(); }) {
  for (const Fd* own : {&wake_, &timer_}) {
    epoll_event event{};
    event.events = EPOLLIN;  // data.ptr stays null
    epoll_ctl(poll_.get(), EPOLL_CTL_ADD, own->get(), &event);
  }
}

RuntimeChannel::~RuntimeChannel() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& wire : wires_) wire->close("the agent is stopping");
    wake();
  }
  runner_.join();
}

void RuntimeChannel::call(const RuntimeCall& call, std::function<void(RuntimeReply)> done) {
  const Duration left = call.deadline - clock_.now();
  const bool limited = left < kLongest;
  Pending pending{std::move(done), limited ? call.deadline : BootTime::max()};
  const std::lock_guard lock(mutex_);
  if (stopping_) {
    return end(std::move(pending), {fail(unavailable("the agent is stopping")), {}});
  }
  const auto taken = wire();
  if (!taken) return end(std::move(pending), {fail(unavailable(taken.error().message)), {}});
  if (limited) armFor(call.deadline);
  (*taken)->begin(headersOf(call, left), call.message, std::move(pending));
  (*taken)->askPoll(poll_);
}

async::Task RuntimeChannel::next() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ && ended_.empty()) return nullptr;
  }
  const int count = epoll_wait(poll_.get(), events_.data(), kEvents, -1);
  return [this, count] { turn(count); };
}

void RuntimeChannel::turn(int events) {
  std::vector<Ended> ended;
  {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < events; ++i) {
      const epoll_event& event = events_.at(static_cast<std::size_t>(i));
      auto* wire = static_cast<Wire*>(event.data.ptr);
      if (wire == nullptr) continue;
      if ((event.events & EPOLLOUT) != 0) wire->unblock();
      if ((event.events & ~std::uint32_t{EPOLLOUT}) != 0) wire->read(buffer_);
    }
    eventfd_t count = 0;
    static_cast<void>(eventfd_read(wake_.get(), &count));
    expire();
    flush();
    ended.swap(ended_);
  }
  for (Ended& one : ended) one.done(std::move(one.reply));
}

Result<RuntimeChannel::Wire*> RuntimeChannel::wire() {
  if (!wires_.empty() && wires_.back()->takesCalls()) return wires_.back().get();
  MULTINET_TRY(Fd socket, connectRuntime(endpoint_));
  wires_.push_back(std::make_unique<Wire>(*this, std::move(socket)));
  return wires_.back().get();
}

void RuntimeChannel::end(Pending pending, RuntimeReply reply) {
  ended_.push_back({std::move(pending.done), std::move(reply)});
  if (!runner_.onThread()) wake();
}

void RuntimeChannel::wake() const {
  eventfd_write(wake_.get(), 1);
}

void RuntimeChannel::flush() {
  for (const auto& wire : wires_) {
    wire->write();
    wire->askPoll(poll_);
  }
  std::erase_if(wires_, [](const auto& wire) { return wire->isOver(); });
}

void RuntimeChannel::armFor(BootTime deadline) {
  if (deadline >= rings_) return;
  rings_ = deadline;
  const auto left =
      std::max<std::chrono::nanoseconds>(deadline - clock_.now(), std::chrono::nanoseconds(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  itimerspec spec{};
  spec.it_value.tv_sec = seconds.count();
  spec.it_value.tv_nsec = (left - seconds).count();
  timerfd_settime(timer_.get(), 0, &spec, nullptr);
}

void RuntimeChannel::expire() {
  std::uint64_t rings = 0;
  if (::read(timer_.get(), &rings, sizeof(rings)) < 0) return;  // it hasn't rung
  BootTime earliest = BootTime::max();
  for (const auto& wire : wires_) earliest = std::min(earliest, wire->expire(clock_.now()));
  rings_ = BootTime::max();
  if (earliest != BootTime::max()) armFor(earliest);
}

}  // namespace multinet::agent::cri
