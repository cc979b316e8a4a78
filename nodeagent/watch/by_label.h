// One watch of a kind for all that this node has to do with, by a label that says of what an object
// is: the network that it is on, or a policy's namespace. Connections and threads don't grow with
// these.
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/kube/informer.h"

namespace multinet::agent::watch {

/// So many values share a watch: these, of 63 characters and percent-encoded, are below the 8 KiB
/// that proxies before an API server take as a line; itself it takes 1 MiB.
inline constexpr std::size_t kValuesPerWatch = 100;

/// When the values change, a watch goes on with others: only what a new one has is listed, and what
/// is known of the others stays all the time.
template <kube::HasKind T>
class ByLabel {
 public:
  using One = std::shared_ptr<const kube::Informer<T>>;
  /// Gives a watch what it has before it starts, an index for one.
  using Prepare = void (*)(kube::Informer<T>& watch);

  /// `label` is the one whose values are followed; `labels` are of all that is, as terms of a
  /// selector. Of `handler`, `synced` comes whenever more values are known. `client` outlives it.
  ByLabel(kube::Client& client, kube::WatchOptions options, const char* label, std::string labels,
          kube::Handler<T> handler, Prepare prepare)
      : client_(client),
        options_(std::move(options)),
        label_(label),
        labels_(std::move(labels)),
        handler_(std::move(handler)),
        prepare_(prepare) {}
  ~ByLabel() { follow({}); }
  ByLabel(const ByLabel&) = delete;
  ByLabel& operator=(const ByLabel&) = delete;

  /// One thread at a time; waits for the ends of watches that have no value any more.
  void follow(const std::set<std::string>& values) {
    std::vector<std::shared_ptr<Part>> ended;
    {
      const std::lock_guard lock(mutex_);
      std::set<std::string> rest = values;
      for (const auto& part : parts_) {
        const auto left = [&](const std::string& name) { return !values.contains(name); };
        std::erase_if(part->wanted, left);
        std::erase_if(part->known, left);
        for (const std::string& name : part->wanted) rest.erase(name);
      }
      for (const std::string& name : rest) roomyPart().wanted.insert(name);
      std::erase_if(parts_, [&](const auto& part) {
        if (!part->wanted.empty()) return false;
        ended.push_back(part);
        return true;
      });
      for (const auto& part : parts_) adjust(part);
    }
    for (const auto& part : ended) {
      if (part->watch) part->watch->stop();
    }
  }

  /// Null until all is known that has that value. Any thread, as all below.
  [[nodiscard]] One of(const std::string& value) const {
    const std::lock_guard lock(mutex_);
    for (const auto& part : parts_) {
      if (!part->known.contains(value)) continue;
      return part->watch->synced() ? One(part, &*part->watch) : nullptr;
    }
    return nullptr;
  }
  /// Of a watch that hasn't its first list yet; of any where all have.
  [[nodiscard]] kube::WatchHealth health() const {
    const std::lock_guard lock(mutex_);
    for (const auto& part : parts_) {
      if (!part->watch->synced()) return part->watch->health();
    }
    return parts_.empty() ? kube::WatchHealth{} : parts_.front()->watch->health();
  }
  /// When the server last said something, of the watch that it said the least of; nothing where
  /// there is none, or one hasn't heard anything yet.
  [[nodiscard]] auto heardAt() const {
    const std::lock_guard lock(mutex_);
    decltype(kube::WatchHealth::heardAt) oldest;
    for (const auto& part : parts_) {
      const auto heard = part->watch->health().heardAt;
      if (!heard) return heard;
      oldest = oldest ? std::min(*oldest, *heard) : *heard;
    }
    return oldest;
  }

 private:
  /// A watch, and the values that share it. They stay with it.
  struct Part {
    std::optional<kube::Informer<T>> watch;
    std::set<std::string> wanted;
    std::set<std::string> asked;  ///< of the server
    std::set<std::string> known;  ///< of those wanted, once the watch is synced
    bool turning = false;         ///< to what was asked last
  };

  Part& roomyPart() {
    for (const auto& part : parts_) {
      if (part->wanted.size() < kValuesPerWatch) return *part;
    }
    return *parts_.emplace_back(std::make_shared<Part>());
  }

  [[nodiscard]] kube::Selection selectionOf(const std::set<std::string>& values) const {
    kube::Selection selection = options_.selection;
    std::string& labels = selection.labelSelector;
    labels = labels_.empty() ? "" : labels_ + ",";
    labels += std::string(label_) + " in (";
    for (const std::string& name : values) labels += name + ",";
    labels.back() = ')';
    return selection;
  }

  void adjust(const std::shared_ptr<Part>& part) {
    if (part->turning || part->wanted == part->asked || part->wanted.empty()) return;
    const auto before = std::exchange(part->asked, part->wanted);
    if (!part->watch) {
      auto options = options_;
      options.selection = selectionOf(part->asked);
      part->known = part->asked;
      part->watch.emplace(client_, std::move(options));
      part->watch->addHandler(handler_);
      prepare_(*part->watch);
      part->watch->start();
      return;
    }
    std::set<std::string> added;
    std::ranges::set_difference(part->asked, before, std::inserter(added, added.end()));
    typename kube::Informer<T>::Other other;
    other.now = selectionOf(part->asked);
    if (!added.empty()) other.added = selectionOf(added);
    other.has = [label = label_, values = part->asked](const T& object) {
      const k8s::StringMap& labels = *object.metadata.labels;
      const auto found = labels.find(label);
      return found != labels.end() && values.contains(found->second);
    };
    // It isn't called once the watch was stopped, which each part is before it goes.
    other.done = [this, one = part.get()] { turned(*one); };
    part->turning = true;
    part->watch->select(std::move(other));
  }

  void turned(Part& turned) {
    {
      const std::lock_guard lock(mutex_);
      turned.turning = false;
      for (const std::string& name : turned.asked) {
        if (turned.wanted.contains(name)) turned.known.insert(name);
      }
      // One that ended has no place any more.
      for (const auto& part : parts_) {
        if (part.get() == &turned) adjust(part);
      }
    }
    if (handler_.synced) handler_.synced();
  }

  kube::Client& client_;
  const kube::WatchOptions options_;
  const char* const label_;
  const std::string labels_;
  const kube::Handler<T> handler_;
  const Prepare prepare_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Part>> parts_;
};

}  // namespace multinet::agent::watch
