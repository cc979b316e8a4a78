// What the controller knows of the cluster, kept between passes: the objects, and what follows from
// several of them. A change costs what it concerns, whatever else there is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "controller/world/absences.h"
#include "controller/world/counts.h"
#include "controller/world/policy_groups.h"
#include "controller/world/selection.h"
#include "controller/world/tables.h"
#include "controller/world/usage.h"
#include "controller/world/vacancies.h"
#include "controller/world/verdicts.h"
#include "lib/base/clock.h"

namespace multinet::controller {

/// An object came (`before` is null), went (`now` is null), or is another.
template <class T>
struct Changed {
  std::shared_ptr<const T> before;
  std::shared_ptr<const T> now;
  [[nodiscard]] k8s::ObjectKey key() const { return keyOf(now != nullptr ? *now : *before); }
  /// It came or went.
  [[nodiscard]] bool existence() const { return before == nullptr || now == nullptr; }
};
/// The object is as it was, but who uses it or what the rules say of it is another. A namespace: a
/// network got its first pod of it, or lost the last.
template <class T>
struct Touched {
  k8s::ObjectKey key;
};

/// The first list of an optional kind is whole: what isn't among its objects isn't there.
template <class T>
struct Known {};

template <class... T>
using ChangeOf = std::variant<Changed<T>..., Touched<Network>, Touched<Attachment>,
                              Touched<Namespace>, PolicyTouch, Known<MultiNetworkPolicy>>;
using Change = ForKinds<ChangeOf>;

template <class... Handlers>
struct AnyOf : Handlers... {
  using Handlers::operator()...;
  void operator()(const auto& /*change*/) const {}
};
/// Calls the one of `handlers` that takes this kind of change, if any does.
template <class... Handlers>
void on(const Change& change, Handlers... handlers) {
  std::visit(AnyOf<Handlers...>{std::move(handlers)...}, change);
}

/// What the server said to a write about an object, of that generation.
struct Refusal {
  std::string uid;
  std::int64_t generation = 0;
  std::string says;
};

/// What work is measured by, since the start.
struct WorkDone {
  std::uint64_t reads = 0;   ///< objects that were looked at
  std::uint64_t judged = 0;  ///< times that lib/api's rules were asked
};

/// One thread.
class World {
 public:
  /// Null: it is gone. `time` is since when something is missed.
  template <class T>
  void put(const k8s::ObjectKey& key, std::shared_ptr<const T> object, BootTime time);
  /// What changed since the last call.
  [[nodiscard]] std::vector<Change> changes() { return std::exchange(changes_, {}); }
  /// Whether changes are kept for the next call from now on, as they are at first; those before
  /// aren't any more. For who doesn't look at them, and will look at everything when it begins.
  void keepChanges(bool keeps);
  /// All objects, one after the other, as if they had just come: for who begins.
  void everything(const std::function<void(const Change&)>& use) const;

  /// All objects of an optional kind have been put that there are.
  template <class T>
    requires kIsOptional<T>
  void know() {
    if (known_.insert(k8s::KindTraits<T>::kKind.plural).second) note(Known<T>{});
  }
  /// Of an optional kind: whether it was ever listed. One that isn't known any more is as it was.
  template <class T>
    requires kIsOptional<T>
  [[nodiscard]] bool knows() const {
    return known_.contains(k8s::KindTraits<T>::kKind.plural);
  }

  template <class T>
  [[nodiscard]] const auto& of() const {
    return tables_.of<T>();
  }
  template <class T>
  [[nodiscard]] const T* find(const k8s::ObjectKey& key) const {
    return of<T>().find(key);
  }
  /// Of the cluster's.
  template <class T>
  [[nodiscard]] const T* find(const std::string& name) const {
    return of<T>().find({"", name});
  }
  [[nodiscard]] const NetworkUse& use(const NetworkName& network) const {
    return usage_.of(network);
  }
  [[nodiscard]] int attachedPods(const AttachmentUse& use) const {
    return usage_.attachedPods(use);
  }
  [[nodiscard]] const Sentences& violations(const Network& network) const {
    return verdicts_.ofNetwork(keyOf(network));
  }
  [[nodiscard]] const AttachmentVerdict& verdict(const Attachment& attachment) const {
    return verdicts_.ofAttachment(keyOf(attachment));
  }
  /// Those of its namespace, on whatever network, in no order; until the next put().
  [[nodiscard]] const Members<Pod>& podsOf(const NetworkService& service) const {
    return selection_.podsOf(service, tables_);
  }
  template <class Use>
  void forSelecting(const std::string& nameSpace, const k8s::StringMap& labels,
                    const Use& use) const {
    controller::forSelecting(tables_, nameSpace, labels, use);
  }
  /// Whom policies mean and select. Until the next put().
  [[nodiscard]] const PolicyGroups& policyGroups() const {
    groups_.ready(tables_);
    return groups_;
  }
  /// When what its status counts may be told again.
  [[nodiscard]] BootTime countsDue(const Policy& policy) const {
    return policyDue(keyOf(policy), kPolicyCountsStand);
  }
  [[nodiscard]] BootTime countsDue(const ClusterPolicy& policy) const {
    return policyDue(keyOf(policy), countsStand(of<Node>().size()));
  }
  /// Its status was looked at. Whoever decides says so, and it decides nothing but when the next
  /// look is due.
  void lookedAtPolicy(const k8s::ObjectKey& policy, BootTime time) const {
    lookedAtPolicies_[policy] = time;
  }
  /// By how much a look counts.
  [[nodiscard]] BootTime policyLookDue(const k8s::ObjectKey& policy, std::size_t size) const;
  /// Whether pods of the namespace have one of the networks, or are about to.
  [[nodiscard]] bool hasPodsOn(const std::string& nameSpace,
                               const std::vector<std::string>& networks) const;
  /// Until when what stands is kept for the next pod of the namespace on one of the networks, where
  /// none is there any more. Whose end this process didn't see it counts from its own beginning.
  [[nodiscard]] BootTime keptUntil(const std::string& nameSpace,
                                   const std::vector<std::string>& networks) const;
  /// The earliest resourceVersion with which this process saw the head say its generation, and
  /// since then always: who has that or a later one has been told of the generation, however often
  /// the head counted its peers anew since. A new process begins with what it finds.
  [[nodiscard]] const std::string& toldSince(const PolicySlice& head) const;
  /// When its numbers may be told again.
  [[nodiscard]] BootTime countsDue(const Network& network) const {
    return networkPace_.due(keyOf(network), countsStand(of<Node>().size()));
  }
  [[nodiscard]] BootTime countsDue(const Attachment& attachment) const {
    return attachmentPace_.due(keyOf(attachment), countsStand(of<Node>().size()));
  }
  [[nodiscard]] std::optional<GoneNode> gone(const NodeName& node) const {
    return absences_.find(node);
  }
  /// When this process first saw that it is being deleted; a new leader counts anew. The server's
  /// own word of that is of another clock than the time that has passed since.
  [[nodiscard]] std::optional<BootTime> deletingSince(const Network& network) const;
  /// The server refused a write about the service; `item` says which.
  void refused(const k8s::ObjectKey& service, const std::string& item, Refusal refusal) {
    refusals_[service][item] = std::move(refusal);
  }
  /// It took it.
  void taken(const k8s::ObjectKey& service, const std::string& item);
  /// What the server said last to that write about this generation of the service; null where it
  /// refused none. Another leader's are found out by trying.
  [[nodiscard]] const std::string* refusal(const NetworkService& service,
                                           const std::string& item) const;
  [[nodiscard]] WorkDone work() const;

