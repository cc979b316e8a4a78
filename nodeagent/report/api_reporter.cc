#include "nodeagent/report/api_reporter.h"

#include <algorithm>
#include <utility>

#include "lib/api/service.h"
#include "nodeagent/report/bounds.h"

namespace multinet::agent::report {
namespace {

constexpr BootTime::duration kFirstRetry = std::chrono::milliseconds(200);
constexpr BootTime::duration kMostRetry = std::chrono::seconds(15);
constexpr Duration kLookAgain = std::chrono::milliseconds(200);

bool isGone(const Status& status) {
  return !status && status.error().code == Code::NotFound;
}

/// The server's word on what was sent: the same again gets the same answer.
bool isRefusal(const Error& error) {
  return error.code == Code::InvalidArgument || error.code == Code::PermissionDenied;
}

k8s::ConditionStatus statusOf(const Readiness& readiness) {
  return readiness.ready ? k8s::ConditionStatus::True : k8s::ConditionStatus::False;
}

k8s::Condition draining() {
  k8s::Condition condition;
  condition.type = api::kDraining;
  condition.status = k8s::ConditionStatus::True;
  condition.reason = "Stopping";
  condition.message = "the kubelet stops all containers of the pod, though it isn't deleted";
  return condition;
}

bool isOf(const watch::Seen<k8s::Pod>& seen, const PodRef& pod) {
  return seen.object != nullptr && seen.object->metadata.uid == pod.uid.str();
}

}  // namespace

ApiReporter::ApiReporter(kube::ClientSource client, const watch::OwnObjects& own, NodeNews node,
                         const Clock& clock, NodeName name, ReportOptions options)
    : client_(std::move(client)),
      own_(own),
      node_(std::move(node)),
      clock_(clock),
      name_(std::move(name)),
      options_(options),
      begin_(clock.now()),
      events_(client_, clock, name_),
      workers_("report", clock, {.first = kFirstRetry, .most = kMostRetry},
               [this](const PodUid& uid) { return write(uid); }) {
  workers_.start(options_.workers);
}

ApiReporter::~ApiReporter() {
  workers_.stop();
}

void ApiReporter::tell(News news) {
  struct Hear {
    ApiReporter& self;
    void operator()(const Starting& one) const { self.starting(one.pod); }
    void operator()(const Attached& one) const {
      self.attached(one.pod, one.sandbox, one.interfaces);
    }
    void operator()(const Detached& one) const { self.detached(one.pod, one.sandbox); }
    void operator()(const Refused& one) const { self.refused(one.pod, one.error); }
    void operator()(const PodEvent& one) const { self.event(one.pod, one.notice); }
    void operator()(NodeCondition& one) const { self.node_.setNodeCondition(std::move(one)); }
  };
  std::visit(Hear{*this}, news);
}

void ApiReporter::starting(const PodRef& pod) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = told_.find(pod.uid);
    // A retry of a pod that was refused: its reason stands until there is another, or none.
    const bool stands = found != told_.end() && !found->second.readiness.ready &&
                        !found->second.deleteSet && !found->second.set;
    if (stands) return;
  }
  Told told;
  told.readiness = {false, "Attaching", "the pod's networks are being attached"};
  told.announced = true;
  told.announceAt = clock_.now() + options_.announceAfter;
  tell(pod, std::move(told));
}

void ApiReporter::attached(const PodRef& pod, const SandboxId& sandbox,
                           const std::vector<InterfaceStatus>& interfaces) {
  Told told;
  told.sandbox = sandbox;
  told.set = fitted(interfaceSet(pod, name_, sandbox, interfaces, clock_.wall()));
  for (const InterfaceStatus& status : interfaces) told.networks.insert(status.plan.networkUid);
  told.readiness = readinessOf(interfaces);
  {
    const std::lock_guard lock(mutex_);
    current_.insert_or_assign(pod.uid, sandbox);
  }
  tell(pod, std::move(told));
}

