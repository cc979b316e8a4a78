#include "lib/kube/watch.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>

#include "lib/async/start_thread.h"
#include "lib/base/log.h"
#include "lib/kube/compare_after.h"
#include "lib/kube/lines.h"
#include "lib/kube/list_page.h"
#include "lib/kube/store.h"

namespace multinet::kube {
namespace {

/// Far above etcd's limit for an object (1.5 MiB), which events carry with their old form at most.
constexpr std::size_t kLongestEvent = 64U << 20U;
/// A watch that ends earlier and brought nothing counts as a failure.
constexpr Duration kShortestWatch = std::chrono::seconds(1);
constexpr const char* kStoreWentBack = "StoreWentBack";

using SteadyTime = std::chrono::steady_clock::time_point;
SteadyTime steadyNow() {
  return std::chrono::steady_clock::now();
}

std::string textAt(const simdjson::dom::element& object, std::string_view pointer) {
  std::string_view text;
  if (object.at_pointer(pointer).get(text)) return {};
  return std::string(text);
}

}  // namespace

class Watch::Loop {
 public:
  Loop(RawClient& client, Kind kind, WatchOptions options, WatchSink& sink)
      : client_(client),
        kind_(kind),
        options_(std::move(options)),
        sink_(sink),
        selection_(options_.selection),
        mode_(options_.initialList),
        random_(std::random_device{}()) {}

  void run(const std::stop_token& stop);
  void select(Selection now, std::optional<Selection> added);
  WatchHealth health() const {
    const std::lock_guard lock(mutex_);
    return health_;
  }

 private:
  struct Other {
    Selection now;
    std::optional<Selection> added;
  };

  /// Until the watch is ended, or is to follow something else.
  Status turn(const std::stop_token& stop);
  Status step(const std::stop_token& stop);
  /// Takes up what `select` asked for.
  Status changeSelection(const std::stop_token& stop);
  Status listPages(const std::stop_token& stop);
  /// Each object once; `atLeast` is a revision, or empty.
  Result<PageEnd> listAll(const Selection& selection, const std::string& atLeast,
                          const std::function<void(const simdjson::dom::element&)>& take,
                          const std::stop_token& stop);
  /// Whether the store is as new as what was seen: asked once after each cut, since a watch of a
  /// revision that the store hasn't reached yet stays silent instead of failing.
  Status askRevision();
  /// The next list is to be believed though it is older.
  Error storeWentBack(std::uint64_t now);
  Status watch(const std::stop_token& stop);
  Status follow(const HttpRequest& request, const std::stop_token& stop);
  Status line(std::string_view text);
  Status bookmark(const simdjson::dom::element& object);
  Status change(EventType type, const simdjson::dom::element& object);
  Status errorEvent(const simdjson::dom::element& object);
  /// Ends a list, if its revision can be believed.
  Status finishList(const std::string& revision);
  /// What an error means for the next step.
  void learn(const Error& error);
  void advance(const simdjson::dom::element& object);
  [[nodiscard]] HttpRequest watchRequest();
  [[nodiscard]] Duration jitter(Duration least, Duration most);
  [[nodiscard]] Duration longestBackoff(const Error& error);
  void pause(Duration duration, const std::stop_token& stop);
  void note(const std::function<void(WatchHealth&)>& change);

  RawClient& client_;
  const Kind kind_;
  const WatchOptions options_;
  WatchSink& sink_;

  // Of the watch's thread.
  Selection selection_;
  bool othersSelected_ = false;  ///< and the sink hears of it with the end of a list
  InitialList mode_;
  bool needsList_ = true;
  bool inList_ = false;     ///< between listBegin and its end
  bool unbounded_ = false;  ///< the server doesn't know our revision: ask for whatever it has
  bool wasCut_ = false;     ///< askRevision() comes first
  std::optional<SteadyTime> refusedSince_;
  Duration retryAfter_{};  ///< that the server asked for in its last answer
  int wentBack_ = 0;
  std::uint64_t revision_ = 0;
  SteadyTime compareAt_{};
  std::uint64_t listBytes_ = 0;  ///< of the list under way, or the last
  Duration backoff_{};
  bool progress_ = false;
  std::string trouble_;  ///< the last failure that was logged, until something works again
  std::mt19937_64 random_;

