// One connection of the server, over TLS or plain. Internal: only server.cc includes this, since it
// brings Beast in.
#pragma once

// Boost 1.74's awaitable.hpp needs std::exchange and doesn't ask for it (asio issue 944).
#include <utility>
//
#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "lib/base/log.h"
#include "lib/http/message.h"
#include "lib/http/server.h"

namespace multinet::http::internal {

namespace beast = boost::beast;
namespace net = boost::asio;
using Tcp = net::ip::tcp;
using ErrorCode = beast::error_code;

/// A connection as the server sees it. Both calls may come from any thread.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Closes it if it waits for a request.
  virtual void closeIfIdle() = 0;
  virtual void cut() = 0;
};

/// What all connections of a server share, and who they are. Thread-safe.
class Connections {
 public:
  Connections(const Limits& l, AsyncHandler h) : limits(l), handler(std::move(h)) {}

  /// Whether one more of this source may come. Where there is no room, another is cut for it.
  bool admit(const std::string& source) {
    std::shared_ptr<Connection> cut;
    {
      const std::lock_guard lock(mutex_);
      const auto own = ofSource_.find(source);
      const bool sourceIsFull = own != ofSource_.end() && own->second >= limits.perSource;
      if (!sourceIsFull && staying_ < limits.connections) return true;
      Entry* idlest = findIdlest(sourceIsFull ? &source : nullptr);
      if (idlest == nullptr) return false;
      leave(*idlest);
      cut = idlest->connection.lock();
    }
    ++evicted;
    if (cut) cut->cut();
    return true;
  }
  void add(Connection* key, const std::weak_ptr<Connection>& connection,
           const std::string& source) {
    const std::lock_guard lock(mutex_);
    open_.emplace(key, Entry{connection, source, std::chrono::steady_clock::now()});
    ++staying_;
    ++ofSource_[source];
  }
  /// A step of a connection's life: one that is busy isn't cut for others.
  enum class Step { Waits, IsAnswered };
  void note(Connection* key, Step step) {
    const std::lock_guard lock(mutex_);
    Entry& entry = open_.at(key);
    entry.isBusy = step == Step::IsAnswered;
    entry.since = std::chrono::steady_clock::now();
  }
  void remove(Connection* key) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(key);
    if (found == open_.end()) return;  // it never started
    leave(found->second);
    open_.erase(found);
    if (open_.empty()) emptied_.notify_all();
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
  }
  /// Outside the lock, since the last owner's destructor takes it.
  void forEach(const std::function<void(Connection&)>& call) {
    std::vector<std::shared_ptr<Connection>> held;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, entry] : open_) {
        if (auto connection = entry.connection.lock()) held.push_back(std::move(connection));
      }
    }
    for (const auto& connection : held) call(*connection);
  }
  bool awaitEmpty(Duration deadline) {
    std::unique_lock lock(mutex_);
    return emptied_.wait_for(lock, deadline, [this] { return open_.empty(); });
  }

  const Limits limits;
  const AsyncHandler handler;
  std::atomic<bool> draining{false};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refusedByCap{0};
  std::atomic<std::uint64_t> evicted{0};
  std::atomic<std::uint64_t> handshakeFailed{0};
  std::atomic<std::uint64_t> timedOut{0};
  std::atomic<std::uint64_t> malformed{0};
  std::atomic<std::uint64_t> answered{0};

 private:
  struct Entry {
    std::weak_ptr<Connection> connection;
    std::string source;
    std::chrono::steady_clock::time_point since;
    bool isBusy = false;
    bool leaves = false;  ///< it was cut, and counts no more
  };

  // Both under the lock.
  void leave(Entry& entry) {
    if (std::exchange(entry.leaves, true)) return;
    --staying_;
    const auto own = ofSource_.find(entry.source);
    if (--own->second == 0) ofSource_.erase(own);
  }
  /// Of one source, or of the one that has most. Looks at all; only while there is no room.
  [[nodiscard]] Entry* findIdlest(const std::string* source) {
    Entry* idlest = nullptr;
    std::size_t most = 0;
    for (auto& [key, entry] : open_) {
      if (entry.isBusy || entry.leaves || (source != nullptr && entry.source != *source)) continue;
      const std::size_t siblings = ofSource_.at(entry.source);
      const bool isBetter =
          idlest == nullptr || siblings > most || (siblings == most && entry.since < idlest->since);
      if (!isBetter) continue;
      idlest = &entry;
      most = siblings;
    }
    return idlest;
  }

  mutable std::mutex mutex_;
  std::condition_variable emptied_;
  std::unordered_map<Connection*, Entry> open_;
  std::size_t staying_ = 0;
  std::unordered_map<std::string, std::size_t> ofSource_;
};

