// Reviews, answered within a time, on few threads, whoever sends how many.
//
// A review is decided by the caches on the I/O thread that read it, which takes microseconds.
// Caches lag, so what they refuse is looked at once more with the API server's own state; so are
// networks, which are rare and judged by what no cache holds, and pods that labels may choose, lest
// one made right after its attachment goes without. Those looks wait on
// threads of their own, in bounded queues; one review has one budget of time and of calls, and one
// namespace can't take all the room. Where there is none, the answer comes at once: refused, try
// again; or what the caches chose.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/async/intake.h"
#include "lib/base/clock.h"
#include "lib/kube/client.h"
#include "webhook/admission/review.h"
#include "webhook/admission/view.h"

namespace multinet::webhook {

using Judge = std::function<Verdict(const Review&, const View&)>;

struct ReviewOptions {
  /// From the last byte of a review to its answer: under the three seconds that the API server
  /// waits.
  Duration budget = std::chrono::milliseconds(1800);
  int callsPerReview = 20;        ///< see LookBudget
  unsigned threads = 4;           ///< looks at a time
  std::size_t waiting = 16;       ///< for each of them
  std::size_t perNamespace = 16;  ///< looks under way or waiting
};

/// From construction to stop().
class Reviews {
 public:
  /// Hears of each verdict that is given, and how long it took. Any thread.
  using Observer = std::function<void(const Review&, const Verdict&, Duration)>;

  /// All it is given outlives it. Looks are made by `server`.
  Reviews(kube::Transport& server, const View& caches, const Clock& clock,
          ReviewOptions options = {});
  ~Reviews() { stop(); }
  Reviews(const Reviews&) = delete;
  Reviews& operator=(const Reviews&) = delete;

  /// What answers the POSTs of one path. Valid as long as this.
  [[nodiscard]] http::AsyncHandler handler(Judge judge, Observer observer);
  /// Ends the looks that are under way; later ones are refused. No Reply is kept afterwards.
  void stop();
  [[nodiscard]] std::vector<async::LaneHealth> lanes() const;

 private:
  /// A review that waits for its look.
  struct Look {
    std::string body;
    std::string nameSpace;
    BootTime begin;
    const Judge* judge = nullptr;
    const Observer* observer = nullptr;
    http::Response busy;
    http::Reply reply;
  };
  /// One path's.
  struct Path {
    Judge judge;
    Observer observer;
  };

  void answer(const Path& path, const http::Request& request, http::Reply reply);
  /// False where there is no room.
  [[nodiscard]] bool wait(Look& look);
  void look(Look look);
  void leave(const std::string& nameSpace);

  kube::Transport& server_;
  const View& caches_;
  const Clock& clock_;
  const ReviewOptions options_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::mutex mutex_;
  std::map<std::string, std::size_t> underWay_;                ///< by namespace
  std::vector<std::unique_ptr<async::Intake<Look>>> intakes_;  // last: they use all of the above
};

}  // namespace multinet::webhook
