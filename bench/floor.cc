#include "bench/floor.h"

#include <string_view>
#include <utility>

#include "lib/netns/netns.h"
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

Result<std::unique_ptr<Floor>> Floor::start(const std::string& listen, const std::string& runtime,
                                            const std::string& commits,
                                            const std::vector<LinkKind>& links) {
  MULTINET_TRY(Fd socket, listenAt(listen));
  MULTINET_TRY(auto opened, store::Database::open(commits, {"CREATE TABLE records (bytes BLOB)"}));
  MULTINET_TRY(const Fd site, netns::make());
  MULTINET_TRY(const auto scope, netns::Scope::enter(site));
  MULTINET_CHECK(makeParents());
  std::vector<std::unique_ptr<Contender>> contenders;
  for (const LinkKind kind : links) {
    MULTINET_TRY(auto contender,
                 makeNetlink(planOf(kind, static_cast<unsigned>(contenders.size()))));
    contenders.push_back(std::move(contender));
  }
  return std::make_unique<Floor>(std::move(socket), runtime, std::move(opened.database),
                                 std::move(contenders));
}

Floor::Floor(Fd socket, const std::string& runtime, store::Database commits,
             std::vector<std::unique_ptr<Contender>> links)
    : commits_(std::move(commits)),
      links_(std::move(links)),
      server_(std::make_unique<Server>(
          ServerOptions{.runtime = runtime,
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
  MULTINET_TRY(auto insert, commits_.prepare("INSERT INTO records (bytes) VALUES (?)"));
  MULTINET_CHECK(commits_.begin(store::Durability::Synced));
  MULTINET_CHECK(insert.bind(1, std::string(kRecordBytes, 'r')).run());
  return commits_.commit();
}

Status Floor::attach() {
  for (const auto& link : links_) MULTINET_CHECK(link->attach());
  attached_ = true;
  return {};
}

Status Floor::detach() {
  if (!std::exchange(attached_, false)) return {};
  for (const auto& link : links_) MULTINET_CHECK(link->detach());
  return {};
}

}  // namespace multinet::bench
