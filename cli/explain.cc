#include "cli/explain.h"

#include <nlohmann/json.hpp>

#include "cli/objects.h"
#include "lib/api/names.h"

namespace multinet::cli {
namespace {

using nlohmann::json;

json child(const json& object, const char* key) {
  return object.is_object() ? object.value(key, json()) : json();
}

/// Where an object keeps its pod: itself, `spec.template`, or a CronJob's job's.
json podIn(const json& object) {
  if (text(object, "/kind") == "Pod") return object;
  const json spec = child(object, "spec");
  if (child(spec, "template").is_object()) return child(spec, "template");
  return child(child(child(spec, "jobTemplate"), "spec"), "template");
}

void readObject(const json& object, const std::string& nameSpace, std::vector<ManifestPod>& pods) {
  const json pod = podIn(object);
  if (!pod.is_object()) return;
  ManifestPod found;
  found.subject.namespaceName = text(object, "/metadata/namespace");
  if (found.subject.namespaceName.empty()) found.subject.namespaceName = nameSpace;
  found.title = text(object, "/kind") + " " + found.subject.namespaceName + "/" +
                text(object, "/metadata/name");
  found.subject.hostNetwork = text(pod, "/spec/hostNetwork") == "true";
  const json annotations = child(child(pod, "metadata"), "annotations");
  const auto annotation = [&](const char* key) -> std::optional<std::string> {
    if (!annotations.contains(key)) return std::nullopt;
    return text(annotations.at(key), "");
  };
  found.subject.request = annotation(api::kNetworksAnnotation);
  found.selected = annotation(api::kSelectedAnnotation);
  const json labels = child(child(pod, "metadata"), "labels");
  if (labels.is_object()) {
    for (const auto& [name, value] : labels.items()) {
      if (value.is_primitive()) found.labels[name] = text(value, "");
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

Result<std::vector<ManifestPod>> podsIn(const std::vector<Written>& objects,
                                        const std::string& nameSpace) {
  std::vector<ManifestPod> pods;
  for (const Written& one : objects) readObject(one.object, nameSpace, pods);
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
    return out + "asks for no networks (no annotation " + api::kNetworksAnnotation +
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
