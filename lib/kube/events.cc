#include "lib/kube/events.h"

#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <random>

#include "lib/async/lane.h"
#include "lib/async/start_thread.h"
#include "lib/base/log.h"

namespace multinet::kube {
namespace {

constexpr Kind kEvent{"", "v1", "events", "Event", Scope::Namespaced};
constexpr std::size_t kLongestMessage = 1024;  // events.k8s.io's limit of `note`
constexpr std::size_t kMostRemembered = 4096;
constexpr auto kFarewell = std::chrono::seconds(1);

/// Two Events with the same key are one that happened again.
struct EventKey {
  std::string uid;
  std::string name;
  std::string reason;
  std::string message;
  Severity severity = Severity::Normal;
  auto operator<=>(const EventKey&) const = default;
};

struct Waiting {
  EventKey key;
  ObjectReference about;
  int times = 1;
  WallTime last;
};

struct Sent {
  std::string name;
  int count = 0;
  BootTime at;
};

struct Bucket {
  double tokens = 0;
  BootTime at;
};

std::string hexName() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(random()));
  return text.data();
}

/// As much of the object's name as leaves room for the rest; a cut ends no label in '-' or '.'.
std::string prefixOf(const std::string& name) {
  constexpr std::size_t kMost = 230;
  std::string prefix = name.substr(0, kMost);
  while (!prefix.empty() && (prefix.back() == '-' || prefix.back() == '.')) prefix.pop_back();
  return prefix;
}

}  // namespace

class EventRecorder::Impl {
 public:
  Impl(Client& client, const Clock& clock, EventOptions options)
      : client_(client),
        clock_(clock),
        options_(std::move(options)),
        lane_(async::patiently("events", [] { return std::make_unique<async::Lane>("events"); })) {}

  void record(const ObjectReference& about, Severity severity, const std::string& reason,
              const std::string& message);
  /// Sends what is left, for as long as kFarewell.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (!until_) until_ = std::chrono::steady_clock::now() + kFarewell;
    }
    lane_->stop();
  }
  [[nodiscard]] std::uint64_t dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

 private:
  std::optional<Waiting> next();
  void sendNext();
  Status send(const Waiting& waiting);
  Json eventOf(const Waiting& waiting, const std::string& nameSpace, const std::string& name) const;
  /// Under the lock: may one more about this subject go out?
  bool allowed(const std::string& subject);

  Client& client_;
  const Clock& clock_;
  const EventOptions options_;

  mutable std::mutex mutex_;
  std::deque<Waiting> waiting_;
  std::map<std::string, Bucket> buckets_;
  std::uint64_t dropped_ = 0;
  std::optional<std::chrono::steady_clock::time_point> until_;  ///< once it is to stop

  std::map<EventKey, Sent> sent_;      // of the lane
  std::unique_ptr<async::Lane> lane_;  // last: it uses all of the above
};

bool EventRecorder::Impl::allowed(const std::string& subject) {
  if (buckets_.size() > kMostRemembered) buckets_.clear();
  const auto now = clock_.now();
  const auto burst = static_cast<double>(options_.burst);
  auto [place, isNew] = buckets_.try_emplace(subject, Bucket{burst, now});
  auto& bucket = place->second;
  const double refilled = std::chrono::duration<double>(now - bucket.at) /
                          std::chrono::duration<double>(options_.refill);
  bucket.tokens = std::min(burst, bucket.tokens + refilled);
  bucket.at = now;
  if (bucket.tokens < 1.0) return false;
  bucket.tokens -= 1.0;
  return true;
}

void EventRecorder::Impl::record(const ObjectReference& about, Severity severity,
                                 const std::string& reason, const std::string& message) {
  const EventKey key{about.uid, about.key.str(), reason, message.substr(0, kLongestMessage),
                     severity};
  {
    const std::lock_guard lock(mutex_);
    for (auto& waiting : waiting_) {
      if (waiting.key != key) continue;
      ++waiting.times;
      waiting.last = clock_.wall();
      return;
    }
    if (!allowed(about.uid + about.key.str())) {
      ++dropped_;
      return;
    }
    if (waiting_.size() >= options_.queueLimit) {
      waiting_.pop_front();
      ++dropped_;
    }
    waiting_.push_back({key, about, 1, clock_.wall()});
  }
  lane_->post([this] { sendNext(); });
}

