// The client over a transport in memory, on a clock that the test owns.
#include "lib/kube/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "lib/base/fake_clock.h"
#include "lib/kube/fake_kind.h"
#include "lib/kube/fake_transport.h"
#include "lib/kube/informer.h"

namespace multinet::kube {
namespace {

using std::chrono::seconds;

TEST(ClientRetry, WaitsByTheClockThatItWasGiven) {
  testing::ObjectStore store;
  FakeClock clock;
  auto owned = std::make_unique<FakeTransport>(store);
  FakeTransport& transport = *owned;
  std::atomic<int> refusals = 1;
  transport.before = [&](const HttpRequest&) -> std::optional<Result<HttpResponse>> {
    if (refusals-- <= 0) return std::nullopt;
    HttpResponse busy = refusing(429, "TooManyRequests", "later");
    busy.retryAfter = std::chrono::hours(1);
    return busy;
  };
  ClientOptions options;
  options.maxRetryAfter = std::chrono::hours(2);
  options.clock = &clock;
  std::vector<Duration> took;
  options.observer = [&](const CallRecord& call) { took.push_back(call.duration); };
  Client client(std::move(owned), options);
  auto asked = std::async(std::launch::async,
                          [&] { return client.get<FakeNote>({"default", "a"}).error().code; });
  const BootTime begin = clock.now();
  while (asked.wait_for(std::chrono::microseconds(100)) != std::future_status::ready) {
    // Its second try isn't made before the time that the server named.
    if (clock.now() - begin < std::chrono::hours(1)) {
      EXPECT_LE(transport.requests().size(), 1U);
    }
    clock.advance(std::chrono::minutes(1));
  }
  EXPECT_EQ(asked.get(), Code::NotFound);
  EXPECT_GE(clock.now() - begin, std::chrono::hours(1));
  EXPECT_EQ(transport.requests().size(), 2U);
  EXPECT_EQ(took.size(), 2U);
}

/// A list that has no end: who waited for all of it would wait for ever.
TEST(Watch, EndsBetweenThePagesOfAList) {
  testing::ObjectStore store;
  auto owned = std::make_unique<FakeTransport>(store);
  FakeTransport& transport = *owned;
  std::promise<void> asked;
  std::atomic<int> pages = 0;
  transport.before = [&](const HttpRequest&) -> std::optional<Result<HttpResponse>> {
    if (++pages == 3) asked.set_value();
    return HttpResponse{200, R"({"metadata":{"resourceVersion":"5","continue":"more"},"items":[]})",
                        std::nullopt};
  };
  Client client(std::move(owned));
  Informer<FakeNote> informer(client, {.selection = {},
                                       .initialList = InitialList::Paged,
                                       .onRevisionWentBack = {},
                                       .onKindUnknown = {}});
  informer.start();
  asked.get_future().wait();
  informer.stop();
  EXPECT_FALSE(informer.synced());
}

}  // namespace
}  // namespace multinet::kube
