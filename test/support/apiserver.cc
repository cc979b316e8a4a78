#include "test/support/apiserver.h"

#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <list>
#include <optional>
#include <set>
#include <thread>
#include <utility>

// After <utility>: Boost 1.74 forgets it (asio #944).
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include "test/support/ask.h"

namespace multinet::testing {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using Request = http::request<http::string_body>;

/// A watch that waits looks so often whether the server ends.
constexpr std::chrono::milliseconds kLookAtEnd(100);

std::string rendered(const StoreAnswer& answer, std::string_view extraHeaders) {
  const auto body = answer.body.dump();
  return "HTTP/1.1 " + std::to_string(answer.status) +
         " Answer\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(extraHeaders) + "\r\n" + body;
}

}  // namespace

class ApiServer::Impl {
 public:
  explicit Impl(ApiServerOptions options);
  ~Impl();

  [[nodiscard]] std::string url() const {
    return (options_.certificate.empty() ? "http" : "https") + std::string("://127.0.0.1:") +
           std::to_string(acceptor_.local_endpoint().port());
  }

  ObjectStore store;
  void inject(FaultRule rule) {
    const std::lock_guard lock(mutex_);
    rules_.push_back(std::move(rule));
  }
  void deny(const std::string& verb, const std::string& resource) {
    const std::lock_guard lock(mutex_);
    denied_.emplace(verb, resource);
  }
  void set(Presence presence);
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const {
    const std::lock_guard lock(mutex_);
    return taken_;
  }
  std::map<std::string, Traffic> traffic() const {
    const std::lock_guard lock(mutex_);
    return traffic_;
  }
  std::string lastAuthorization() const {
    const std::lock_guard lock(mutex_);
    return authorization_;
  }
  std::string lastServerName() const {
    const std::lock_guard lock(mutex_);
    return serverName_;
  }

 private:
  void accept();
  void connection(tcp::socket socket);
  template <class Stream>
  void serve(Stream& stream);
  using Send = std::function<void(const std::string&)>;
  using Gone = std::function<bool()>;  ///< whether the client closed the connection
  /// False when the connection must be closed.
  bool answer(const Send& send, const Gone& gone, const Ask& ask, bool keepsAlive);
  bool watch(const Send& write, const Gone& gone, const Ask& ask, std::optional<Fault> fault);
  StoreAnswer answerOf(const Ask& ask);
  StoreAnswer review(Json review) const;
  StoreAnswer remembered(const Ask& ask, StoreAnswer answer);
  std::optional<Fault> faultFor(const Ask& ask);
  void stall();
  [[nodiscard]] bool open() const { return !ending_ && !away_; }

  const ApiServerOptions options_;
  asio::io_context context_;
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  tcp::acceptor acceptor_;
  mutable std::mutex mutex_;
  std::vector<FaultRule> rules_;
  std::set<std::pair<std::string, std::string>> denied_;
  std::vector<std::string> requests_;
  std::map<std::string, Traffic> traffic_;
  std::map<std::string, StoreAnswer> firstLists_;
  std::string authorization_;
  std::string serverName_;
  std::set<int> sockets_;
  int taken_ = 0;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> away_ = false;
  std::list<std::jthread> connections_;
  std::jthread accepting_;
};

ApiServer::Impl::Impl(ApiServerOptions options)
    : options_(std::move(options)), acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}) {
  if (!options_.certificate.empty()) {
    tls_.use_certificate_chain(asio::buffer(options_.certificate));
    tls_.use_private_key(asio::buffer(options_.key), asio::ssl::context::pem);
  }
  accepting_ = std::jthread([this] { accept(); });
}

ApiServer::Impl::~Impl() {
  ending_ = true;
  set(Presence::Away);
  ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
  accepting_.join();
  connections_.clear();
}

void ApiServer::Impl::set(Presence presence) {
  away_ = presence == Presence::Away;
  if (!away_) return;
  const std::lock_guard lock(mutex_);
  for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
}

void ApiServer::Impl::accept() {
  while (!ending_) {
    boost::system::error_code error;
    auto socket = acceptor_.accept(error);
    if (error || !open()) continue;
    connections_.emplace_back(
        [this, moved = std::move(socket)]() mutable { connection(std::move(moved)); });
  }
}

void ApiServer::Impl::connection(tcp::socket socket) {
  const int handle = socket.native_handle();
  {
    const std::lock_guard lock(mutex_);
    sockets_.insert(handle);
    ++taken_;
  }
  try {
    if (options_.certificate.empty()) {
      serve(socket);
    } else {
      asio::ssl::stream<tcp::socket&> stream(socket, tls_);
      stream.handshake(asio::ssl::stream_base::server);
      const char* name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
      {
        const std::lock_guard lock(mutex_);
        serverName_ = name == nullptr ? "" : name;
      }
      serve(stream);
    }
  } catch (const std::exception&) {
    // The peer went, or a fault cut it: that is what this server is for.
  }
  const std::lock_guard lock(mutex_);
  sockets_.erase(handle);
}

