#include "webhook/informer_view.h"

#include <string>

#include "lib/api/describe.h"
#include "lib/base/log.h"
#include "lib/k8s/projection_decode.h"

namespace multinet::webhook {
namespace {

/// One that can't be read is as if it weren't there: no pod gets what somebody can't check.
bool isReadable(const Attachment& attachment) {
  if (attachment.undecodable.empty()) return true;
  log::warn("left out an attachment that can't be read",
            {{"namespace", attachment.metadata.nameSpace},
             {"name", attachment.metadata.name},
             {"error", *attachment.undecodable}});
  return false;
}

constexpr const char* kSelecting = "selecting";  ///< index by namespace

}  // namespace

const k8s::Fields kAttachmentFields{
    "", {{"metadata", {{"namespace"}, {"name"}, {"uid"}, {"deletionTimestamp"}}}, {"spec"}}};

InformerView::InformerView(kube::Client& client)
    : networks_(client, {}), attachments_(client, {}), namespaces_(client, {}) {
  attachments_.setFilter(isReadable);
  attachments_.addIndex(kSelecting, [](const Attachment& one) {
    std::vector<std::string> keys;
    if (one.spec.podSelector->has_value()) keys.push_back(one.metadata.nameSpace);
    return keys;
  });
}

void InformerView::start() {
  networks_.start();
  attachments_.start();
  namespaces_.start();
}

void InformerView::stop() {
  networks_.stop();
  attachments_.stop();
  namespaces_.stop();
}

Status InformerView::ready() const {
  MULTINET_CHECK(networks_.ready(kube::kOldCache));
  MULTINET_CHECK(attachments_.ready(kube::kOldCache));
  return namespaces_.ready(kube::kOldCache);
}

std::optional<api::PodNetwork> InformerView::network(std::string_view name) const {
  const auto found = networks_.get({"", std::string(name)});
  return found ? std::optional(*found) : std::nullopt;
}

std::optional<api::PodNetworkAttachment> InformerView::attachment(std::string_view namespaceName,
                                                                  std::string_view name) const {
  const auto found = attachments_.get({std::string(namespaceName), std::string(name)});
  return found ? std::optional(*found) : std::nullopt;
}

std::optional<k8s::StringMap> InformerView::namespaceLabels(std::string_view name) const {
  const auto found = namespaces_.get({"", std::string(name)});
  return found ? std::optional(*found->metadata.labels) : std::nullopt;
}

std::vector<api::PodNetworkAttachment> InformerView::selecting(
    std::string_view namespaceName) const {
  std::vector<api::PodNetworkAttachment> all;
  for (const auto& one : attachments_.byIndex(kSelecting, std::string(namespaceName))) {
    all.push_back(*one);
  }
  return all;
}

std::vector<api::PodNetwork> InformerView::networks() const {
  std::vector<api::PodNetwork> all;
  for (const auto& network : networks_.list()) all.push_back(*network);
  return all;
}

}  // namespace multinet::webhook

template struct multinet::k8s::KindTraits<multinet::webhook::Attachment>;