void ApiReporter::detached(const PodRef& pod, const SandboxId& sandbox) {
  {
    const std::lock_guard lock(mutex_);
    const auto current = current_.find(pod.uid);
    // A later sandbox of the pod has its own set under the same name: that one stays.
    if (current != current_.end() && current->second != sandbox) return;
    if (current != current_.end()) current_.erase(current);
    std::erase_if(policies_, [&](const auto& one) { return one.first.first == pod.uid; });
  }
  Told told;
  told.deleteSet = true;
  told.readiness = {false, "SandboxStopped", "the pod's sandbox was stopped"};
  tell(pod, std::move(told));
}

void ApiReporter::refused(const PodRef& pod, const Error& error) {
  const std::string reason = error.reason.empty() ? "NetworksRefused" : error.reason;
  event(pod, {kube::Severity::Warning, reason, error.message});
  if (reason == kNodeNameUnclear || reason == kNodeNameTaken) return;
  Told told;
  told.readiness = {false, reasonWord(reason), cutText(error.message, limits::kMessage)};
  tell(pod, std::move(told));
}

void ApiReporter::healthFound(const PodUid& pod, const NetworkUid& network,
                              InterfaceHealths healths) {
  {
    const std::lock_guard lock(mutex_);
    if (!told_.contains(pod) && healths.checked.empty()) {
      healths_.erase({pod, network});
      return;
    }
    healths_.insert_or_assign({pod, network}, std::move(healths));
  }
  workers_.add(pod);
}

void ApiReporter::addHealth(Told& told) const {
  if (!told.set) return;
  const auto seen = own_.interfaceSet(told.pod.namespaceName, told.set->metadata.name);
  const std::lock_guard lock(mutex_);
  for (api::PodInterface& interface : told.set->interfaces) {
    std::vector<api::InterfaceHealth> there = *interface.health;
    if (seen.object != nullptr && seen.object->pod.uid == told.pod.uid.str()) {
      const auto same = std::ranges::find_if(seen.object->interfaces, [&](const auto& one) {
        return one.name == interface.name && one.podNetworkUID == interface.podNetworkUID;
      });
      if (same != seen.object->interfaces.end()) there = *same->health;
    }
    const auto known = healths_.find({told.pod.uid, NetworkUid(interface.podNetworkUID)});
    interface.health = known == healths_.end() ? there : healthsOf(known->second, there);
  }
}

void ApiReporter::policyFound(const PodUid& pod, const NetworkUid& network,
                              std::optional<api::InterfacePolicy> policy) {
  if (policy) policy->message = cutText(policy->message, limits::kMessage);
  {
    const std::lock_guard lock(mutex_);
    policies_.insert_or_assign({pod, network}, std::move(policy));
  }
  workers_.add(pod);
}

void ApiReporter::addPolicies(Told& told) const {
  if (!told.set) return;
  const auto seen = own_.interfaceSet(told.pod.namespaceName, told.set->metadata.name);
  const bool isSame = seen.object != nullptr && seen.object->pod.uid == told.pod.uid.str();
  const std::lock_guard lock(mutex_);
  for (api::PodInterface& interface : told.set->interfaces) {
    const auto known = policies_.find({told.pod.uid, NetworkUid(interface.podNetworkUID)});
    if (known != policies_.end()) {
      interface.policy = known->second.value_or(api::InterfacePolicy{});
      continue;
    }
    if (!isSame) continue;
    const auto there = std::ranges::find_if(seen.object->interfaces, [&](const auto& one) {
      return one.name == interface.name && one.podNetworkUID == interface.podNetworkUID;
    });
    if (there != seen.object->interfaces.end()) interface.policy = there->policy;
  }
}

void ApiReporter::ending(const PodRef& pod, const SandboxId& sandbox, bool ends) {
  {
    const std::lock_guard lock(mutex_);
    if (!told_.contains(pod.uid)) return;
    endings_.insert_or_assign(pod.uid, std::pair(sandbox, ends));
  }
  workers_.add(pod.uid);
}

