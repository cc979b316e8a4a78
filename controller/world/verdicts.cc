#include "controller/world/verdicts.h"

#include <utility>

#include "lib/api/validate.h"

namespace multinet::controller {

std::string shortly(const Sentences& sentences) {
  if (sentences.size() == 1) return sentences.front();
  return sentences.front() + " (and " + std::to_string(sentences.size() - 1) + " more)";
}

bool Verdicts::network(const k8s::ObjectKey& key, const Tables& tables) {
  const Network* network = tables.of<Network>().find(key);
  Sentences now;
  if (network != nullptr) {
    ++judged_;
    if (!network->undecodable.empty()) {
      now = {*network->undecodable};
    } else {
      for (const auto& one : api::validate(*network).violations) now.push_back(one.str());
    }
  }
  if (now == ofNetwork(key)) return false;
  if (now.empty()) {
    networks_.erase(key);
  } else {
    networks_[key] = std::move(now);
  }
  return true;
}

bool Verdicts::attachment(const k8s::ObjectKey& key, const Tables& tables) {
  const Attachment* attachment = tables.of<Attachment>().find(key);
  if (attachment == nullptr) return attachments_.erase(key) > 0;
  ++judged_;
  AttachmentVerdict now;
  if (!attachment->undecodable.empty()) {
    now.violations = {*attachment->undecodable};
  } else {
    const auto* network = tables.of<Network>().find({"", attachment->spec.podNetworkName});
    const auto* home = tables.of<Namespace>().find({"", attachment->metadata.nameSpace});
    const auto report =
        api::validate(*attachment, network, home == nullptr ? nullptr : &*home->metadata.labels);
    for (const auto& one : report.violations) {
      if (api::isRefusal(one)) {
        now.granted = false;
      } else {
        now.violations.push_back(one.str());
      }
    }
  }
  if (now == ofAttachment(key)) return false;
  if (now == AttachmentVerdict{}) {
    attachments_.erase(key);
  } else {
    attachments_[key] = std::move(now);
  }
  return true;
}

const Sentences& Verdicts::ofNetwork(const k8s::ObjectKey& key) const {
  static const Sentences kNone;
  const auto found = networks_.find(key);
  return found == networks_.end() ? kNone : found->second;
}

const AttachmentVerdict& Verdicts::ofAttachment(const k8s::ObjectKey& key) const {
  static const AttachmentVerdict kNone;
  const auto found = attachments_.find(key);
  return found == attachments_.end() ? kNone : found->second;
}

}  // namespace multinet::controller
