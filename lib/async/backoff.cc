#include "lib/async/backoff.h"

#include <algorithm>

namespace multinet::async {

Backoff::Backoff(Duration first, Duration cap, std::uint64_t seed)
    : first_(std::min(first, cap)), cap_(cap), wait_(first_), random_(seed) {}

Duration Backoff::next() {
  const Duration wait = wait_;
  wait_ = wait > cap_ / 2 ? cap_ : wait * 2;
  std::uniform_int_distribution<Duration::rep> half(wait.count() / 2, wait.count());
  return Duration(half(random_));
}

}  // namespace multinet::async
