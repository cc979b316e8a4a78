#include "cli/explain.h"

#include <yaml-cpp/yaml.h>

namespace multinet::cli {
namespace {

constexpr auto kRequestKey = "multinet.dev/networks";

std::string text(const YAML::Node& node, const char* key) {
  if (!node.IsMap() || !node[key] || !node[key].IsScalar()) return {};
  return node[key].Scalar();
}

YAML::Node child(const YAML::Node& node, const char* key) {
  return node.IsMap() && node[key] ? YAML::Node(node[key]) : YAML::Node();
}

/// Where an object keeps its pod: itself, `spec.template`, or a CronJob's job's.
YAML::Node podOf(const YAML::Node& object) {
  if (text(object, "kind") == "Pod") return object;
  const auto spec = child(object, "spec");
  if (child(spec, "template").IsMap()) return child(spec, "template");
  return child(child(child(spec, "jobTemplate"), "spec"), "template");
}

void readObject(const YAML::Node& object, const std::string& nameSpace,
                std::vector<ManifestPod>& pods) {
  if (!object.IsMap()) return;
  if (child(object, "items").IsSequence()) {
    for (const auto& item : child(object, "items")) readObject(item, nameSpace, pods);
    return;
  }
  const auto pod = podOf(object);
  if (!pod.IsMap()) return;
  const auto metadata = child(object, "metadata");
  ManifestPod found;
  found.subject.namespaceName = text(metadata, "namespace");
  if (found.subject.namespaceName.empty()) found.subject.namespaceName = nameSpace;
  found.title =
      text(object, "kind") + " " + found.subject.namespaceName + "/" + text(metadata, "name");
  found.subject.hostNetwork = text(child(pod, "spec"), "hostNetwork") == "true";
  const auto annotations = child(child(pod, "metadata"), "annotations");
  if (annotations.IsMap() && annotations[kRequestKey]) {
    found.subject.request = text(annotations, kRequestKey);
  }
  if (annotations.IsMap() && annotations[api::kSelectedAnnotation]) {
    found.selected = text(annotations, api::kSelectedAnnotation);
  }
  const auto labels = child(child(pod, "metadata"), "labels");
  if (labels.IsMap()) {
    for (const auto& label : labels) {
      if (label.second.IsScalar()) found.labels[label.first.Scalar()] = label.second.Scalar();
    }
  }
  pods.push_back(std::move(found));
}

std::string describeInterface(const api::ResolvedInterface& interface) {
  std::string line = "  " + interface.name.str() + " on network " + interface.network.str() + " (" +
                     std::string(api::name(interface.type)) + ")";
  if (interface.mtu) line += ", MTU " + std::to_string(*interface.mtu);
  if (!interface.routes.empty()) {
    line += ", " + std::to_string(interface.routes.size()) +
            (interface.routes.size() == 1 ? " route" : " routes");
  }
  if (interface.defaultGatewayV4) line += ", default gateway IPv4";
  if (interface.defaultGatewayV6) line += ", default gateway IPv6";
  return line + "\n";
}

}  // namespace

Result<std::vector<ManifestPod>> readManifest(std::string_view text, const std::string& nameSpace) {
  std::vector<ManifestPod> pods;
  try {
    for (const auto& document : YAML::LoadAll(std::string(text))) {
      readObject(document, nameSpace, pods);
    }
  } catch (const YAML::Exception& error) {
    return fail(Code::InvalidArgument, "InvalidYAML",
                std::string("read manifest: ") + error.what());
  }
  if (pods.empty()) {
    return fail(Code::InvalidArgument, "NoPods",
                "read manifest: nothing in it makes pods: give a Pod, or a workload with a pod "
                "template");
  }
  return pods;
}

api::Selection chooseFor(ManifestPod& pod,
                         const std::vector<api::PodNetworkAttachment>& attachments,
                         const api::Catalog& catalog) {
  const api::PodSubject& subject = pod.subject;
  auto chosen = api::select({.namespaceName = subject.namespaceName,
                             .labels = pod.labels,
                             .hostNetwork = subject.hostNetwork,
                             .request = subject.request,
                             .selected = pod.selected},
                            attachments, catalog);
  pod.subject.request = chosen.request;
  pod.selected = chosen.selected;
  return chosen;
}

std::string describeExplanation(const ManifestPod& pod, const api::Explanation& explanation) {
  std::string out = pod.title + ": ";
  if (!pod.subject.request) {
    return out + "asks for no networks (no annotation " + kRequestKey +
           "), and no podSelector chooses it\n";
  }
  if (explanation.report.ok()) {
    out += "would get eth0 and\n";
    for (const auto& item : explanation.items) {
      if (item.interface) out += describeInterface(*item.interface);
    }
  } else {
    out += "would be refused\n";
    for (const auto& violation : explanation.report.violations)
      out += "  " + violation.str() + "\n";
  }
  if (pod.selected) out += "  chosen by its labels: " + *pod.selected + "\n";
  for (const auto& warning : explanation.report.warnings) {
    out += "  warning: " + warning.str() + "\n";
  }
  return out;
}

std::optional<api::PodNetwork> ListedCatalog::network(std::string_view name) const {
  for (const auto& one : networks_) {
    if (one.metadata.name == name) return one;
  }
  return std::nullopt;
}

std::optional<api::PodNetworkAttachment> ListedCatalog::attachment(std::string_view namespaceName,
                                                                   std::string_view name) const {
  for (const auto& one : attachments_) {
    if (one.metadata.nameSpace == namespaceName && one.metadata.name == name) return one;
  }
  return std::nullopt;
}

std::optional<k8s::StringMap> ListedCatalog::namespaceLabels(std::string_view name) const {
  const auto found = namespaces_.find(name);
  return found == namespaces_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace multinet::cli
