#include "webhook/reviews.h"

#include <algorithm>
#include <utility>

#include "lib/kube/deadline_transport.h"
#include "webhook/live_view.h"

namespace multinet::webhook {
namespace {

constexpr unsigned kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kTooManyRequests = 429;
/// Of one call, of which a review may need several, with one retry.
constexpr Duration kCallDeadline = std::chrono::milliseconds(700);

/// Whether the caches' word isn't the last.
bool needsLook(const Review& review, const Verdict& byCaches) {
  if (byCaches.code == kBadRequest) return false;
  return review.resource == "podnetworks" || !byCaches.allowed || byCaches.unknown ||
         byCaches.behind;
}

Verdict tooMany(const Review& review, const Verdict& byCaches) {
  std::string message = "admit " + review.resource + " " + review.nameSpace +
                        (review.nameSpace.empty() ? "" : "/") + review.name +
                        ": too many reviews wait for the API server's word; try again";
  if (!byCaches.allowed) message += " (the webhook's caches say: " + byCaches.message + ")";
  return Verdict::refuse(kTooManyRequests, "TooManyRequests", std::move(message));
}

}  // namespace

Reviews::Reviews(kube::Transport& server, const View& caches, const Clock& clock,
                 ReviewOptions options)
    : server_(server), caches_(caches), clock_(clock), options_(options) {
  for (unsigned i = 0; i < options_.threads; ++i) {
    intakes_.push_back(std::make_unique<async::Intake<Look>>(
        async::Intake<Look>::Options{.name = "review-" + std::to_string(i),
                                     .capacity = options_.waiting,
                                     .patience = options_.budget,
                                     .tooOld =
                                         [this](Look one) {
                                           leave(one.nameSpace);
                                           one.reply(std::move(one.busy));
                                         },
                                     .clock = &clock_},
        [this](std::vector<Look> batch) {
          for (Look& one : batch) look(std::move(one));
        }));
  }
}

void Reviews::stop() {
  for (const auto& intake : intakes_) {
    for (Look& left : intake->stop()) left.reply(std::move(left.busy));
  }
}

std::vector<async::LaneHealth> Reviews::lanes() const {
  std::vector<async::LaneHealth> all;
  all.reserve(intakes_.size());
  for (const auto& intake : intakes_) all.push_back(intake->health());
  return all;
}

http::AsyncHandler Reviews::handler(Judge judge, Observer observer) {
  paths_.push_back(std::make_unique<Path>(Path{std::move(judge), std::move(observer)}));
  return [this, path = paths_.back().get()](const http::Request& request, http::Reply reply) {
    answer(*path, request, std::move(reply));
  };
}

void Reviews::answer(const Path& path, const http::Request& request, http::Reply reply) {
  Look look{{}, {}, clock_.now(), &path.judge, &path.observer, {}, {}};
  bool again = false;
  http::Response response = answerReview(request.body, [&](const Review& review) {
    Verdict verdict = path.judge(review, caches_);
    again = needsLook(review, verdict);
    if (again) {
      look.nameSpace = review.nameSpace;
      const bool stands = verdict.allowed && verdict.behind;
      const Verdict busy = stands ? verdict : tooMany(review, verdict);
      look.busy = {kOk, "application/json", encodeAnswer(review.uid, busy)};
    } else {
      path.observer(review, verdict, clock_.now() - look.begin);
    }
    return verdict;
  });
  if (!again) return reply(std::move(response));
  look.body = request.body;
  look.reply = std::move(reply);
  if (!wait(look)) look.reply(std::move(look.busy));
}

bool Reviews::wait(Look& look) {
  const std::string nameSpace = look.nameSpace;
  {
    const std::lock_guard lock(mutex_);
    std::size_t& count = underWay_[nameSpace];
    if (count >= options_.perNamespace) return false;
    ++count;
  }
  const auto load = [](const auto& intake) {
    const async::LaneHealth health = intake->health();
    return std::pair(health.depth, health.busy);
  };
  const auto idlest =
      std::ranges::min_element(intakes_, {}, [&](const auto& intake) { return load(intake); });
  if ((*idlest)->push(look) == async::Intake<Look>::Push::Taken) return true;
  leave(nameSpace);
  return false;
}

void Reviews::look(Look look) {
  const BootTime until = look.begin + options_.budget;
  kube::ClientOptions options;
  options.deadline = kCallDeadline;
  options.maxRetryAfter = Duration::zero();
  kube::Client client(std::make_unique<kube::DeadlineTransport>(server_, clock_, until),
                      std::move(options));
  const LiveView view(client, caches_, clock_, {until, options_.callsPerReview});
  http::Response response = answerReview(look.body, [&](const Review& review) {
    Verdict verdict = (*look.judge)(review, view);
    (*look.observer)(review, verdict, clock_.now() - look.begin);
    return verdict;
  });
  leave(look.nameSpace);
  look.reply(std::move(response));
}

void Reviews::leave(const std::string& nameSpace) {
  const std::lock_guard lock(mutex_);
  const auto found = underWay_.find(nameSpace);
  if (found != underWay_.end() && --found->second == 0) underWay_.erase(found);
}

}  // namespace multinet::webhook