void ApiReporter::addEnding(Told& told) const {
  if (!told.set) return;
  const auto seen = own_.interfaceSet(told.pod.namespaceName, told.set->metadata.name);
  const bool isSame = seen.object != nullptr && seen.object->pod.uid == told.pod.uid.str() &&
                      *seen.object->sandboxID == told.sandbox.str();
  bool ends = isSame && std::ranges::any_of(seen.object->interfaces, [](const auto& one) {
                return one.conditions.isTrue(api::kDraining);
              });
  {
    const std::lock_guard lock(mutex_);
    const auto known = endings_.find(told.pod.uid);
    if (known != endings_.end() && known->second.first == told.sandbox) ends = known->second.second;
  }
  for (api::PodInterface& interface : told.set->interfaces) {
    interface.conditions.remove(api::kDraining);
    if (ends) interface.conditions.set(draining(), clock_.wall());
  }
}

void ApiReporter::event(const PodRef& pod, const Notice& notice) {
  events_.onPod(pod, notice);
}

void ApiReporter::nodeEvent(const Notice& notice) {
  events_.onNode(notice);
}

void ApiReporter::changed(const std::string& podUid) {
  std::vector<PodUid> uids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, told] : told_) {
      if (podUid.empty() || uid.str() == podUid) uids.push_back(uid);
    }
  }
  for (const PodUid& uid : uids) workers_.addAfter(uid, options_.repairAfter);
}

std::size_t ApiReporter::waiting() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(told_.begin(), told_.end(), [](const auto& one) {
    const Told& told = one.second;
    return !told.readinessWritten || ((told.set || told.deleteSet) && !told.setWritten);
  }));
}

void ApiReporter::tell(const PodRef& pod, Told told) {
  told.pod = pod;
  {
    const std::lock_guard lock(mutex_);
    told.version = ++version_;
    const auto old = told_.find(pod.uid);
    if (old != told_.end()) {
      // A deletion that wasn't carried out yet survives news that say nothing of a set.
      const bool pending = old->second.deleteSet && !old->second.setWritten;
      if (!told.set) told.deleteSet = told.deleteSet || pending;
      // The same verdict again is no transition, and no write.
      if (old->second.readiness == told.readiness) {
        told.readySince = old->second.readySince;
        told.readinessWritten = old->second.readinessWritten;
      }
    }
    told_.insert_or_assign(pod.uid, std::move(told));
  }
  workers_.add(pod.uid);
  tellUsed();
}

void ApiReporter::tellUsed() {
  std::set<NetworkUid> used;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, told] : told_) used.insert(told.networks.begin(), told.networks.end());
  }
  node_.setUsedNetworks(std::move(used));
}

Duration ApiReporter::keptBack(const Told& told, const watch::Seen<k8s::Pod>& seen) const {
  if (!told.announced || told.readinessWritten || told.deleteSet) return {};
  const bool says = isOf(seen, told.pod) && seen.object->status.conditions.find(api::kReadyGate);
  return says ? Duration{} : std::max(Duration{}, Duration(told.announceAt - clock_.now()));
}

Result<kube::Client*> ApiReporter::connected() {
  MULTINET_TRY(kube::Client* const client, client_());
  events_.connected(*client);
  return client;
}

bool ApiReporter::stillBlind() const {
  return clock_.now() - begin_ < options_.watchPatience;
}

Result<async::Outcome> ApiReporter::write(const PodUid& uid) {
  Told told;
  {
    const std::lock_guard lock(mutex_);
    const auto found = told_.find(uid);
    if (found == told_.end()) return async::Outcome{};
    told = found->second;
  }
  const auto seen = own_.pod(told.pod.namespaceName, told.pod.name);
  const bool setIsKnown =
      !told.set || own_.interfaceSet(told.pod.namespaceName, told.set->metadata.name).known;
  // Right after a start: what is there may well be what shall be.
  if ((!seen.known || !setIsKnown) && stillBlind()) return async::Outcome{kLookAgain};
  if (const Duration left = keptBack(told, seen); left > Duration{}) return async::Outcome{left};
  const bool podIsThere = !seen.known || isOf(seen, told.pod);

  addHealth(told);
  addPolicies(told);
  addEnding(told);
  const Status set = writeSet(told, seen);
  // A set that can't be removed is no trouble of the pod's; it may be on another node by now.
  if (!set && told.set && isRefusal(set.error())) tellRefusal(told, set.error());
  // A set that can't be written takes the pod's readiness from nobody.
  const Status readiness = writeReadiness(told, seen);
  keep(uid, told, seen.known && podIsThere);
  for (const Status* status : {&set, &readiness}) {
    if (*status) continue;
    if (!isRefusal(status->error())) return fail(status->error());
  }
  if (set && readiness) return async::Outcome{};
  return async::Outcome{options_.refusedAgain};
}