  mutable std::mutex mutex_;  // of the next three
  WatchHealth health_;
  std::optional<Other> other_;  ///< asked for, not taken up yet
  std::stop_source turn_;       ///< ends what the thread does, so that it looks at that
};

void Watch::Loop::select(Selection now, std::optional<Selection> added) {
  std::stop_source turn;
  {
    const std::lock_guard lock(mutex_);
    other_ = Other{std::move(now), std::move(added)};
    turn = turn_;
  }
  turn.request_stop();
}

void Watch::Loop::note(const std::function<void(WatchHealth&)>& change) {
  const std::lock_guard lock(mutex_);
  change(health_);
}

Duration Watch::Loop::jitter(Duration least, Duration most) {
  return Duration(
      std::uniform_int_distribution<Duration::rep>(least.count(), most.count())(random_));
}

Duration Watch::Loop::longestBackoff(const Error& error) {
  const bool refused = error.code == Code::PermissionDenied || error.code == Code::NotFound;
  if (!refused) {
    refusedSince_.reset();
    return std::max(options_.backoffMost, options_.backoffFirst);
  }
  const SteadyTime now = steadyNow();
  if (!refusedSince_) refusedSince_ = now;
  const bool soon = now - *refusedSince_ < options_.refusedSoon;
  const Duration most = soon ? std::min(options_.backoffMost, options_.backoffRefused)
                             : std::max(options_.refusedLater, options_.backoffRefused);
  return std::max(most, options_.backoffFirst);
}

void Watch::Loop::pause(Duration duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, duration, [] { return false; });
}

void Watch::Loop::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    progress_ = false;
    retryAfter_ = {};
    const auto done = turn(stop);
    if (std::exchange(inList_, false)) sink_.listAborted();
    if (stop.stop_requested()) return;
    if (progress_) {
      backoff_ = {};
      refusedSince_.reset();
      if (!std::exchange(trouble_, "").empty()) {
        log::info("watch works again", {{"resource", kind_.plural}});
      }
    }
    if (done.has_value()) continue;
    learn(done.error());
    backoff_ = std::clamp(backoff_ * 2, options_.backoffFirst, longestBackoff(done.error()));
    bool becameUnknown = false;
    note([&](WatchHealth& health) {
      ++health.failures;
      health.connected = false;
      health.lastError = done.error().message;
      becameUnknown = done.error().code == Code::NotFound && !health.kindUnknownSince;
      if (becameUnknown) health.kindUnknownSince = steadyNow();
    });
    if (becameUnknown && options_.onKindUnknown) options_.onKindUnknown();
    // Once for each trouble: a server that is away for an hour would fill the disk.
    if (std::exchange(trouble_, done.error().message) != done.error().message) {
      if (options_.isOptional && done.error().code == Code::NotFound) {
        log::info("the server doesn't know this kind; it is followed once it does",
                  {{"resource", kind_.plural}});
      } else {
        log::warn("watch failed, trying again",
                  {{"resource", kind_.plural}, {"error", done.error()}});
      }
    }
    // All who were told the same time don't come back at it.
    pause(std::max(jitter(backoff_ / 2, backoff_), jitter(retryAfter_, retryAfter_ * 5 / 4)), stop);
  }
}

Status Watch::Loop::turn(const std::stop_token& stop) {
  std::stop_source now;
  {
    const std::lock_guard lock(mutex_);
    turn_ = now;
  }
  // Whoever asks from here on ends this turn; who did before is heard in it.
  const std::stop_callback ends(stop, [&now] { now.request_stop(); });
  Status done = changeSelection(now.get_token());
  if (done) done = step(now.get_token());
  // Cut by nobody but us.
  if (now.stop_requested()) return {};
  return done;
}

