// The rules for a PodNetworkAttachment, and who may use a network.
#include <algorithm>

#include "lib/api/names.h"
#include "lib/api/parts.h"
#include "lib/api/selection.h"
#include "lib/api/spelling.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

constexpr auto kNotGranted = "NamespaceNotGranted";
constexpr auto kNamespaceUnknown = "NamespaceUnknown";

/// What needs no network.
Report validateAlone(const PodNetworkAttachment& attachment) {
  const std::string& name = attachment.spec.interfaceName;
  Report report;
  if (!name.empty() && !InterfaceName::parse(name)) {
    report.violations.push_back({"spec.interfaceName", name, "is no interface's name",
                                 "write a letter or digit and up to 14 of A-Z, a-z, 0-9, '.', "
                                 "'_' and '-'; not lo, eth0, all or default",
                                 "InvalidInterfaceName", Code::InvalidArgument});
  }
  const std::optional<k8s::LabelSelector>& selector = attachment.spec.podSelector;
  if (!selector) return report;
  if (const auto valid = k8s::validate(*selector); !valid) {
    report.violations.push_back({"spec.podSelector", "", valid.error().message,
                                 "write labels that pods can have", "InvalidSelector",
                                 Code::InvalidArgument});
  }
  if (*selector == k8s::LabelSelector{}) {
    report.warnings.push_back({"spec.podSelector", "",
                               "is empty: it chooses every pod of the namespace", "",
                               "SelectsEveryPod", Code::Ok});
  }
  return report;
}

}  // namespace

namespace parts {
namespace {

Violation notAllowed(const std::string& field, const std::string& value,
                     const PodNetwork& network) {
  return {"spec." + field,
          value,
          "isn't allowed by network \"" + network.metadata.name + "\"",
          "leave it out, or have the admin set spec.allow." + field + " of the network",
          "NotAllowed",
          Code::PermissionDenied};
}

Violation unknown(const std::string& namespaceName) {
  return {"",
          "",
          "can't be judged: namespace \"" + namespaceName + "\" isn't known yet",
          "try again",
          kNamespaceUnknown,
          Code::Unavailable};
}

/// Where no pod would be chosen, nobody may take it for done.
std::optional<Violation> checkSelects(const PodNetworkAttachment& attachment,
                                      const k8s::StringMap* labels) {
  const std::string path = "spec.podSelector";
  const std::string& home = attachment.metadata.nameSpace;
  if (!attachment.spec.podSelector->has_value()) return std::nullopt;
  if (home == kSystemNamespace) {
    return Violation{path,
                     "",
                     "chooses no pod: those of namespace \"" + home + "\" get no networks",
                     "leave it out",
                     "NamespaceNotSelecting",
                     Code::FailedPrecondition};
  }
  if (labels == nullptr) {
    Violation one = unknown(home);
    one.path = path;
    return one;
  }
  if (selectsPods(home, *labels)) return std::nullopt;
  const std::string label = std::string(kSelectLabel) + "=" + kSelectEnabled;
  return Violation{
      path,
      "",
      "chooses no pod: namespace \"" + home + "\" lacks the label " + label,
      "have the admin run kubectl label namespace " + home + " " + label + ", or leave it out",
      "NamespaceNotSelecting",
      Code::FailedPrecondition};
}

Report checkDefaultGateway(DefaultGateway gateway, const PodNetwork& network) {
  Report report;
  if (gateway == DefaultGateway::None) return report;
  const std::string asked(name(gateway));
  if (!network.spec.allow.defaultGateway) {
    report.violations.push_back(notAllowed("defaultGateway", asked, network));
  }
  const auto subnets = typedSubnets(network.spec);
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    const bool has = std::any_of(subnets.begin(), subnets.end(), [&](const TypedSubnet& subnet) {
      return subnet.gateway && subnet.gateway->family() == family;
    });
    if (!wants(gateway, family) || has) continue;
    report.violations.push_back({"spec.defaultGateway", asked,
                                 "needs an " + std::string(name(family)) +
                                     " gateway, and network \"" + network.metadata.name +
                                     "\" has none",
                                 "choose None, or have the admin set a subnet's gateway",
                                 "GatewayMissing", Code::InvalidArgument});
  }
  report.warnings.push_back({"spec.defaultGateway", asked,
                             "moves the default route off eth0: what isn't the cluster's own "
                             "leaves by network \"" +
                                 network.metadata.name + "\"",
                             "", "DefaultGatewayMoved", Code::Ok});
  return report;
}

}  // namespace

bool wants(DefaultGateway gateway, IpFamily family) {
  if (gateway == DefaultGateway::Dual) return true;
  return gateway == (family == IpFamily::V4 ? DefaultGateway::IPv4 : DefaultGateway::IPv6);
}

