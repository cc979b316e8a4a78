// A clock that stands still until a test moves it.
#pragma once

#include <atomic>

#include "lib/base/clock.h"

namespace multinet {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] BootTime now() const override { return BootTime(Duration(nanos_.load())); }
  [[nodiscard]] WallTime wall() const override {
    return WallTime(std::chrono::seconds(1767225600) + Duration(nanos_.load()));  // 2026-01-01
  }
  void advance(Duration by) { nanos_ += by.count(); }

 private:
  std::atomic<Duration::rep> nanos_{1'000'000'000};
};

}  // namespace multinet