Status Watch::Loop::changeSelection(const std::stop_token& stop) {
  std::optional<Other> other;
  {
    const std::lock_guard lock(mutex_);
    other = other_;
  }
  if (!other) return {};
  // With a whole list to come there is nothing to add to. Else the watch goes on from where it was:
  // what is listed here is as new or newer, and an event that is older than it changes nothing.
  if (!needsList_ && other->added) {
    const auto take = [this](const simdjson::dom::element& item) {
      sink_.event(EventType::Added, item);
    };
    MULTINET_CHECK(listAll(*other->added, unbounded_ ? "" : std::to_string(revision_), take, stop));
  }
  selection_ = std::move(other->now);
  {
    const std::lock_guard lock(mutex_);
    other_.reset();
  }
  if (needsList_) {
    othersSelected_ = true;
  } else {
    sink_.selected();
  }
  return {};
}

Status Watch::Loop::step(const std::stop_token& stop) {
  if (compareAt_ != SteadyTime{} && steadyNow() >= compareAt_) needsList_ = true;
  if (wasCut_ && !needsList_) MULTINET_CHECK(askRevision());
  wasCut_ = false;
  if (needsList_ && mode_ == InitialList::Paged) return listPages(stop);
  return watch(stop);
}

void Watch::Loop::learn(const Error& error) {
  const bool tooNew = error.message.find("Too large resource version") != std::string::npos;
  // Silence: what a watch that should have spoken held back, nobody knows.
  if (error.reason == "Expired" || error.reason == "Gone" || error.code == Code::OutOfRange ||
      error.code == Code::DeadlineExceeded || error.reason == kStoreWentBack || tooNew) {
    needsList_ = true;
  }
  wasCut_ = true;
  if (tooNew) unbounded_ = true;
  // 400 and 422: the server or its store has no streamed lists.
  if (needsList_ && mode_ == InitialList::Streamed &&
      (error.code == Code::InvalidArgument || error.reason == "NoInitialEventsEnd")) {
    mode_ = InitialList::Paged;
    log::info("lists in pages", {{"resource", kind_.plural}, {"reason", error.message}});
  }
}

Error Watch::Loop::storeWentBack(std::uint64_t now) {
  wentBack_ = 1;
  unbounded_ = true;
  return {Code::Unavailable, kStoreWentBack,
          "watch " + std::string(kind_.plural) + ": the store is at revision " +
              std::to_string(now) + ", and " + std::to_string(revision_) + " was seen"};
}

Status Watch::Loop::askRevision() {
  MULTINET_TRY(const auto page, client_.listPage(kind_, selection_, 1, "", ""));
  std::uint64_t now = 0;
  MULTINET_CHECK(withJson(page, [&now](const simdjson::dom::element& root) -> Status {
    now = revisionOf(textAt(root, "/metadata/resourceVersion"));
    return {};
  }));
  if (now < revision_) return fail(storeWentBack(now));
  wentBack_ = 0;
  return {};
}

Status Watch::Loop::listPages(const std::stop_token& stop) {
  note([](WatchHealth& health) { ++health.lists; });
  const bool bounded = revision_ > 0 && !unbounded_;
  const std::string atLeast = bounded ? std::to_string(revision_) : "";
  sink_.listBegin();
  inList_ = true;
  listBytes_ = 0;
  MULTINET_TRY(const PageEnd end,
               listAll(
                   selection_, atLeast,
                   [this](const simdjson::dom::element& item) { sink_.listItem(item); }, stop));
  return finishList(end.revision);
}

Result<PageEnd> Watch::Loop::listAll(const Selection& selection, const std::string& atLeast,
                                     const std::function<void(const simdjson::dom::element&)>& take,
                                     const std::stop_token& stop) {
  const std::string what = "list " + std::string(kind_.plural);
  const auto item = [&take](const simdjson::dom::element& object) -> Status {
    take(object);
    return {};
  };
  PageEnd end;
  do {
    if (stop.stop_requested()) {
      return fail(Code::Cancelled, "Stopped", what + ": the watch is being ended");
    }
    MULTINET_TRY(const auto body,
                 client_.listPage(kind_, selection, options_.pageSize, end.resume, atLeast));
    listBytes_ += body.size();
    MULTINET_CHECK(withJson(
        body, [&](const simdjson::dom::element& page) { return readPage(page, what, item, end); }));
  } while (!end.resume.empty());
  return end;
}

