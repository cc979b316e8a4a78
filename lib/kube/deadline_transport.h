// A transport whose calls all end by one point in time, however many there are.
#pragma once

#include <algorithm>

#include "lib/base/clock.h"
#include "lib/kube/transport.h"

namespace multinet::kube {

/// For one piece of work that has a deadline as a whole. No streams.
class DeadlineTransport final : public Transport {
 public:
  /// Both outlive it.
  DeadlineTransport(Transport& inner, const Clock& clock, BootTime until)
      : inner_(inner), clock_(clock), until_(until) {}

  [[nodiscard]] Result<HttpResponse> call(const HttpRequest& request, Duration deadline) override {
    const Duration left = until_ - clock_.now();
    if (left <= Duration::zero()) {
      return fail(Code::DeadlineExceeded, "DeadlineExceeded",
                  std::string(name(request.method)) + " " + request.target +
                      ": not sent, the time for the whole work is over");
    }
    return inner_.call(request, std::min(deadline, left));
  }
  [[nodiscard]] Result<HttpResponse> stream(const HttpRequest& /*request*/,
                                            const std::function<Duration()>& /*patience*/,
                                            const ByteSink& /*sink*/,
                                            const std::stop_token& /*stop*/) override {
    return fail(Code::Unimplemented, "NoStreams", "stream: work with a deadline follows nothing");
  }

 private:
  Transport& inner_;
  const Clock& clock_;
  const BootTime until_;
};

}  // namespace multinet::kube