template <class Stream>
void ApiServer::Impl::serve(Stream& stream) {
  beast::flat_buffer buffer;
  std::optional<std::string> client;
  const std::shared_ptr<void> closing(nullptr, [&](void*) {
    const std::lock_guard lock(mutex_);
    if (client) --traffic_[*client].open;
  });
  const Send send = [&](const std::string& text) {
    {
      const std::lock_guard lock(mutex_);
      traffic_[*client].bytes += text.size();
    }
    asio::write(stream, asio::buffer(text));
  };
  const int socket = stream.lowest_layer().native_handle();
  const Gone gone = [socket] {
    char byte = 0;
    return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  };
  while (open()) {
    Request request;
    http::read(stream, buffer, request);
    const auto ask = Ask::parse(std::string(request.method_string()), std::string(request.target()),
                                request.body(), std::string(request[http::field::content_type]));
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(ask.method + " " + ask.target);
      authorization_ = std::string(request[http::field::authorization]);
      const bool isNew = !client;
      if (isNew) client = authorization_;
      auto& traffic = traffic_[*client];
      traffic.connections += isNew ? 1 : 0;
      traffic.open += isNew ? 1 : 0;
      traffic.requests.push_back(requests_.back());
    }
    if (!answer(send, gone, ask, request.keep_alive())) return;
  }
}

std::optional<Fault> ApiServer::Impl::faultFor(const Ask& ask) {
  const std::lock_guard lock(mutex_);
  for (auto& rule : rules_) {
    const bool fits = rule.times > 0 && (rule.method.empty() || rule.method == ask.method) &&
                      ask.target.find(rule.targetContains) != std::string::npos;
    if (!fits) continue;
    if (rule.after > 0) {
      --rule.after;
      continue;
    }
    --rule.times;
    return rule.fault;
  }
  return std::nullopt;
}

