// An API server in memory behind the seam: paths, preconditions and codes as over a connection, and
// no socket, no thread, no time.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/kube/transport.h"
#include "test/support/ask.h"

namespace multinet::kube {

/// Thread-safe; the hooks are set before the first call and run on the callers' threads. No
/// streams: a watch wants the ApiServer.
class FakeTransport final : public Transport {
 public:
  /// `store` outlives it.
  explicit FakeTransport(testing::ObjectStore& store) : store_(store) {}

  /// What it returns is the answer, and nothing is carried out.
  std::function<std::optional<Result<HttpResponse>>(const HttpRequest&)> before;
  /// Told of each write that was carried out, before its caller is.
  std::function<void()> written;

  [[nodiscard]] Result<HttpResponse> call(const HttpRequest& request,
                                          Duration /*deadline*/) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(std::string(name(request.method)) + " " + request.target);
    }
    if (before) {
      if (auto answer = before(request)) return *std::move(answer);
    }
    const auto ask = testing::Ask::parse(std::string(name(request.method)), request.target,
                                         request.body, request.contentType);
    const auto answer = testing::execute(store_, ask);
    auto body = answer.body.dump();
    {
      const std::lock_guard lock(mutex_);
      bytes_ += body.size();
    }
    if (written && request.method != Method::Get && answer.status < 300) written();
    return HttpResponse{answer.status, std::move(body), std::nullopt};
  }
  [[nodiscard]] Result<HttpResponse> stream(const HttpRequest& /*request*/,
                                            const std::function<Duration()>& /*patience*/,
                                            const ByteSink& /*sink*/,
                                            const std::stop_token& /*stop*/) override {
    return fail(Code::Unimplemented, "NoStreams", "stream: the fake has none");
  }

  /// Each so far: `PUT /apis/multinet.dev/v1alpha1/networkpeers/blue.n1?fieldManager=multinet`.
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  /// Of all answers' bodies.
  [[nodiscard]] std::uint64_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  testing::ObjectStore& store_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::uint64_t bytes_ = 0;
};

/// An answer of the server's that refuses.
[[nodiscard]] inline HttpResponse refusing(int status, const std::string& reason,
                                           const std::string& message) {
  return {status, testing::failure(status, reason, message).body.dump(), std::nullopt};
}

}  // namespace multinet::kube