std::optional<Violation> checkAccess(const PodNetwork& network, const std::string& namespaceName,
                                     const k8s::StringMap* labels) {
  const NamespaceAccess& access = network.spec.access.namespaces;
  if (access.from == AccessFrom::All) return std::nullopt;
  if (access.from == AccessFrom::Selector && !labels) return unknown(namespaceName);
  if (access.from == AccessFrom::Selector && access.selector && access.selector->matches(*labels)) {
    return std::nullopt;
  }
  const std::string why = access.from == AccessFrom::None
                              ? "is open to no namespace"
                              : "isn't open to namespace \"" + namespaceName +
                                    "\", whose labels its selector doesn't match";
  return Violation{"",
                   "",
                   why,
                   "have the admin grant namespace \"" + namespaceName +
                       "\" in spec.access.namespaces of network \"" + network.metadata.name + "\"",
                   kNotGranted,
                   Code::PermissionDenied};
}

Violation notOpen(const std::string& namespaceName, const Catalog& catalog) {
  if (!catalog.namespaceLabels(namespaceName)) return unknown(namespaceName);
  return {"",
          "",
          "names no PodNetwork that is open to namespace \"" + namespaceName + "\"",
          "name another, or have the admin make it or open it to the namespace "
          "(spec.access.namespaces)",
          "NetworkNotFound",
          Code::NotFound};
}

Report checkAgainst(const PodNetworkAttachmentSpec& attachment, const PodNetwork& network) {
  const auto subnets = typedSubnets(network.spec);
  Report report;
  if (attachment.mtu) {
    const std::int32_t most =
        network.spec.mtu.value_or(kMaxMtu - overhead(network.spec.type, IpFamily::V4));
    const std::string mostIs = "what network \"" + network.metadata.name + "\" carries";
    if (auto broken = checkMtu(*attachment.mtu, "spec.mtu", subnets, most, mostIs)) {
      report.violations.push_back(std::move(*broken));
    }
  }
  if (!attachment.routes.empty() && !network.spec.allow.routes) {
    report.violations.push_back(notAllowed("routes", attachment.routes->front().to, network));
  }
  report.append(checkRoutes(attachment.routes, "spec.routes", subnets));
  report.append(checkDefaultGateway(attachment.defaultGateway, network));
  return report;
}

}  // namespace parts

bool isOpenTo(const PodNetwork& network, const std::string& namespaceName,
              const k8s::StringMap* namespaceLabels) {
  return !parts::checkAccess(network, namespaceName, namespaceLabels);
}

bool isRefusal(const Violation& violation) {
  return violation.reason == kNotGranted || violation.reason == kNamespaceUnknown;
}

Report validate(const PodNetworkAttachment& attachment, const Catalog& catalog) {
  const auto network = catalog.network(attachment.spec.podNetworkName);
  const std::string& home = attachment.metadata.nameSpace;
  const bool legal = isDnsLabel(attachment.spec.podNetworkName);
  if (!network && legal && !catalog.showsAll()) {
    Violation closed = parts::notOpen(home, catalog);
    closed.path = "spec.podNetworkName";
    closed.value = attachment.spec.podNetworkName;
    Report report = validateAlone(attachment);
    report.violations.push_back(std::move(closed));
    return report;
  }
  const bool judged = network.has_value() || attachment.spec.podSelector->has_value();
  const auto labels = judged ? catalog.namespaceLabels(home) : std::nullopt;
  return validate(attachment, network ? &*network : nullptr, labels ? &*labels : nullptr);
}

Report validate(const PodNetworkAttachment& attachment, const PodNetwork* network,
                const k8s::StringMap* namespaceLabels) {
  const PodNetworkAttachmentSpec& spec = attachment.spec;
  const std::string& home = attachment.metadata.nameSpace;
  Report report = validateAlone(attachment);
  if (auto idle = parts::checkSelects(attachment, namespaceLabels)) {
    report.violations.push_back(std::move(*idle));
  }
  const std::string path = "spec.podNetworkName";
  if (network == nullptr) {
    const bool legal = isDnsLabel(spec.podNetworkName);
    report.violations.push_back(
        {path, spec.podNetworkName, legal ? "names no PodNetwork" : "is no PodNetwork's name",
         "write the name of one (kubectl get pnet)", legal ? "NetworkNotFound" : "IllegalName",
         legal ? Code::NotFound : Code::InvalidArgument});
    return report;
  }
  if (auto refused = parts::checkAccess(*network, home, namespaceLabels)) {
    refused->path = path;
    refused->value = spec.podNetworkName;
    report.violations.push_back(std::move(*refused));
  }
  report.append(parts::checkAgainst(spec, *network));
  return report;
}

Report validateUpdate(const PodNetworkAttachment& before, const PodNetworkAttachment& after,
                      const Catalog& catalog) {
  Report report = validate(after, catalog);
  if (before.spec.podNetworkName != after.spec.podNetworkName) {
    report.violations.push_back(
        {"spec.podNetworkName", after.spec.podNetworkName, "can't change",
         "keep " + before.spec.podNetworkName + ", or make another attachment", "ImmutableField",
         Code::InvalidArgument});
  }
  return report;
}

}  // namespace multinet::api
