#include "controller/caches.h"

namespace multinet::controller {
namespace {

/// A kind that the server doesn't know may be installed at any time, and is followed soon after.
constexpr Duration kKindIsAskedFor = std::chrono::seconds(20);

template <class T>
kube::WatchOptions watchOf() {
  kube::WatchOptions options;
  options.selection.labelSelector = kWatchedLabels<T>;
  options.isOptional = kIsOptional<T>;
  if constexpr (kIsOptional<T>) options.refusedLater = kKindIsAskedFor;
  return options;
}

}  // namespace

template <class T>
Cache<T>::Cache(kube::Client& client, const std::function<void()>& changed)
    : changed_(changed), informer_(client, watchOf<T>()) {
  informer_.setFilter([](const T& object) { return concerns(object); });
  informer_.addHandler({.added = [this](const T& now) { note(now); },
                        .updated =
                            [this](const T& old, const T& now) {
                              if (!(old == now)) note(now);
                            },
                        .deleted = [this](const T& last) { note(last); },
                        .synced = changed});
}

template <class T>
void Cache<T>::note(const T& object) {
  {
    const std::lock_guard lock(mutex_);
    if (!listed_) return;
    noted_.insert(keyOf(object));
  }
  changed_();
}

template <class T>
void Cache<T>::drainInto(World& world, BootTime time) {
  std::unordered_set<k8s::ObjectKey> noted;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (!listed_ && !informer_.synced()) return;
    first = !std::exchange(listed_, true);
    noted.swap(noted_);
  }
  // What changed before it was noted is in the list.
  if (first) {
    for (const auto& object : informer_.list()) world.put<T>(keyOf(*object), object, time);
    if constexpr (kIsOptional<T>) world.know<T>();
  }
  // What changed once more meanwhile is noted again.
  for (const auto& key : noted) world.put<T>(key, informer_.get(key), time);
}

Caches::Caches(kube::Client& client, const std::function<void()>& changed)
    : kinds_(client, changed) {}

void Caches::start() {
  kinds_.each([](auto& cache) { cache.informer().start(); });
}

void Caches::stop() {
  kinds_.each([](auto& cache) { cache.informer().stop(); });
}

Status Caches::synced() const {
  return ready(Duration::max());
}

Status Caches::ready(Duration oldest) const {
  Status status;
  kinds_.each([&]<class T>(const Cache<T>& cache) {
    if (!kIsOptional<T> && status) status = cache.informer().ready(oldest);
  });
  return status;
}

std::map<std::string, Duration> Caches::ages() const {
  std::map<std::string, Duration> ages;
  const auto now = std::chrono::steady_clock::now();
  kinds_.each([&]<class T>(const Cache<T>& cache) {
    const auto health = cache.informer().health();
    const auto heard = health.kindUnknownSince ? std::nullopt : health.heardAt;
    if (heard) ages[std::string(kube::kindOf<T>().plural)] = now - *heard;
  });
  return ages;
}

void Caches::drainInto(World& world, BootTime time) {
  kinds_.each([&](auto& cache) { cache.drainInto(world, time); });
}

}  // namespace multinet::controller
