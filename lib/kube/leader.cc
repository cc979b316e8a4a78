#include "lib/kube/leader.h"

#include <mutex>

#include "lib/base/log.h"

namespace multinet::kube {
namespace {

constexpr Kind kLease{"coordination.k8s.io", "v1", "leases", "Lease", Scope::Namespaced};

struct Lease {
  std::string holder;
  std::string renewTime;
  std::string revision;
  std::int64_t transitions = 0;
  Duration duration{};
};

Result<Lease> parseLease(const std::string& body) {
  Lease lease;
  MULTINET_CHECK(withJson(body, [&](const simdjson::dom::element& root) -> Status {
    const auto text = [&](std::string_view pointer) {
      std::string_view found;
      return root.at_pointer(pointer).get(found) ? std::string() : std::string(found);
    };
    const auto number = [&](std::string_view pointer) {
      std::int64_t found = 0;
      return root.at_pointer(pointer).get(found) ? 0 : found;
    };
    lease = {text("/spec/holderIdentity"), text("/spec/renewTime"),
             text("/metadata/resourceVersion"), number("/spec/leaseTransitions"),
             std::chrono::seconds(number("/spec/leaseDurationSeconds"))};
    return {};
  }));
  return lease;
}

}  // namespace

class LeaderElector::Impl {
 public:
  Impl(Client& client, const Clock& clock, LeaderOptions options)
      : client_(client), clock_(clock), options_(std::move(options)) {}

  Duration step();
  void release();
  [[nodiscard]] bool leading() const {
    const std::lock_guard lock(mutex_);
    return leadsNow();
  }
  [[nodiscard]] std::string holder() const {
    const std::lock_guard lock(mutex_);
    return seen_.holder;
  }

 private:
  /// Under the lock. Time alone ends it.
  [[nodiscard]] bool leadsNow() const {
    return leading_ && clock_.now() - renewedAt_ < options_.renewDeadline;
  }
  /// True if the lease is ours after this try.
  Result<bool> attempt();
  Result<std::string> write(const Lease& found);
  Result<std::string> make();
  Json spec(std::int64_t transitions) const;
  /// Notes what was seen; a change of it starts its holder's time anew.
  void see(const Lease& lease);
  void settle(bool ours, BootTime asOf);
  [[nodiscard]] ObjectKey key() const { return {options_.nameSpace, options_.name}; }

