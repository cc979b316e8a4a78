// The API server as far as IPBlocks go, in memory, shared by the nodes of a test.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/api/names.h"
#include "lib/kube/fake_transport.h"
#include "nodeagent/addresses/blocks.h"

namespace multinet::agent::addresses {

/// Thread-safe.
class FakeBlockServer {
 public:
  FakeBlockServer() {
    auto owned = std::make_unique<kube::FakeTransport>(store_);
    transport_ = owned.get();
    transport_->before = [this](const kube::HttpRequest& request) { return refusal(request); };
    client_ = std::make_unique<kube::Client>(std::move(owned));
  }

  [[nodiscard]] kube::ClientSource client() {
    return [this]() -> Result<kube::Client*> { return client_.get(); };
  }
  /// All there are, in order of their names.
  [[nodiscard]] std::vector<LeasedBlock> blocks() const {
    std::vector<LeasedBlock> all;
    const auto answer = store_.list(path(""), "", "", 0, "");
    for (const auto& item : answer.body["items"]) {
      const auto& spec = item.at("spec");
      all.push_back({NetworkName(spec.at("podNetworkName")), NetworkUid(spec.at("podNetworkUID")),
                     IpPrefix::parse(spec.at("cidr").get<std::string>()).value(),
                     NodeName(spec.at("nodeName")), item.at("metadata").at("uid")});
    }
    return all;
  }
  /// Whether that name is leased.
  [[nodiscard]] bool has(const LeasedBlock& block) const {
    return store_.get(path(nameOf(block))).status == 200;
  }
  /// As another life of the cluster left it. With the UID that it has then.
  LeasedBlock put(LeasedBlock block) {
    api::IPBlock object;
    object.metadata.name = nameOf(block);
    object.spec = {block.network.str(), block.networkUid.str(), block.prefix.str(),
                   block.node.str()};
    const auto made = store_.create(path(""), k8s::KindTraits<api::IPBlock>::encode(object));
    block.objectUid = made.body["metadata"]["uid"];
    return block;
  }
  /// Past what the API allows: it is another node's all at once.
  void give(const LeasedBlock& block, const NodeName& node) {
    static_cast<void>(store_.patch(path(nameOf(block)), {{"spec", {{"nodeName", node.str()}}}},
                                   multinet::testing::ObjectStore::IfAbsent::Fail));
  }
  /// A block of n1 whose name and prefix disagree, which the policies refuse.
  void misname() {
    api::IPBlock object;
    object.metadata.name = "blue-10.99.0.0-26";
    object.spec = {"blue", "uid-blue", "10.30.0.64/26", "n1"};
    static_cast<void>(store_.create(path(""), k8s::KindTraits<api::IPBlock>::encode(object)));
  }
  void erase(const LeasedBlock& block) {
    static_cast<void>(store_.remove(path(nameOf(block)), {}));
  }
  void clear() {
    for (const LeasedBlock& block : blocks()) erase(block);
  }

  /// While there is an error each call fails by it, or each create.
  void failAll(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  void failCreates(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    createError_ = std::move(error);
  }
  /// Each create takes so long.
  void answerAfter(Duration time) { delay_ = time; }
  /// Creates that were under way together.
  [[nodiscard]] int mostAtOnce() const { return most_; }
  /// Calls hang while it is held.
  [[nodiscard]] std::unique_lock<std::mutex> hang() { return std::unique_lock(mutex_); }
  [[nodiscard]] std::size_t calls() const { return transport_->requests().size(); }
  [[nodiscard]] std::vector<std::string> requests() const { return transport_->requests(); }
  /// Of all answers' bodies.
  [[nodiscard]] std::uint64_t bytes() const { return transport_->bytes(); }

 private:
  std::optional<Result<kube::HttpResponse>> refusal(const kube::HttpRequest& request) {
    if (request.method == kube::Method::Post && delay_.load() > Duration{}) {
      const int now = ++underWay_;
      for (int most = most_; now > most && !most_.compare_exchange_weak(most, now);) {
      }
      std::this_thread::sleep_for(delay_.load());
      --underWay_;
    }
    const std::lock_guard lock(mutex_);
    const auto& error =
        error_.has_value() || request.method != kube::Method::Post ? error_ : createError_;
    if (!error.has_value()) return std::nullopt;
    kube::HttpResponse answer = kube::refusing(503, "ServiceUnavailable", error->message);
    answer.retryAfter = std::chrono::hours(1);  // longer than a call waits: it fails at once
    return answer;
  }
  static std::string nameOf(const LeasedBlock& block) {
    return api::blockName(block.network, block.prefix);
  }
  static multinet::testing::ResourcePath path(const std::string& name) {
    return multinet::testing::ResourcePath::parse(
        kube::pathOf(api::kIPBlockKind, {"", name}, kube::Subresource::None));
  }

  mutable multinet::testing::ObjectStore store_;
  kube::FakeTransport* transport_ = nullptr;  ///< the client's
  std::unique_ptr<kube::Client> client_;
  std::atomic<Duration> delay_{Duration{}};
  std::atomic<int> underWay_{0};
  std::atomic<int> most_{0};
  std::mutex mutex_;
  std::optional<Error> error_;
  std::optional<Error> createError_;
};

}  // namespace multinet::agent::addresses
