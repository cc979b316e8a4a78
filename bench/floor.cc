#include "bench/floor.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "nodeagent/cri/interceptor.h"

namespace multinet::bench {
namespace {

using namespace agent::cri;

/// About as long as the journal's record of a pod with one interface.
constexpr std::size_t kRecordBytes = 2048;

grpc::Status failed(const Error& error) {
  return {grpc::StatusCode::INTERNAL, "the floor: " + error.message};
}

}  // namespace

class Floor::Run final : public Interceptor {
 public:
  explicit Run(Floor& floor) : floor_(floor) {}
  void request(grpc::ByteBuffer message, std::function<void(RequestDecision)> decide) override {
    const Status committed = floor_.commit();
    if (!committed) return decide(Refuse{failed(committed.error())});
    decide(Forward{std::move(message)});
  }
  void reply(grpc::ByteBuffer message, std::function<void(ReplyDecision)> decide) override {
    const Status attached = floor_.attach();
    if (!attached) return decide(Refuse{failed(attached.error())});
    decide(Forward{std::move(message)});
  }

 private:
  Floor& floor_;
};

class Floor::Stop final : public Interceptor {
 public:
  explicit Stop(Floor& floor) : floor_(floor) {}
  void request(grpc::ByteBuffer message, std::function<void(RequestDecision)> decide) override {
    const Status detached = floor_.detach();
    if (!detached) return decide(Refuse{failed(detached.error())});
    decide(Forward{std::move(message)});
  }

 private:
  Floor& floor_;
};

Result<std::unique_ptr<Floor>> Floor::start(const Options& options) {
  MULTINET_TRY(Fd socket, listenAt(options.listen));
  std::optional<store::Database> commits;
  if (options.pods == 0) {
    MULTINET_TRY(auto opened,
                 store::Database::open(options.commits, {"CREATE TABLE records (bytes BLOB)"}));
    commits = std::move(opened.database);
  }
  auto floor = std::make_unique<Floor>(options, std::move(socket), std::move(commits));
  MULTINET_CHECK(floor->refill());
  return floor;
}

Status Floor::refill() {
  pods_.clear();
  attached_ = 0;
  MULTINET_TRY(const Fd site, netns::make());
  MULTINET_TRY(const auto scope, netns::Scope::enter(site));
  MULTINET_CHECK(makeParents());
  unsigned number = 0;
  for (unsigned i = 0; i < std::max(options_.pods, 1U); ++i) {
    Links links;
    for (const LinkKind kind : options_.links) {
      MULTINET_TRY(auto contender, makeNetlink(planOf(kind, number++)));
      links.push_back(std::move(contender));
    }
    pods_.push_back(std::move(links));
  }
  return {};
}

Floor::Floor(Options options, Fd socket, std::optional<store::Database> commits)
    : options_(std::move(options)),
      commits_(std::move(commits)),
      server_(std::make_unique<Server>(
          ServerOptions{.runtime = options_.runtime,
                        .interceptorOf = [this](std::string_view method, auto&&,
                                                auto) -> std::unique_ptr<Interceptor> {
                          if (method.ends_with("/RunPodSandbox")) {
                            return std::make_unique<Run>(*this);
                          }
                          if (method.ends_with("/StopPodSandbox")) {
                            return std::make_unique<Stop>(*this);
                          }
                          return nullptr;
                        }})),
      listener_(std::move(socket), [this](Fd connection) { server_->add(std::move(connection)); }) {
}

Status Floor::commit() {
  if (!commits_) return {};
  MULTINET_TRY(auto insert, commits_->prepare("INSERT INTO records (bytes) VALUES (?)"));
  MULTINET_CHECK(commits_->begin(store::Durability::Synced));
  MULTINET_CHECK(insert.bind(1, std::string(kRecordBytes, 'r')).run());
  return commits_->commit();
}

Status Floor::attach() {
  if (attached_ == pods_.size()) {
    return fail(Code::ResourceExhausted, "NoPod", "attach: there are no more pods");
  }
  for (const auto& link : pods_[attached_]) MULTINET_CHECK(link->attach());
  ++attached_;
  return {};
}

Status Floor::detach() {
  if (options_.pods > 0 || attached_ == 0) return {};
  attached_ = 0;
  for (const auto& link : pods_.front()) MULTINET_CHECK(link->detach());
  return {};
}

}  // namespace multinet::bench