Status ApiReporter::writeSet(Told& told, const watch::Seen<k8s::Pod>& pod) {
  const std::string name = api::interfaceSetName(told.pod.name, told.pod.uid);
  if (!told.set) {
    if (!told.deleteSet || told.setWritten) return {};
    MULTINET_TRY(kube::Client* const client, connected());
    const Status status = deleteSet(*client, told.pod.namespaceName, name);
    told.setWritten = status.has_value() || isGone(status);
    return told.setWritten ? Status() : status;
  }
  const auto seen = own_.interfaceSet(told.pod.namespaceName, name);
  const bool isThere =
      seen.known ? seen.object != nullptr && saysTheSame(*told.set, *seen.object) : told.setWritten;
  if (isThere) {
    told.setWritten = true;
    return {};
  }
  // Of a pod that is gone the collector takes the set, and would take each new one.
  const bool podIsSeen = isOf(pod, told.pod);
  if (pod.known && !podIsSeen && told.setWritten) return {};
  MULTINET_TRY(kube::Client* const client, connected());
  const Status status = putSet(*client, *told.set);
  // A namespace that is gone has taken the pod with it. While the pod is there, it is the kind that
  // the server doesn't know: its definition was deleted, and may be applied again.
  const bool ended = isGone(status) && !podIsSeen;
  told.setWritten = told.setWritten || status.has_value() || ended;
  return ended ? Status() : status;
}

Status ApiReporter::writeReadiness(Told& told, const watch::Seen<k8s::Pod>& seen) {
  const k8s::Condition* there = nullptr;
  if (isOf(seen, told.pod)) there = seen.object->status.conditions.find(api::kReadyGate);
  const bool sameStatus = there != nullptr && there->status == statusOf(told.readiness);
  if (sameStatus && !told.readySince) told.readySince = there->lastTransitionTime;
  const bool isThere = sameStatus && (told.announced || (there->reason == told.readiness.reason &&
                                                         there->message == told.readiness.message));
  // Of a pod that is being deleted the kubelet itself says that it serves no more.
  const bool ends = told.deleteSet && isOf(seen, told.pod) && seen.object->metadata.deleting();
  // Without a picture of the pod once is enough.
  if (isThere || ends || (!isOf(seen, told.pod) && told.readinessWritten)) {
    told.readinessWritten = true;
    return {};
  }
  if (!told.readySince) told.readySince = clock_.wall();
  MULTINET_TRY(kube::Client* const client, connected());
  const Status status = putReadiness(*client, told.pod, told.readiness, *told.readySince);
  told.readinessWritten = told.readinessWritten || status.has_value() || isGone(status);
  return isGone(status) ? Status() : status;
}

void ApiReporter::tellRefusal(Told& told, const Error& error) {
  if (std::exchange(told.refusalTold, true)) return;
  event(told.pod,
        {kube::Severity::Warning, "InterfaceSetRefused",
         "the pod has its networks, but its PodInterfaceSet can't be written: " + error.message});
}

/// Unless there is newer word of the pod by now.
void ApiReporter::keep(const PodUid& uid, const Told& told, bool isFollowed) {
  const std::lock_guard lock(mutex_);
  const auto found = told_.find(uid);
  if (found == told_.end() || found->second.version != told.version) return;
  found->second = told;
  const bool done = told.readinessWritten && (!told.deleteSet || told.setWritten);
  if (!told.set) endings_.erase(uid);
  if (!told.set && done && !isFollowed) told_.erase(found);
}

}  // namespace multinet::agent::report
