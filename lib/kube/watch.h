// Follows one kind: lists it, watches it, resumes, lists again when it must. Untyped; see
// informer.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/kube/client.h"

namespace multinet::kube {

enum class EventType { Added, Modified, Deleted };

/// What a watch feeds. All calls come on the watch's thread, never two at once.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  /// A whole new state begins; the items follow, then `listEnd` or `listAborted`.
  virtual void listBegin() = 0;
  virtual void listItem(const simdjson::dom::element& object) = 0;
  /// The items since `listBegin` are all that there is.
  virtual void listEnd() = 0;
  /// The list broke off: forget the items since `listBegin`, keep the state of before.
  virtual void listAborted() = 0;
  virtual void event(EventType type, const simdjson::dom::element& object) = 0;
  /// What Watch::select asked for is what is followed now: all that is new in it was handed on.
  virtual void selected() {}
};

/// Whether the server may stream the list (`sendInitialEvents`); it falls back where it can't.
enum class InitialList { Streamed, Paged };

struct WatchOptions {
  Selection selection;
  InitialList initialList = InitialList::Streamed;
  int pageSize = 500;
  /// Nothing heard for so long, not even a bookmark (one a minute): the watch is dead, and what it
  /// held back is unknown, so that all is listed.
  Duration silence = std::chrono::seconds(90);
  /// Between the events of a streamed list; a server that doesn't know of them stays silent.
  Duration initialSilence = std::chrono::seconds(30);
  /// How long one watch lasts before it is asked for again, jittered to 1 to 2 times this.
  Duration lifetime = std::chrono::minutes(5);
  Duration backoffFirst = std::chrono::milliseconds(200);
  Duration backoffMost = std::chrono::seconds(30);
  /// While the server refuses (403) or doesn't know the kind (404): somebody may be about to apply
  /// RBAC or CRDs, and such an answer costs the server little. After refusedSoon of it nobody is:
  /// then `refusedLater` is the longest.
  Duration backoffRefused = std::chrono::seconds(5);
  Duration refusedSoon = std::chrono::minutes(2);
  Duration refusedLater = std::chrono::minutes(1);
  /// The kind may as well not be there: a server that doesn't know it isn't warned of.
  bool isOptional = false;
  /// A full list at such intervals, jittered, finds what a watch lost. Zero: never.
  Duration compareEvery = std::chrono::minutes(30);
  /// The store's revision went back (restored from a backup), seen twice: after a watch that was
  /// cut the server is asked for its revision, and after a silent one for all. Called on the
  /// watch's thread before the older state is handed on.
  std::function<void(const std::string& before, const std::string& now)> onRevisionWentBack;
  /// The server doesn't know the kind, and didn't say so before, or knew it since: there are none
  /// of it till a list says otherwise. Called on the watch's thread.
  std::function<void()> onKindUnknown;
};

/// How a watch is doing, for readiness and metrics.
struct WatchHealth {
  std::uint64_t lists = 0;
  std::uint64_t watches = 0;
  std::uint64_t events = 0;
  std::uint64_t failures = 0;
  bool connected = false;
  std::string lastError;
  std::string resourceVersion;
  /// When the server last sent a list, an event or a bookmark.
  std::optional<std::chrono::steady_clock::time_point> heardAt;
  /// Since when the server says that it doesn't know the kind; nothing: it didn't, or knew it
  /// since.
  std::optional<std::chrono::steady_clock::time_point> kindUnknownSince;
};

/// Bookmarks come each minute, and a watch that is silent for longer than WatchOptions::silence is
/// asked anew: a server that is there is heard far more often than this.
inline constexpr Duration kOldCache = std::chrono::minutes(5);
/// What a cache of `resource` says of itself: see Informer::ready.
[[nodiscard]] Status readinessOf(std::string_view resource, bool synced, const WatchHealth& health,
                                 Duration oldest);

/// One thread from `start` to `stop`. `client` and `sink` outlive it.
class Watch {
 public:
  Watch(RawClient& client, Kind kind, WatchOptions options, WatchSink& sink);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void start();
  /// Ends the thread; the sink isn't called afterwards. Idempotent.
  void stop();
  /// From now on `now` is followed, without listing again what it shares with the selection before:
  /// only `added`, all of it that wasn't in that, is listed, as events. Any thread; returns at
  /// once. Not again before the sink heard `selected`.
  void select(Selection now, std::optional<Selection> added);
  [[nodiscard]] WatchHealth health() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
  std::jthread thread_;
};

}  // namespace multinet::kube