/// Reads requests one after the other and answers them. Runs on its socket's strand.
template <class Stream>
class StreamConnection final : public Connection,
                               public std::enable_shared_from_this<StreamConnection<Stream>> {
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

 public:
  template <class... Arguments>
  StreamConnection(Connections& all, std::string source, Arguments&&... arguments)
      : all_(all),
        source_(std::move(source)),
        stream_(std::forward<Arguments>(arguments)...),
        buffer_(all.limits.header + kReadSize) {}
  ~StreamConnection() override { all_.remove(this); }
  StreamConnection(const StreamConnection&) = delete;
  StreamConnection& operator=(const StreamConnection&) = delete;

  void start() {
    all_.add(this, this->weak_from_this(), source_);
    net::dispatch(stream_.get_executor(), [self = this->shared_from_this()] { self->handshake(); });
  }
  void closeIfIdle() override {
    net::post(stream_.get_executor(), [self = this->shared_from_this()] {
      if (self->idle_) self->tcp().close();
    });
  }
  void cut() override {
    net::post(stream_.get_executor(), [self = this->shared_from_this()] { self->tcp().close(); });
  }

 private:
  /// Room beyond the header limit, so that the limit is what a large header meets first.
  static constexpr std::size_t kReadSize = 16U << 10U;
  /// What is read and thrown away after an early refusal, so that the client sees the answer and
  /// not a reset (RFC 9112 section 9.6).
  static constexpr std::size_t kLingerBytes = 8U << 20U;

  beast::tcp_stream& tcp() { return beast::get_lowest_layer(stream_); }

  /// Binds a member as completion handler that keeps this object alive.
  template <class Member>
  auto then(Member member) {
    return [self = this->shared_from_this(), member](ErrorCode error, auto... count) {
      ((*self).*member)(error, count...);
    };
  }

  void handshake() {
    if constexpr (kTls) {
      tcp().expires_after(all_.limits.handshake);
      stream_.async_handshake(net::ssl::stream_base::server, then(&StreamConnection::onHandshake));
    } else {
      awaitRequest(all_.limits.headerTime);
    }
  }

  void onHandshake(ErrorCode error) {
    if (error) {
      ++all_.handshakeFailed;
      if (error == beast::error::timeout) ++all_.timedOut;
      return;
    }
    awaitRequest(all_.limits.headerTime);
  }

  /// Waits for a first byte; from there on the header has a limit of its own.
  void awaitRequest(Duration limit) {
    if (all_.draining) return close();
    if (buffer_.size() > 0) return readHeader();
    idle_ = true;
    all_.note(this, Connections::Step::Waits);
    tcp().expires_after(limit);
    stream_.async_read_some(buffer_.prepare(kReadSize), then(&StreamConnection::onFirstBytes));
  }

  void onFirstBytes(ErrorCode error, std::size_t count) {
    idle_ = false;
    if (error) return stop(error);
    buffer_.commit(count);
    readHeader();
  }

  void readHeader() {
    parser_.emplace();
    parser_->header_limit(all_.limits.header);
    parser_->body_limit(all_.limits.body);
    tcp().expires_after(all_.limits.headerTime);
    beast::http::async_read_header(stream_, buffer_, *parser_, then(&StreamConnection::onHeader));
  }

  void onHeader(ErrorCode error, std::size_t /*count*/) {
    if (error) return stop(error);
    tcp().expires_after(all_.limits.bodyTime);
    beast::http::async_read(stream_, buffer_, *parser_, then(&StreamConnection::onBody));
  }

  void onBody(ErrorCode error, std::size_t /*count*/) {
    if (error) return stop(error);
    auto message = parser_->release();
    parser_.reset();
    Request request;
    request.method = std::string(message.method_string());
    const auto target = std::string_view(message.target().data(), message.target().size());
    const auto mark = target.find('?');
    request.path = std::string(target.substr(0, mark));
    if (mark != std::string_view::npos) request.query = std::string(target.substr(mark + 1));
    request.contentType = std::string(message[beast::http::field::content_type]);
    request.body = std::move(message.body());
    keepAlive_ = message.keep_alive();
    head_ = message.method() == beast::http::verb::head;
    version_ = message.version();
    all_.note(this, Connections::Step::IsAnswered);
    tcp().expires_never();
    call(request);
  }

  /// The answer comes on any thread and goes on here.
  void call(const Request& request) noexcept {
    const auto given = std::make_shared<std::atomic<bool>>(false);
    const auto reply = [self = this->shared_from_this(), given](Response response) {
      if (given->exchange(true)) return;
      net::post(self->stream_.get_executor(), [self, response = std::move(response)]() mutable {
        self->answer(std::move(response));
      });
    };
    try {
      return all_.handler(request, reply);
    } catch (const std::exception& error) {
      log::error("handler failed", {{"path", request.path}, {"error", error.what()}});
    } catch (...) {
      log::error("handler failed", {{"path", request.path}});
    }
    reply({500, "text/plain; charset=utf-8", "internal error\n"});
  }

  /// Not a request that can be answered in full: says why where HTTP allows, then closes.
  void stop(ErrorCode error) {
    if (error == beast::error::timeout) ++all_.timedOut;
    const bool http =
        error.category() == beast::http::make_error_code(beast::http::error::bad_method).category();
    if (!http || error == beast::http::error::end_of_stream ||
        error == beast::http::error::partial_message) {
      return tcp().close();
    }
    ++all_.malformed;
    keepAlive_ = false;
    refused_ = true;
    head_ = false;
    version_ = 11;
    if (error == beast::http::error::body_limit) {
      const auto text = "request body: more than " + std::to_string(all_.limits.body) + " bytes\n";
      return answer({413, "text/plain; charset=utf-8", text});
    }
    if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow) {
      const auto text =
          "request header: more than " + std::to_string(all_.limits.header) + " bytes\n";
      return answer({431, "text/plain; charset=utf-8", text});
    }
    answer({400, "text/plain; charset=utf-8", "malformed request: " + error.message() + "\n"});
  }

  void answer(Response response) {
    ++all_.answered;
    auto& message = message_.emplace();
    message.version(version_);
    message.result(response.status);
    message.set(beast::http::field::content_type, response.contentType);
    message.content_length(response.body.size());
    if (!head_) message.body() = std::move(response.body);
    message.keep_alive(keepAlive_ && !all_.draining);
    tcp().expires_after(all_.limits.writeTime);
    if (head_) {
      serializer_.emplace(message);
      serializer_->split(true);
      return beast::http::async_write_header(stream_, *serializer_,
                                             then(&StreamConnection::onWritten));
    }
    beast::http::async_write(stream_, message, then(&StreamConnection::onWritten));
  }

  void onWritten(ErrorCode error, std::size_t /*count*/) {
    if (error) return stop(error);
    const bool again = message_->keep_alive();
    serializer_.reset();
    message_.reset();
    if (again) return awaitRequest(all_.limits.idle);
    if (refused_) return linger();
    close();
  }

  void linger() {
    ErrorCode ignored;
    tcp().socket().shutdown(Tcp::socket::shutdown_send, ignored);
    tcp().expires_after(std::chrono::seconds(1));
    buffer_.clear();
    discard();
  }

  void discard() {
    tcp().async_read_some(buffer_.prepare(kReadSize), then(&StreamConnection::onDiscarded));
  }

  void onDiscarded(ErrorCode error, std::size_t count) {
    discarded_ += count;
    if (error || discarded_ > kLingerBytes) return tcp().close();
    discard();
  }

  void close() {
    if constexpr (kTls) {
      tcp().expires_after(std::chrono::seconds(1));
      stream_.async_shutdown(then(&StreamConnection::onShutdown));
    } else {
      ErrorCode ignored;
      tcp().socket().shutdown(Tcp::socket::shutdown_both, ignored);
      tcp().close();
    }
  }

  void onShutdown(ErrorCode /*error*/) { tcp().close(); }

  using Message = beast::http::response<beast::http::string_body>;

  Connections& all_;
  const std::string source_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<beast::http::request_parser<beast::http::string_body>> parser_;
  std::optional<Message> message_;
  std::optional<beast::http::response_serializer<beast::http::string_body>> serializer_;
  std::size_t discarded_ = 0;
  unsigned version_ = 11;
  bool idle_ = false;
  bool keepAlive_ = false;
  bool head_ = false;
  bool refused_ = false;
};

}  // namespace multinet::http::internal
