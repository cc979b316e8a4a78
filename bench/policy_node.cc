#include "bench/policy_node.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "lib/policy/peers.h"

namespace multinet::bench {
namespace {

using agent::policing::PolicedChange;
using agent::policing::Wanted;
using Slice = api::PodNetworkPolicySlice;

constexpr unsigned kPerSlice = 200;
constexpr const char* kSpace = "bench";
constexpr const char* kNetwork = "blue";
const char* const kBridge = "br-bench";
const NetworkUid kUid("uid-blue");
constexpr std::chrono::seconds kPatience(30);

IpAddress addressOf(unsigned number) {
  constexpr unsigned kTen = 10U << 24U;
  return {IpFamily::V4, kTen + number};
}

Slice named(const std::string& name) {
  Slice slice;
  slice.metadata.nameSpace = kSpace;
  slice.metadata.name = name;
  slice.metadata.resourceVersion = "1";
  slice.policyName = "policy";
  slice.policyUID = "uid";
  return slice;
}

/// Who isn't a pod of this node, with a gap behind each.
std::shared_ptr<const Slice> membersOf(const std::string& hash, unsigned first, unsigned count) {
  Slice slice = named("policy-" + std::to_string(first));
  slice.members = {kNetwork, hash, {}};
  for (unsigned i = 0; i < count; ++i) {
    slice.members->entries.push_back({addressOf(1000 + 2 * (first + i)).str(), std::nullopt});
  }
  return std::make_shared<const Slice>(std::move(slice));
}

std::string podOf(unsigned number) {
  return "pod-" + std::to_string(number);
}
IntentId intentOf(unsigned number) {
  return IntentId(podOf(number));
}

}  // namespace

std::vector<std::shared_ptr<const k8s::Pod>> ToldCaches::pods() const {
  const std::lock_guard lock(mutex);
  return FakeCaches::pods();
}
std::vector<std::shared_ptr<const api::PodNetwork>> ToldCaches::networks() const {
  const std::lock_guard lock(mutex);
  return FakeCaches::networks();
}
std::optional<agent::watch::Caches::PolicySlices> ToldCaches::policiesOf(
    const std::string& name) const {
  const std::lock_guard lock(mutex);
  return FakeCaches::policiesOf(name);
}
Status ToldCaches::needPolicies(const std::string& name) {
  const std::lock_guard lock(mutex);
  return policyLists.contains(name) ? Status{} : fail(Code::Unavailable, "NotKnown", name);
}
agent::watch::Caches::Heard ToldCaches::heard() const {
  const std::lock_guard lock(mutex);
  return FakeCaches::heard();
}

std::string PolicyNode::portOf(unsigned number) {
  return "mnvbench" + std::to_string(number);
}

PolicyNode::PolicyNode(agent::policing::PolicyGuard& guard, unsigned pods, unsigned peers)
    : guard_(guard),
      pods_(pods),
      policing_(
          caches_,
          {[this](const NetworkUid& uid, const std::string& bridge, Wanted wanted) {
             const Status done = guard_.commit(
                 uid, bridge,
                 {std::move(wanted.program), std::move(wanted.ports), std::move(wanted.gateways)});
             committed(done);
             return done;
           },
           [this](const NetworkUid& uid) { guard_.forget(uid); },
           [this](const NetworkUid& uid, const std::string& bridge, const PolicedChange& change) {
             const Status done = guard_.change(uid, bridge, change);
             if (done || done.error().reason != "NotHeld") committed(done);
             return done;
           }},
          [this] { return Result<agent::policing::Ends>(ends_); },
          {.interface = [](const auto&...) {}, .revision = [](auto) {}, .node = [](const auto&) {}},
          kSystemClock, {.gather = Duration{}}) {
  caches_.content.networks[kNetwork] = agent::watch::readyNetwork(kNetwork, "10.0.0.0/8");
  Slice head = named("policy");
  head.head.emplace().policyGeneration = 1;
  api::PodNetworkPolicySpec& spec = head.head->spec.emplace();
  spec.podNetworkNames = {kNetwork};
  spec.ingress.emplace_back().peers.emplace_back().podSelector.emplace();
  hash_ = policy::peerHash(policy::peersOf(spec, kSpace).front());
  auto& slices = caches_.policyLists[kSpace];
  for (unsigned i = 0; i < peers; i += kPerSlice) {
    slices.push_back(membersOf(hash_, i, std::min(peers - i, kPerSlice)));
  }
  first_ = std::min(peers, kPerSlice);
  head.head->peers = {{kNetwork, hash_, static_cast<std::int32_t>(slices.size()),
                       static_cast<std::int32_t>(peers)}};
  slices.push_back(std::make_shared<const Slice>(std::move(head)));
  for (unsigned i = 1; i <= pods + 1; ++i) {
    auto pod = std::make_shared<k8s::Pod>();
    pod->metadata.nameSpace = kSpace;
    pod->metadata.name = podOf(i);
    pod->metadata.uid = "uid-" + podOf(i);
    pod->metadata.labels["app"] = "db";
    caches_.podList.push_back(std::move(pod));
  }
}

agent::attach::Policeable PolicyNode::policeable(unsigned number) const {
  agent::InterfacePlan plan;
  plan.name = *InterfaceName::parse("net1");
  plan.network = NetworkName(kNetwork);
  plan.networkUid = kUid;
  plan.link = agent::drivers::bridge::Link{kBridge};
  return {intentOf(number), {PodUid("uid-" + podOf(number)), kSpace, podOf(number), 0}, {plan}};
}

void PolicyNode::committed(const Status& done) {
  const std::lock_guard lock(mutex_);
  at_ = Steady::now();
  done_ = done;
  changed_.notify_all();
}

Status PolicyNode::join(unsigned number) {
  const auto promise = std::make_shared<std::promise<Status>>();
  policing_.join(policeable(number), [promise](Status done) { promise->set_value(done); });
  auto future = promise->get_future();
  if (future.wait_for(kPatience) == std::future_status::ready) return future.get();
  return fail(Code::DeadlineExceeded, "NoAnswer", "join " + podOf(number) + ": no answer");
}

Status PolicyNode::hold(unsigned number) {
  agent::isolation::Port port;
  port.name = portOf(number);
  port.intent = intentOf(number);
  port.interface = "net1";
  port.network = kUid;
  return policing_.hold(port.intent, {port}, {});
}

Status PolicyNode::begin() {
  policing_.recovered();
  for (unsigned i = 1; i <= pods_; ++i) {
    MULTINET_CHECK(join(i));
    MULTINET_CHECK(hold(i));
  }
  return {};
}

Status PolicyNode::adopt() {
  agent::policing::Ends ends;
  for (unsigned i = 1; i <= pods_; ++i) ends[{intentOf(i), "net1"}] = {portOf(i), kBridge};
  ends_ = std::move(ends);
  for (unsigned i = 1; i <= pods_; ++i) policing_.known(policeable(i));
  policing_.recovered();
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, kPatience, [this] { return done_.has_value(); })) return *done_;
  return fail(Code::DeadlineExceeded, "NoCommit", "adopt what is there: nothing was committed");
}

Result<double> PolicyNode::attach() {
  const auto begin = Steady::now();
  MULTINET_CHECK(join(pods_ + 1));
  MULTINET_CHECK(hold(pods_ + 1));
  return milliseconds(Steady::now() - begin);
}

Status PolicyNode::detach() {
  policing_.release({portOf(pods_ + 1)}, {intentOf(pods_ + 1)});
  return {};
}

Result<double> PolicyNode::peerMore() {
  return setFirstSlice(first_);
}
Result<double> PolicyNode::peerLess() {
  return setFirstSlice(first_ - 1);
}

Result<double> PolicyNode::setFirstSlice(unsigned count) {
  auto slice = membersOf(hash_, 0, count);
  {
    const std::lock_guard lock(mutex_);
    done_.reset();
  }
  {
    const std::lock_guard lock(caches_.mutex);
    caches_.policyLists[kSpace].front() = std::move(slice);
  }
  const auto begin = Steady::now();
  policing_.changed();
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [this] { return done_.has_value(); })) {
    return fail(Code::DeadlineExceeded, "NoCommit", "tell of a peer: nothing was committed");
  }
  MULTINET_CHECK(*done_);
  return milliseconds(at_ - begin);
}

}  // namespace multinet::bench