Status Watch::Loop::finishList(const std::string& revision) {
  const auto now = revisionOf(revision);
  if (now < revision_) {
    // A stale replica, a replayed answer, or a store that was put back. Only the last stays so.
    if (++wentBack_ < 2) {
      unbounded_ = true;
      return fail(Code::Unavailable, "StaleList",
                  "list " + std::string(kind_.plural) + ": revision " + revision +
                      " is older than " + std::to_string(revision_) + ", which was seen");
    }
    log::error("the store's revision went back",
               {{"resource", kind_.plural}, {"before", revision_}, {"now", now}});
    if (options_.onRevisionWentBack) {
      options_.onRevisionWentBack(std::to_string(revision_), revision);
    }
  }
  wentBack_ = 0;
  unbounded_ = false;
  revision_ = now;
  needsList_ = false;
  inList_ = false;
  progress_ = true;
  if (options_.compareEvery > Duration::zero()) {
    const Duration after = compareAfter(options_.compareEvery, listBytes_);
    compareAt_ = steadyNow() + jitter(after, after * 2);
  }
  // First, so that nobody finds a cache that is filled and has heard nothing.
  note([&](WatchHealth& health) {
    health.connected = true;
    health.heardAt = steadyNow();
    health.kindUnknownSince.reset();
    health.resourceVersion = revision;
  });
  sink_.listEnd();
  if (std::exchange(othersSelected_, false)) sink_.selected();
  return {};
}

HttpRequest Watch::Loop::watchRequest() {
  const auto lifetime = jitter(options_.lifetime, options_.lifetime * 2);
  const auto seconds = std::max<std::int64_t>(1, lifetime / std::chrono::seconds(1));
  std::string target =
      pathOf(kind_, {selection_.nameSpace, ""}, Subresource::None) +
      "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(seconds);
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) target += std::string("&") + key + "=" + percentEncode(value);
  };
  add("labelSelector", selection_.labelSelector);
  add("fieldSelector", selection_.fieldSelector);
  if (needsList_) {
    target += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    if (revision_ > 0 && !unbounded_) add("resourceVersion", std::to_string(revision_));
  } else {
    add("resourceVersion", std::to_string(revision_));
  }
  return {Method::Get, std::move(target), "", ""};
}

Status Watch::Loop::watch(const std::stop_token& stop) {
  const bool initial = needsList_;
  note([&](WatchHealth& health) {
    ++health.watches;
    if (initial) ++health.lists;
  });
  if (initial) {
    sink_.listBegin();
    inList_ = true;
    listBytes_ = 0;
  }
  const auto begin = steadyNow();
  auto done = follow(watchRequest(), stop);
  if (stop.stop_requested()) return done;
  // Neither an answer nor a failure: it knows nothing of streamed lists.
  const bool silent = done.has_value() || done.error().code == Code::DeadlineExceeded;
  if (initial && inList_ && silent) {
    return fail(Code::Unavailable, "NoInitialEventsEnd",
                "watch " + std::string(kind_.plural) + ": the initial events didn't end");
  }
  if (done.has_value() && !progress_ && steadyNow() - begin < kShortestWatch) {
    return fail(Code::Unavailable, "WatchEndedAtOnce",
                "watch " + std::string(kind_.plural) + ": the server ended it at once");
  }
  return done;
}

Status Watch::Loop::follow(const HttpRequest& request, const std::stop_token& stop) {
  const auto begin = steadyNow();
  LineSplitter splitter(kLongestEvent);
  // The initial events come at once; what follows on the same stream may take a minute.
  const auto patience = [this] {
    return inList_ ? std::min(options_.silence, options_.initialSilence) : options_.silence;
  };
  const auto response = client_.transport().stream(
      request, patience,
      [&](std::string_view bytes) {
        return splitter.feed(bytes, [this](std::string_view text) { return line(text); });
      },
      stop);
  client_.observe(
      {"watch", kind_.plural, response.has_value() ? response->status : 0, steadyNow() - begin});
  const auto what = "watch " + std::string(kind_.plural);
  if (!response.has_value()) return fail(response.error().within(what));
  retryAfter_ = response->retryAfter.value_or(Duration::zero());
  if (response->status != 200) return fail(errorOf(*response, what));
  if (splitter.partial() > 0) {
    return fail(Code::Unavailable, "Cut", what + ": the stream ended in the middle of an event");
  }
  return {};
}