void ApiServer::Impl::stall() {
  // Ends with the server; the client has its own deadline.
  while (open()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

StoreAnswer ApiServer::Impl::answerOf(const Ask& ask) {
  if (ask.path.collection.ends_with("/selfsubjectaccessreviews")) return review(ask.body);
  auto answer = execute(store, ask);
  const bool isList = ask.method == "GET" && ask.path.name.empty() && !ask.path.collection.empty();
  return isList ? remembered(ask, std::move(answer)) : answer;
}

StoreAnswer ApiServer::Impl::review(Json review) const {
  const Json& asked = review["spec"]["resourceAttributes"];
  const std::lock_guard lock(mutex_);
  review["status"]["allowed"] = !denied_.contains({asked["verb"], asked["resource"]});
  return {201, std::move(review)};
}

StoreAnswer ApiServer::Impl::remembered(const Ask& ask, StoreAnswer answer) {
  const std::lock_guard lock(mutex_);
  firstLists_.try_emplace(ask.path.collection, answer);
  return answer;
}

bool ApiServer::Impl::answer(const Send& send, const Gone& gone, const Ask& ask, bool keepsAlive) {
  const auto fault = faultFor(ask);
  if (fault == Fault::TooManyRequests) {
    send(rendered(failure(429, "TooManyRequests", "slow down"), "Retry-After: 1\r\n"));
    return true;
  }
  if (fault == Fault::InternalError) {
    send(rendered(failure(500, "InternalError", "injected"), ""));
    return true;
  }
  if (fault == Fault::Forbidden) {
    send(rendered(failure(403, "Forbidden", "injected"), ""));
    return true;
  }
  if (fault == Fault::NotFound) {
    send(
        rendered(failure(404, "NotFound", "the server could not find the requested resource"), ""));
    return true;
  }
  if (fault == Fault::BadRequest) {
    send(rendered(failure(400, "BadRequest", "injected"), ""));
    return true;
  }
  if (fault == Fault::Stall) {
    stall();
    return false;
  }
  if (ask.query.contains("watch")) return watch(send, gone, ask, fault);
  auto answer = answerOf(ask);
  if (fault == Fault::LoseReply) return false;
  if (fault == Fault::OldList) {
    const std::lock_guard lock(mutex_);
    answer = firstLists_[ask.path.collection];
  }
  const auto text = rendered(answer, keepsAlive ? "" : "Connection: close\r\n");
  if (fault == Fault::Cut) {
    send(text.substr(0, text.size() - answer.body.dump().size() / 2 - 1));
    return false;
  }
  send(text);
  return keepsAlive;
}

bool ApiServer::Impl::watch(const Send& write, const Gone& gone, const Ask& ask,
                            std::optional<Fault> fault) {
  const auto chunk = [&](const std::string& text) {
    std::ostringstream size;
    size << std::hex << text.size();
    write(size.str() + "\r\n" + text + "\r\n");
  };
  const auto event = [&](const std::string& type, const Json& object) {
    return Json{{"type", type}, {"object", object}}.dump() + "\n";
  };
  auto revision = ask.number("resourceVersion");
  // A list waits for the future and gives up; a watch of the future just waits, and says nothing.
  if (revision > store.revision() && ask.at("sendInitialEvents") == "true") {
    write(rendered(failure(504, "Timeout", "Too large resource version"), ""));
    return true;
  }
  write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
  const auto bookmark = [&](bool ends) {
    Json metadata{{"resourceVersion", std::to_string(revision)}};
    if (ends) metadata["annotations"] = {{"k8s.io/initial-events-end", "true"}};
    chunk(event("BOOKMARK", {{"metadata", metadata}}));
  };
  const auto selected = [&](const Json& object) {
    return ObjectStore::matches(object, ask.at("labelSelector"), ask.at("fieldSelector"));
  };
  if (ask.at("sendInitialEvents") == "true") {
    const auto all = store.list(ask.path, ask.at("labelSelector"), ask.at("fieldSelector"), 0, "");
    for (const auto& item : all.body["items"]) chunk(event("ADDED", item));
    revision = std::stoull(all.body["metadata"]["resourceVersion"].get<std::string>());
    bookmark(true);
  }
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::seconds(std::max<std::uint64_t>(1, ask.number("timeoutSeconds")));
  std::string delayed;
  auto bookmarked = std::chrono::steady_clock::now();
  while (open() && std::chrono::steady_clock::now() < until) {
    if (gone()) return false;
    std::vector<StoreEvent> events;
    if (!store.eventsAfter(revision, events, std::min(options_.bookmarkEvery, kLookAtEnd))) {
      chunk(event("ERROR", failure(410, "Expired", "too old resource version").body));
      break;
    }
    if (fault == Fault::Silence) {
      stall();
      return false;
    }
    const auto now = std::chrono::steady_clock::now();
    if (events.empty() && store.revision() >= revision &&
        now - bookmarked >= options_.bookmarkEvery) {
      bookmark(false);
      bookmarked = now;
    }
    for (const auto& change : events) {
      revision = change.revision;
      if (change.path.collection != ask.path.collection) continue;
      if (!ask.path.nameSpace.empty() && change.path.nameSpace != ask.path.nameSpace) continue;
      const bool was = change.before != nullptr && selected(*change.before);
      const bool is = change.type != "DELETED" && selected(*change.object);
      if (!was && !is) continue;
      // What leaves the selection is gone for this watcher, what enters it is new.
      const std::string type = !is ? "DELETED" : was ? "MODIFIED" : "ADDED";
      const auto text = event(type, *change.object);
      const auto met = std::exchange(fault, std::nullopt);
      if (met == Fault::EventLost) continue;
      if (met == Fault::EventDelayed) {
        delayed = text;
        continue;
      }
      if (met == Fault::EventCut) {
        chunk(text.substr(0, text.size() / 2));
        return false;
      }
      // In two chunks, so that no reader can count on whole events.
      chunk(text.substr(0, text.size() / 3));
      chunk(text.substr(text.size() / 3));
      if (met == Fault::EventDoubled) chunk(text);
      if (!delayed.empty()) chunk(std::exchange(delayed, {}));
    }
  }
  write("0\r\n\r\n");
  return true;
}

ApiServer::ApiServer(ApiServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
ApiServer::~ApiServer() = default;
std::string ApiServer::url() const {
  return impl_->url();
}
ObjectStore& ApiServer::store() {
  return impl_->store;
}
void ApiServer::inject(FaultRule rule) {
  impl_->inject(std::move(rule));
}
void ApiServer::deny(const std::string& verb, const std::string& resource) {
  impl_->deny(verb, resource);
}
void ApiServer::set(Presence presence) {
  impl_->set(presence);
}
std::vector<std::string> ApiServer::requests() const {
  return impl_->requests();
}
int ApiServer::connections() const {
  return impl_->connections();
}
std::map<std::string, Traffic> ApiServer::traffic() const {
  return impl_->traffic();
}
std::string ApiServer::lastAuthorization() const {
  return impl_->lastAuthorization();
}
std::string ApiServer::lastServerName() const {
  return impl_->lastServerName();
}

}  // namespace multinet::testing