 private:
  void derive(const Changed<Node>& change, BootTime time);
  void derive(const Changed<Namespace>& change, BootTime time);
  void derive(const Changed<Network>& change, BootTime time);
  void derive(const Changed<Attachment>& change, BootTime time);
  void derive(const Changed<Identifier>& /*change*/, BootTime /*time*/) {}
  void derive(const Changed<Pod>& change, BootTime time);
  void derive(const Changed<InterfaceSet>& change, BootTime time);
  void derive(const Changed<NodeSet>& change, BootTime time);
  void derive(const Changed<Peer>& change, BootTime time);
  void derive(const Changed<Block>& change, BootTime time);
  void derive(const Changed<NetworkService>& change, BootTime time);
  void derive(const Changed<Service>& /*change*/, BootTime /*time*/) {}
  void derive(const Changed<Slice>& /*change*/, BootTime /*time*/) {}
  void derive(const Changed<Policy>& change, BootTime time) { derivePolicy(change, time); }
  void derive(const Changed<ClusterPolicy>& change, BootTime time) { derivePolicy(change, time); }
  void derive(const Changed<PolicySlice>& change, BootTime time);
  void derive(const Changed<MultiNetworkPolicy>& /*change*/, BootTime /*time*/) {}
  template <class P>
  void derivePolicy(const Changed<P>& change, BootTime time);
  [[nodiscard]] BootTime policyDue(const k8s::ObjectKey& key, Duration stand) const;
  void tellOfPolicies(const PolicyTouches& touches);

  void note(Change change) {
    if (keepsChanges_) changes_.push_back(std::move(change));
  }
  template <class T>
  void select(const Changed<T>& change) {
    if constexpr (std::is_same_v<T, Pod>) {
      selection_.changed(change.before.get(), change.now.get(), tables_);
    } else if constexpr (std::is_same_v<T, NetworkService>) {
      selection_.changed(change.before.get(), change.now.get());
    }
  }
  template <class Objects>
  void judge(const Objects& attachments);
  void tell(const UseChanges& changes, BootTime time);
  template <class T>
  static void keepPace(Pace& pace, const Changed<T>& change, BootTime time);
  [[nodiscard]] bool named(const NodeName& node) const;
  void names(const std::string& before, const std::string& now, BootTime time);

  Tables tables_;
  Usage usage_;
  Verdicts verdicts_;
  mutable Selection selection_;  ///< finds out when it is asked
  mutable PolicyGroups groups_;  ///< likewise
  std::unordered_map<k8s::ObjectKey, BootTime> toldOfPolicies_;
  mutable std::unordered_map<k8s::ObjectKey, BootTime> lookedAtPolicies_;
  /// Of heads that were counted anew.
  std::unordered_map<k8s::ObjectKey, std::string> toldSince_;
  Vacancies vacancies_;
  std::optional<BootTime> began_;  ///< when the first object came
  Absences absences_;
  std::unordered_map<std::string, BootTime> deleting_;  ///< networks, by UID
  std::map<k8s::ObjectKey, std::map<std::string, Refusal>> refusals_;
  Pace networkPace_;
  Pace attachmentPace_;
  std::set<std::string_view> known_;  ///< optional kinds, by their plural
  bool keepsChanges_ = true;
  std::vector<Change> changes_;
};

/// `node.kubernetes.io/out-of-service`: an admin says that it is powered off.
[[nodiscard]] bool outOfService(const Node& node);

template <class T>
void World::put(const k8s::ObjectKey& key, std::shared_ptr<const T> object, BootTime time) {
  Changed<T> change{tables_.of<T>().put(key, object), object};
  if (change.before == nullptr && change.now == nullptr) return;
  if (!began_) began_ = time;
  select(change);
  if (!change.existence() && *change.before == *change.now) return;
  derive(change, time);
  note(std::move(change));
}

}  // namespace multinet::controller