Status Watch::Loop::line(std::string_view text) {
  if (inList_) listBytes_ += text.size();
  return withJson(text, [this](const simdjson::dom::element& event) -> Status {
    simdjson::dom::element object;
    const auto type = textAt(event, "/type");
    if (event["object"].get(object)) {
      return fail(Code::DataLoss, "BadEvent", "read watch event: it has no object");
    }
    if (type == "ADDED") return change(EventType::Added, object);
    if (type == "MODIFIED") return change(EventType::Modified, object);
    if (type == "DELETED") return change(EventType::Deleted, object);
    if (type == "BOOKMARK") return bookmark(object);
    if (type == "ERROR") return errorEvent(object);
    return fail(Code::DataLoss, "BadEvent", "read watch event: unknown type \"" + type + "\"");
  });
}

void Watch::Loop::advance(const simdjson::dom::element& object) {
  // Never backwards: events that come out of order must not make us ask for old ones again.
  const auto text = textAt(object, "/metadata/resourceVersion");
  revision_ = std::max(revision_, revisionOf(text));
  progress_ = true;
  note([&](WatchHealth& health) {
    health.connected = true;
    health.heardAt = steadyNow();
    health.kindUnknownSince.reset();
    health.resourceVersion = std::to_string(revision_);
  });
}

Status Watch::Loop::change(EventType type, const simdjson::dom::element& object) {
  note([](WatchHealth& health) { ++health.events; });
  if (inList_) {
    if (type == EventType::Deleted) {
      return fail(Code::Unavailable, "NoInitialEventsEnd",
                  "watch " + std::string(kind_.plural) + ": a deletion among the initial events");
    }
    sink_.listItem(object);
    return {};
  }
  sink_.event(type, object);
  advance(object);
  return {};
}

Status Watch::Loop::bookmark(const simdjson::dom::element& object) {
  if (!inList_) {
    const auto now = revisionOf(textAt(object, "/metadata/resourceVersion"));
    if (now < revision_) return fail(storeWentBack(now));
    advance(object);
    return {};
  }
  std::string_view end;
  if (object["metadata"]["annotations"]["k8s.io/initial-events-end"].get(end) || end != "true") {
    return {};
  }
  return finishList(textAt(object, "/metadata/resourceVersion"));
}

Status Watch::Loop::errorEvent(const simdjson::dom::element& object) {
  std::int64_t code = 0;
  if (object["code"].get(code)) code = 500;
  return fail(errorOf({static_cast<int>(code), simdjson::minify(object), std::nullopt},
                      "watch " + std::string(kind_.plural)));
}

Status readinessOf(std::string_view resource, bool synced, const WatchHealth& health,
                   Duration oldest) {
  const std::string what = "read " + std::string(resource) + ": ";
  if (!synced) {
    return fail(Code::Unavailable, "NotSynced",
                what + (health.lastError.empty() ? "not answered yet" : health.lastError));
  }
  const Duration age = health.heardAt ? steadyNow() - *health.heardAt : Duration::max();
  if (age <= oldest) return {};
  return fail(Code::Unavailable, "CacheOld",
              what + "the API server has said nothing for " +
                  std::to_string(age / std::chrono::seconds(1)) + " s" +
                  (health.lastError.empty() ? "" : ": " + health.lastError));
}

Watch::Watch(RawClient& client, Kind kind, WatchOptions options, WatchSink& sink)
    : loop_(std::make_unique<Loop>(client, kind, std::move(options), sink)) {}

Watch::~Watch() {
  stop();
}

void Watch::start() {
  if (thread_.joinable()) return;
  thread_ = async::patiently("watch", [this] {
    async::threadDoor("watch");
    return std::jthread([this](const std::stop_token& stop) {
      pthread_setname_np(pthread_self(), "watch");  // as `top -H` shows it
      loop_->run(stop);
    });
  });
}

void Watch::select(Selection now, std::optional<Selection> added) {
  loop_->select(std::move(now), std::move(added));
}

void Watch::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

WatchHealth Watch::health() const {
  return loop_->health();
}

}  // namespace multinet::kube
