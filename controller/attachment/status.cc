#include "controller/attachment/status.h"

#include <utility>

#include "controller/plan/status_patch.h"
#include "lib/api/describe.h"

namespace multinet::controller {
namespace {

using k8s::Condition;
using State = k8s::ConditionStatus;

Condition ready(State state, std::string reason, std::string message) {
  return {"Ready", state, 0, std::nullopt, std::move(reason), std::move(message)};
}

Condition invalid(const Sentences& violations) {
  return ready(State::False, "Invalid", shortly(violations));
}

Condition readyCondition(const AttachmentObservation& observed) {
  const auto& attachment = *observed.attachment;
  const auto network = "PodNetwork \"" + attachment.spec.podNetworkName + "\"";
  if (!attachment.undecodable.empty()) return invalid(observed.verdict->violations);
  if (observed.network == nullptr) {
    return ready(State::False, "NetworkNotFound",
                 network + " doesn't exist: create it, or name another.");
  }
  if (!observed.verdict->granted) {
    return ready(State::False, "NotGranted",
                 network + " doesn't let namespace \"" + attachment.metadata.nameSpace +
                     "\" in: see its spec.access.namespaces.");
  }
  if (!observed.verdict->violations.empty()) return invalid(observed.verdict->violations);
  const auto* standing = observed.network->status.conditions.find("Ready");
  if (standing == nullptr) {
    return ready(State::False, "NetworkNotReady",
                 network + " isn't Ready: it hasn't been judged yet.");
  }
  if (standing->status != State::True) {
    return ready(State::False, "NetworkNotReady",
                 network + " isn't Ready: " + standing->reason + ": " + standing->message);
  }
  return ready(State::True, "Accepted", "Pods of this namespace can use the attachment.");
}

Outcome reconcile(const World& world, const k8s::ObjectKey& key, const Moment& now) {
  Outcome outcome;
  const auto* attachment = world.find<Attachment>(key);
  if (attachment == nullptr) return outcome;
  const auto wish = wishFor(observe(world, *attachment), now);
  outcome.again = wish.again;
  auto patch = statusPatch(attachment->status, wish.status);
  if (patch.empty()) return outcome;
  outcome.writes.push_back(writeTo(api::kPodNetworkAttachmentKind, attachment->metadata,
                                   Verb::PatchStatus, std::move(patch)));
  return outcome;
}

/// Whether attachments of the network read otherwise.
bool readsOtherwise(const Changed<Network>& changed) {
  if (changed.existence()) return true;
  const auto* before = changed.before->status.conditions.find("Ready");
  const auto* now = changed.now->status.conditions.find("Ready");
  if (before == nullptr || now == nullptr) return before != now;
  return before->status != now->status || before->reason != now->reason ||
         before->message != now->message;
}

void concerned(const World& world, const Change& change, Keys& keys) {
  on(
      change, [&](const Changed<Attachment>& changed) { keys.push_back(changed.key()); },
      [&](const Touched<Attachment>& touched) { keys.push_back(touched.key); },
      [&](const Changed<Network>& changed) {
        if (!readsOtherwise(changed)) return;
        const NetworkName name(changed.key().name);
        for (const auto* one : world.of<Attachment>().by<ByNetworkName>(name)) {
          keys.push_back(keyOf(*one));
        }
      });
}

}  // namespace

AttachmentObservation observe(const World& world, const Attachment& attachment) {
  const auto& network = attachment.spec.podNetworkName;
  return {&attachment, &world.verdict(attachment), world.find<Network>(network),
          world.attachedPods({keyOf(attachment), NetworkName(network)}),
          world.countsDue(attachment)};
}

AttachmentWish wishFor(const AttachmentObservation& observed, const Moment& now) {
  const auto& before = observed.attachment->status;
  AttachmentWish wish{before};
  auto condition = readyCondition(observed);
  condition.observedGeneration = observed.attachment->metadata.generation;
  wish.status.conditions.set(std::move(condition), now.wall);
  wish.status.attachedPods = observed.attachedPods;
  if (now.boot < observed.countsDue && countsDiffer(before, wish.status)) {
    keepCounts(before, wish.status);
    wish.again = observed.countsDue - now.boot;
  }
  return wish;
}

Reconciler attachmentReconciler() {
  return {"attachment", concerned, reconcile};
}

}  // namespace multinet::controller
