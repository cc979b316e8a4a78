#include "lib/base/calls.h"

#include <memory>
#include <utility>

namespace multinet::calls {

std::atomic<const Observer*> internal::observer{nullptr};

void observe(Observer observer) {
  // Never freed: a thread may be in it until the process ends.
  internal::observer.store(std::make_unique<const Observer>(std::move(observer)).release(),
                           std::memory_order_release);
}

}  // namespace multinet::calls