std::optional<Waiting> EventRecorder::Impl::next() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return std::nullopt;  // it was dropped for a newer one
  auto first = std::move(waiting_.front());
  waiting_.pop_front();
  if (!until_ || std::chrono::steady_clock::now() < *until_) return first;
  ++dropped_;
  return std::nullopt;
}

void EventRecorder::Impl::sendNext() {
  const auto waiting = next();
  if (!waiting) return;
  if (const auto done = send(*waiting); !done.has_value()) {
    log::warn("lost an event", {{"about", waiting->about.key.str()},
                                {"reason", waiting->key.reason},
                                {"error", done.error()}});
    const std::lock_guard lock(mutex_);
    ++dropped_;
  }
}

Json EventRecorder::Impl::eventOf(const Waiting& waiting, const std::string& nameSpace,
                                  const std::string& name) const {
  const auto& about = waiting.about;
  const auto time = formatTime(waiting.last);
  Json object{{"metadata", {{"namespace", nameSpace}, {"name", name}}},
              {"involvedObject",
               {{"apiVersion", about.apiVersion},
                {"kind", about.kind},
                {"namespace", about.key.nameSpace},
                {"name", about.key.name},
                {"uid", about.uid}}},
              {"type", waiting.key.severity == Severity::Warning ? "Warning" : "Normal"},
              {"reason", waiting.key.reason},
              {"message", waiting.key.message},
              {"count", waiting.times},
              {"firstTimestamp", time},
              {"lastTimestamp", time},
              {"source", {{"component", options_.component}}},
              {"reportingComponent", options_.component},
              {"reportingInstance", options_.host}};
  if (!options_.host.empty()) object["source"]["host"] = options_.host;
  return object;
}

Status EventRecorder::Impl::send(const Waiting& waiting) {
  // Events of the cluster's objects live in `default`, where kubectl describe looks for them.
  const auto& about = waiting.about;
  const auto nameSpace = about.key.nameSpace.empty() ? "default" : about.key.nameSpace;
  const auto now = clock_.now();
  if (sent_.size() >= kMostRemembered) {
    std::erase_if(sent_, [&](const auto& entry) { return now - entry.second.at > options_.again; });
    if (sent_.size() >= kMostRemembered) sent_.clear();
  }
  const auto before = sent_.find(waiting.key);
  if (before != sent_.end() && now - before->second.at < options_.again) {
    auto& sent = before->second;
    const int count = sent.count + waiting.times;
    const auto patched =
        client_.raw().patch(kEvent, {nameSpace, sent.name}, PatchType::Merge,
                            {{"count", count}, {"lastTimestamp", formatTime(waiting.last)}},
                            Subresource::None, Conflicts::Refuse);
    if (patched.has_value()) {
      sent.count = count;
      return {};
    }
    // The server forgets Events after an hour or so; then it is a new one.
    if (patched.error().code != Code::NotFound) return fail(patched.error());
  }
  const auto name = prefixOf(about.key.name) + "." + hexName();
  const auto object = eventOf(waiting, nameSpace, name);
  // The name is random: whatever is there under it came from a try whose reply was lost.
  MULTINET_TRY([[maybe_unused]] const auto made,
               client_.raw().create(kEvent, object, [](std::string_view) { return true; }));
  sent_[waiting.key] = Sent{name, waiting.times, now};
  return {};
}

EventRecorder::EventRecorder(Client& client, const Clock& clock, EventOptions options)
    : impl_(std::make_unique<Impl>(client, clock, std::move(options))) {}
EventRecorder::~EventRecorder() {
  impl_->stop();
}
void EventRecorder::stop() {
  impl_->stop();
}
void EventRecorder::record(const ObjectReference& about, Severity severity,
                           const std::string& reason, const std::string& message) {
  impl_->record(about, severity, reason, message);
}
std::uint64_t EventRecorder::dropped() const {
  return impl_->dropped();
}

}  // namespace multinet::kube