  Client& client_;
  const Clock& clock_;
  const LeaderOptions options_;
  mutable std::mutex mutex_;
  Lease seen_;
  BootTime seenAt_;
  BootTime renewedAt_;
  bool leading_ = false;
};

Json LeaderElector::Impl::spec(std::int64_t transitions) const {
  return {{"holderIdentity", options_.identity},
          {"leaseDurationSeconds", options_.leaseDuration / std::chrono::seconds(1)},
          {"renewTime", formatMicroTime(clock_.wall())},
          {"leaseTransitions", transitions}};
}

Result<std::string> LeaderElector::Impl::make() {
  Json fields = spec(0);
  fields["acquireTime"] = fields["renewTime"];
  return client_.raw().create(
      kLease,
      {{"metadata", {{"namespace", options_.nameSpace}, {"name", options_.name}}},
       {"spec", std::move(fields)}},
      nullptr);
}

Result<std::string> LeaderElector::Impl::write(const Lease& found) {
  const bool ours = found.holder == options_.identity;
  Json fields = spec(found.transitions + (ours ? 0 : 1));
  if (!ours) fields["acquireTime"] = fields["renewTime"];
  return client_.raw().patch(
      kLease, key(), PatchType::Merge,
      {{"metadata", {{"resourceVersion", found.revision}}}, {"spec", std::move(fields)}},
      Subresource::None, Conflicts::Refuse);
}

void LeaderElector::Impl::see(const Lease& lease) {
  const std::lock_guard lock(mutex_);
  if (lease.holder == seen_.holder && lease.revision == seen_.revision) return;
  if (lease.holder != seen_.holder) {
    log::info("saw a leader", {{"lease", options_.name}, {"holder", lease.holder}});
  }
  seen_ = lease;
  seenAt_ = clock_.now();
}

Result<bool> LeaderElector::Impl::attempt() {
  // Who leads knows the lease as it last wrote it, and reads it only where it is another by now.
  if (leading()) {
    const auto renewed = write(seen_);
    if (renewed.has_value()) {
      MULTINET_TRY(const auto lease, parseLease(*renewed));
      see(lease);
      return true;
    }
    const Code code = renewed.error().code;
    if (code != Code::Aborted && code != Code::NotFound) return fail(renewed.error());
  }
  auto body = client_.raw().get(kLease, key());
  if (!body.has_value() && body.error().code == Code::NotFound) {
    MULTINET_TRY(const auto made, make());
    MULTINET_TRY(const auto lease, parseLease(made));
    see(lease);
    return true;
  }
  if (!body.has_value()) return fail(std::move(body).error());
  MULTINET_TRY(const auto found, parseLease(*body));
  see(found);
  const bool foreign = !found.holder.empty() && found.holder != options_.identity;
  if (foreign && clock_.now() - seenAt_ < found.duration) return false;
  MULTINET_TRY(const auto written, write(found));
  MULTINET_TRY(const auto lease, parseLease(written));
  see(lease);
  return true;
}

void LeaderElector::Impl::settle(bool ours, BootTime asOf) {
  bool began = false;
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    // What lapsed by the clock has ended, also where it begins again at once.
    began = ours && !leadsNow();
    ended = leading_ && (!ours || began);
    leading_ = ours;
    if (ours) renewedAt_ = asOf;
  }
  if (ended) log::warn("leads no more", {{"lease", options_.name}});
  if (ended && options_.stopped) options_.stopped();
  if (began) log::info("leads", {{"lease", options_.name}, {"identity", options_.identity}});
  if (began && options_.started) options_.started();
}

Duration LeaderElector::Impl::step() {
  // Leading counts from before the call: the others count from when they see its effect.
  const auto begin = clock_.now();
  const auto ours = attempt();
  if (ours.has_value()) {
    settle(*ours, begin);
    return options_.retryPeriod;
  }
  log::warn("couldn't renew the lease", {{"lease", options_.name}, {"error", ours.error()}});
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    late = leading_ && clock_.now() - renewedAt_ >= options_.renewDeadline;
  }
  if (late) settle(false, begin);
  return options_.retryPeriod;
}

void LeaderElector::Impl::release() {
  const bool ours = leading();
  settle(false, clock_.now());
  if (!ours) return;
  // Only while nobody else has written it since.
  const auto released =
      client_.raw().patch(kLease, key(), PatchType::Merge,
                          {{"metadata", {{"resourceVersion", seen_.revision}}},
                           {"spec", {{"holderIdentity", ""}, {"leaseDurationSeconds", 1}}}},
                          Subresource::None, Conflicts::Refuse);
  if (!released) log::warn("couldn't release the lease", {{"error", released.error()}});
}

LeaderElector::LeaderElector(Client& client, const Clock& clock, LeaderOptions options)
    : impl_(std::make_unique<Impl>(client, clock, std::move(options))), clock_(clock) {}

LeaderElector::~LeaderElector() {
  stop();
}

void LeaderElector::start() {
  if (lane_ != nullptr) return;
  lane_ = std::make_unique<async::Lane>("leader", clock_);
  lane_->post([this] { turn(); });
}

void LeaderElector::turn() {
  lane_->postAfter(impl_->step(), [this] { turn(); });
}

void LeaderElector::stop() {
  if (lane_ == nullptr) return;
  lane_->post([this] { impl_->release(); });
  lane_->stop();
}

bool LeaderElector::leading() const {
  return impl_->leading();
}
std::string LeaderElector::holder() const {
  return impl_->holder();
}
Duration LeaderElector::step() {
  return impl_->step();
}

}  // namespace multinet::kube
