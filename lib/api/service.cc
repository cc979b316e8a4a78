#include "lib/api/service.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <utility>

#include "lib/api/names.h"
#include "lib/api/parts.h"
#include "lib/api/spelling.h"
#include "lib/api/validate.h"

namespace multinet::api {
namespace {

using parts::broken;

constexpr std::int32_t kMaxPort = 65535;
constexpr std::string_view kOurPrefix = "multinet.dev/";
constexpr std::size_t kMaxPortName = 15;  // of a container's port: RFC 6335, section 5.1

AddressFamily familyOf(const IpAddress& address) {
  return address.isV4() ? AddressFamily::IPv4 : AddressFamily::IPv6;
}

/// RFC 1035, as core wants it of a Service.
bool isServiceName(std::string_view name) {
  return isDnsLabel(name) && std::isalpha(static_cast<unsigned char>(name.front())) != 0;
}

/// Of a container's port.
bool isPortName(std::string_view name) {
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && name.size() <= kMaxPortName && std::ranges::all_of(name, legal) &&
         std::ranges::any_of(name, letter) && name.front() != '-' && name.back() != '-' &&
         name.find("--") == std::string_view::npos;
}

void checkMetadata(const PodNetworkService& service, Report& report) {
  const auto& metadata = service.metadata;
  if (!metadata.name.empty() && !isServiceName(metadata.name)) {
    report.violations.push_back(broken(
        "metadata.name", metadata.name, "is no Service's name",
        "write a letter and up to 62 of a-z, 0-9 and '-', no '-' at the end", "IllegalName"));
  }
  for (const auto& [key, value] : metadata.labels) {
    if (!isReservedLabel(key)) continue;
    report.violations.push_back(broken("metadata.labels[" + key + "]", value,
                                       "is set by Kubernetes or Multinet on what is made of this",
                                       "leave it out", "ReservedLabel"));
  }
  for (const auto& [key, value] : metadata.annotations) {
    if (!key.starts_with(kOurPrefix)) continue;
    report.violations.push_back(broken("metadata.annotations[" + key + "]", value,
                                       "is set by Multinet on what is made of this", "leave it out",
                                       "ReservedAnnotation"));
  }
}

void checkSelector(const k8s::StringMap& selector, Report& report) {
  const std::string path = "spec.selector";
  if (selector.empty()) {
    report.violations.push_back(broken(path, "", "would select every pod",
                                       "write the labels of the pods that serve, at least one",
                                       "SelectorMissing"));
    return;
  }
  if (selector.size() > kMaxSelectorPairs) {
    report.violations.push_back(
        broken(path, std::to_string(selector.size()) + " pairs", "are too many",
               "write at most " + std::to_string(kMaxSelectorPairs), "TooMany"));
  }
  for (const auto& [key, value] : selector) {
    const auto status = k8s::validate(k8s::LabelSelector{{{key, value}}, {}});
    if (status.has_value()) continue;
    report.violations.push_back(
        broken("spec.selector[" + key + "]", value, "is nothing that a label can be",
               "write a label's key and value, such as app: web", "InvalidSelector"));
  }
}

void checkTargetPort(const k8s::IntOrString& target, const std::string& path, Report& report) {
  if (target.empty() || isContainerPort(target)) return;
  report.violations.push_back(
      broken(path, target.str(), "is no port of a container",
             "write 1 to 65535, or a name of at most 15 of a-z, 0-9 and '-' with a letter",
             "InvalidPort"));
}

void checkPort(const PodNetworkServicePort& port, const std::string& path, bool alone,
               bool namesAlone, Report& report) {
  if (port.port < 1 || port.port > kMaxPort) {
    report.violations.push_back(broken(path + ".port", std::to_string(port.port), "is no port",
                                       "write 1 to 65535", "InvalidPort"));
  }
  if (port.name.empty() && !alone) {
    report.violations.push_back(broken(path + ".name", "", "is missing, and there are others",
                                       "name each of several ports", "NameMissing"));
  }
  if (!port.name.empty() && !isDnsLabel(port.name)) {
    report.violations.push_back(broken(path + ".name", port.name, "is no port's name",
                                       "write at most 63 of a-z, 0-9 and '-'", "IllegalName"));
  }
  checkTargetPort(port.targetPort, path + ".targetPort", report);
  if (!port.appProtocol.empty()) {
    const auto status = k8s::validate(k8s::LabelSelector{{{port.appProtocol, ""}}, {}});
    if (!status.has_value()) {
      report.violations.push_back(
          broken(path + ".appProtocol", port.appProtocol, "is no protocol's name",
                 "write one such as https or example.com/mine", "IllegalName"));
    }
  }
  if (port.protocol == Protocol::SCTP && !namesAlone) {
    report.violations.push_back(broken(path + ".protocol", "SCTP",
                                       "isn't served by a ClusterIP on a network",
                                       "set clusterIP: None", "ProtocolNotServed"));
  }
}

void checkPorts(const PodNetworkServiceSpec& spec, Report& report) {
  const auto& ports = spec.ports;
  if (ports.empty() && !spec.isHeadless() && !spec.isExternalName()) {
    report.violations.push_back(broken("spec.ports", "", "is missing",
                                       "write at least one port, or set clusterIP: None",
                                       "PortsMissing"));
  }
  if (ports.size() > kMaxServicePorts) {
    report.violations.push_back(
        broken("spec.ports", std::to_string(ports.size()) + " ports", "are too many",
               "write at most " + std::to_string(kMaxServicePorts), "TooMany"));
  }
  std::set<std::pair<Protocol, std::int32_t>> numbers;
  std::set<std::string> names;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string path = parts::at("spec.ports", i);
    checkPort(ports[i], path, ports.size() == 1, spec.isHeadless() || spec.isExternalName(),
              report);
    if (!numbers.insert({ports[i].protocol, ports[i].port}).second) {
      report.violations.push_back(broken(path + ".port", std::to_string(ports[i].port),
                                         "stands twice with this protocol", "leave one of them out",
                                         "Duplicate"));
    }
    if (!ports[i].name.empty() && !names.insert(ports[i].name).second) {
      report.violations.push_back(broken(path + ".name", ports[i].name, "stands twice",
                                         "give each port a name of its own", "Duplicate"));
    }
  }
}

/// Absent, None, or an address of the family that comes first.
void checkChosen(const PodNetworkServiceSpec& spec, Report& report) {
  if (spec.isHeadless() || spec.clusterIP.empty()) return;
  const auto address = IpAddress::parse(spec.clusterIP);
  if (!address) {
    report.violations.push_back(broken(
        "spec.clusterIP", spec.clusterIP, "is neither None nor an address",
        "write one such as 10.96.0.20, None for names alone, or leave it out to have one allocated",
        "InvalidAddress"));
    return;
  }
  if (spec.ipFamilies.empty() || familyOf(*address) == spec.ipFamilies.front()) return;
  report.violations.push_back(broken(
      "spec.clusterIP", spec.clusterIP,
      "isn't of the first of spec.ipFamilies, " + std::string(k8s::spell(spec.ipFamilies.front())),
      "write an address of that family, or the families in its order", "FamilyDiffers"));
}

void checkFamilies(const PodNetworkServiceSpec& spec, Report& report) {
  std::set<AddressFamily> seen;
  for (std::size_t i = 0; i < spec.ipFamilies.size(); ++i) {
    const auto family = spec.ipFamilies[i];
    if (seen.insert(family).second) continue;
    report.violations.push_back(broken(parts::at("spec.ipFamilies", i),
                                       std::string(k8s::spell(family)), "stands twice",
                                       "write each family once", "Duplicate"));
  }
  if (spec.ipFamilyPolicy == FamilyPolicy::SingleStack && seen.size() > 1) {
    report.violations.push_back(broken(
        "spec.ipFamilyPolicy", "SingleStack", "is for one family, and spec.ipFamilies has two",
        "write PreferDualStack, or one family", "FamilyPolicyDiffers"));
  }
}

/// What says something of pods, where there are none.
void checkExternalName(const PodNetworkServiceSpec& spec, Report& report) {
  const std::string path = "spec.externalName";
  if (!spec.isExternalName()) {
    if (spec.externalName.empty()) return;
    report.violations.push_back(broken(path, spec.externalName, "is for type ExternalName alone",
                                       "leave it out, or set type: ExternalName",
                                       "OnlyWithExternalName"));
    return;
  }
  std::string_view name = spec.externalName;
  if (name.ends_with('.')) name.remove_suffix(1);  // as core: a name that is whole
  if (!isDnsSubdomain(name)) {
    report.violations.push_back(
        broken(path, spec.externalName,
               spec.externalName.empty() ? "is missing" : "is no name that DNS could have",
               "write one such as db.example.com, at most 253 characters of a-z, 0-9, '-' and '.'",
               "IllegalName"));
  }
  const auto none = [&](const std::string& field, bool given, const std::string& value) {
    if (!given) return;
    report.violations.push_back(broken("spec." + field, value,
                                       "says nothing with type ExternalName", "leave it out",
                                       "NotWithExternalName"));
  };
  none("selector", !spec.selector.empty(), std::to_string(spec.selector.size()) + " labels");
  none("clusterIP", !spec.clusterIP.empty(), spec.clusterIP);
  none("ipFamilies", !spec.ipFamilies.empty(),
       spec.ipFamilies.empty() ? "" : std::string(k8s::spell(spec.ipFamilies.front())));
  none("ipFamilyPolicy", spec.ipFamilyPolicy.has_value(),
       spec.ipFamilyPolicy ? std::string(k8s::spell(*spec.ipFamilyPolicy)) : "");
  none("publishNotReadyAddresses", spec.publishNotReadyAddresses, "true");
  none("trafficDistribution", spec.trafficDistribution.has_value(),
       spec.trafficDistribution ? std::string(k8s::spell(*spec.trafficDistribution)) : "");
  none("sessionAffinity", spec.sessionAffinity != SessionAffinity::None,
       std::string(k8s::spell(spec.sessionAffinity)));
  none("reach", spec.reach != Reach::Network, std::string(k8s::spell(spec.reach)));
  none("healthCheck", spec.healthCheck.has_value(), "");
}

/// Core takes one of a headless service and does nothing with it.
void checkAffinity(const PodNetworkServiceSpec& spec, Report& report) {
  const auto& config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity == SessionAffinity::None) {
    if (!config) return;
    report.violations.push_back(
        broken("spec.sessionAffinityConfig", "", "says something of an affinity that there isn't",
               "leave it out, or set sessionAffinity: ClientIP", "OnlyWithClientIP"));
    return;
  }
  if (spec.isHeadless()) {
    report.violations.push_back(
        broken("spec.sessionAffinity", std::string(k8s::spell(spec.sessionAffinity)),
               "is for a ClusterIP, and clients of a headless service choose for themselves",
               "leave it out, or clusterIP: None", "NotWithHeadless"));
  }
  if (!config || !config->clientIP || !config->clientIP->timeoutSeconds) return;
  const std::int32_t seconds = *config->clientIP->timeoutSeconds;
  if (seconds >= 1 && seconds <= kMostAffinitySeconds) return;
  report.violations.push_back(broken("spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                                     std::to_string(seconds), "is no time to keep an endpoint for",
                                     "write 1 to " + std::to_string(kMostAffinitySeconds),
                                     "InvalidTimeout"));
}

void checkTermination(const PodNetworkServiceSpec& spec, Report& report) {
  if (!spec.termination || !spec.termination->seconds) return;
  const std::int32_t seconds = *spec.termination->seconds;
  const std::string path = "spec.termination.seconds";
  if (spec.termination->hold == TerminationHold::Off) {
    report.violations.push_back(broken(path, std::to_string(seconds),
                                       "says how long, and hold: Off says not at all",
                                       "leave one of them out", "Contradiction"));
  } else if (seconds < 1 || seconds > kMostHoldSeconds) {
    report.violations.push_back(
        broken(path, std::to_string(seconds), "is no time to wait for",
               "write 1 to " + std::to_string(kMostHoldSeconds) + ", or hold: Off", "InvalidHold"));
  }
}

bool isOpen(const PodNetwork& network, const std::string& home, const Catalog& catalog) {
  const auto labels = catalog.namespaceLabels(home);
  return isOpenTo(network, home, labels ? &*labels : nullptr);
}

/// An ExternalName asks nothing of the network.
void warnOfName(const PodNetworkServiceSpec& spec, Report& report) {
  if (!IpAddress::parse(spec.externalName)) return;
  report.warnings.push_back({"spec.externalName", spec.externalName,
                             "is an address, and DNS will take it for a name: nobody will reach it",
                             "", "LooksLikeAddress", Code::Ok});
}

void warnOf(const PodNetworkService& service, const Catalog& catalog, Report& report) {
  if (service.spec.isExternalName()) return warnOfName(service.spec, report);
  const std::string path = "spec.podNetworkName";
  const auto& name = service.spec.podNetworkName;
  const auto& home = service.metadata.nameSpace;
  const auto network = catalog.network(name);
  if (!network || !isOpen(*network, home, catalog)) {
    report.warnings.push_back({path, name,
                               "names no PodNetwork that is open to namespace \"" + home +
                                   "\"; the service has no endpoints until there is one",
                               "", "NetworkNotFound", Code::Ok});
    return;
  }
  const auto has = familiesOf(*network);
  for (const auto family : familiesOf(service.spec, *network)) {
    if (std::ranges::find(has, family) != has.end()) continue;
    const bool asked =
        std::ranges::find(service.spec.ipFamilies, family) != service.spec.ipFamilies.end();
    report.warnings.push_back(
        {asked ? "spec.ipFamilies" : "spec.ipFamilyPolicy", std::string(k8s::spell(family)),
         "is no family of network \"" + name + "\"; there are no endpoints of it", "",
         "FamilyMissing", Code::Ok});
  }
}

/// A pod that says nothing has this from the API server.
constexpr std::int32_t kDefaultGraceSeconds = 30;

/// Half of the grace period is the pod's own (nodeagent/drain).
void warnOfHold(const PodNetworkServiceSpec& spec, Report& report) {
  if (!spec.termination || !spec.termination->seconds) return;
  const std::int32_t seconds = *spec.termination->seconds;
  if (seconds * 2 <= kDefaultGraceSeconds) return;
  report.warnings.push_back({"spec.termination.seconds", std::to_string(seconds),
                             "is over half of the " + std::to_string(kDefaultGraceSeconds) +
                                 " s of grace that a pod has by default, and a hold ends there; "
                                 "give its pods a terminationGracePeriodSeconds of " +
                                 std::to_string(seconds * 2) + " or more",
                             "", "HoldOverHalf", Code::Ok});
}

void warnOfAll(const PodNetworkService& service, const Catalog& catalog, Report& report) {
  warnOf(service, catalog, report);
  warnOfHold(service.spec, report);
  report.append({{}, parts::warnOfExposure(service.spec)});
}

template <class T>
void unchanged(const std::string& path, const T& before, const T& after, const std::string& value,
               Report& report) {
  if (before == after) return;
  report.violations.push_back(
      broken(path, value, "can't change", "make another service instead", "ImmutableField"));
}

}  // namespace

Report validate(const PodNetworkService& service) {
  Report report;
  checkMetadata(service, report);
  if (!isDnsLabel(service.spec.podNetworkName)) {
    report.violations.push_back(broken("spec.podNetworkName", service.spec.podNetworkName,
                                       "is no PodNetwork's name",
                                       "write the name of one (kubectl get pnet)", "IllegalName"));
  }
  if (!service.spec.isExternalName()) checkSelector(service.spec.selector, report);
  checkExternalName(service.spec, report);
  checkChosen(service.spec, report);
  checkFamilies(service.spec, report);
  checkPorts(service.spec, report);
  checkAffinity(service.spec, report);
  checkTermination(service.spec, report);
  report.append(parts::checkExposure(service.spec));
  if (service.spec.healthCheck && !service.spec.isExternalName()) {
    report.append(validate(*service.spec.healthCheck, "spec.healthCheck"));
  }
  return report;
}

Report validate(const PodNetworkService& service, const Catalog& catalog) {
  Report report = validate(service);
  if (report.ok()) warnOfAll(service, catalog, report);
  return report;
}

Report validateUpdate(const PodNetworkService& before, const PodNetworkService& after,
                      const Catalog& catalog) {
  Report report = validate(after, catalog);
  const auto& old = before.spec;
  const auto& now = after.spec;
  unchanged("spec.podNetworkName", old.podNetworkName, now.podNetworkName, now.podNetworkName,
            report);
  unchanged("spec.clusterIP", old.clusterIP, now.clusterIP, now.clusterIP, report);
  std::string families;
  for (const auto family : now.ipFamilies) {
    families += (families.empty() ? "" : ", ") + std::string(k8s::spell(family));
  }
  unchanged("spec.ipFamilies", old.ipFamilies, now.ipFamilies, families, report);
  if (old.isExternalName() != now.isExternalName()) {
    unchanged("spec.type", old.type, now.type, std::string(k8s::spell(now.type)), report);
  }
  if (old.isLoadBalancer() && now.isLoadBalancer()) {
    unchanged("spec.loadBalancerClass", old.loadBalancerClass, now.loadBalancerClass,
              now.loadBalancerClass, report);
  }
  return report;
}

Report checkClusterIP(const PodNetworkServiceSpec& spec, const std::vector<ClusterRange>& ranges) {
  Report report;
  const auto address = IpAddress::parse(spec.clusterIP);
  if (!address) return report;  // None, or told by validate
  std::string services;
  for (const auto& range : ranges) {
    if (range.use != RangeUse::Services) continue;
    if (range.prefix.contains(*address)) return report;
    services += (services.empty() ? "" : ", ") + range.prefix.str();
  }
  if (services.empty()) return report;
  report.violations.push_back(
      broken("spec.clusterIP", spec.clusterIP, "is no address of this cluster's Services",
             "write one of " + services + ", or leave it out", "OutOfRange"));
  return report;
}

std::int32_t affinitySecondsOf(const PodNetworkServiceSpec& service) {
  if (service.sessionAffinity == SessionAffinity::None) return 0;
  const auto& config = service.sessionAffinityConfig;
  if (!config || !config->clientIP) return kAffinitySeconds;
  return config->clientIP->timeoutSeconds.value_or(kAffinitySeconds);
}

std::optional<std::string> holdLabelOf(const PodNetworkServiceSpec& service) {
  if (!service.termination) return std::nullopt;
  if (service.termination->hold == TerminationHold::Off) return "0";
  if (!service.termination->seconds) return std::nullopt;
  return std::to_string(*service.termination->seconds);
}

std::chrono::seconds holdOf(const std::string* label, bool isHeadless) {
  std::int32_t seconds = -1;
  if (label != nullptr) {
    const char* end = label->data() + label->size();
    const auto read = std::from_chars(label->data(), end, seconds);
    if (read.ec != std::errc() || read.ptr != end) seconds = -1;
  }
  if (seconds >= 0 && seconds <= kMostHoldSeconds) return std::chrono::seconds(seconds);
  return isHeadless ? kHoldByName : kHold;
}

bool isContainerPort(const k8s::IntOrString& port) {
  if (port.name.empty()) return port.number >= 1 && port.number <= kMaxPort;
  return isPortName(port.name);
}

bool isReservedLabel(std::string_view key) {
  return key.starts_with(kOurPrefix) || key.starts_with("service.kubernetes.io/") ||
         key.starts_with("endpointslice.kubernetes.io/") || key == kServiceNameLabel;
}

k8s::StringMap sharedAnnotations(const k8s::StringMap& annotations) {
  k8s::StringMap shared = annotations;
  shared.erase("kubectl.kubernetes.io/last-applied-configuration");
  std::erase_if(shared, [](const auto& one) { return one.first.starts_with(kOurPrefix); });
  return shared;
}

std::vector<AddressFamily> familiesOf(const PodNetwork& network) {
  std::vector<AddressFamily> families;
  for (const auto& subnet : network.spec.ipam.subnets) {
    const bool isV6 = subnet.cidr.find(':') != std::string::npos;
    const auto family = isV6 ? AddressFamily::IPv6 : AddressFamily::IPv4;
    if (std::ranges::find(families, family) == families.end()) families.push_back(family);
  }
  return families;
}

std::vector<AddressFamily> familiesOf(const PodNetworkServiceSpec& service,
                                      const PodNetwork& network) {
  if (service.isExternalName()) return {};
  const auto has = familiesOf(network);
  auto families = service.ipFamilies.empty() ? has : service.ipFamilies;
  if (const auto chosen = IpAddress::parse(service.clusterIP)) {
    const auto first = familyOf(*chosen);
    std::erase(families, first);
    families.insert(families.begin(), first);
  }
  if (!service.ipFamilyPolicy || families.empty()) return families;
  if (*service.ipFamilyPolicy == FamilyPolicy::SingleStack) {
    families.resize(1);
  } else if (families.size() == 1) {
    const auto other =
        families[0] == AddressFamily::IPv4 ? AddressFamily::IPv6 : AddressFamily::IPv4;
    const bool must = *service.ipFamilyPolicy == FamilyPolicy::RequireDualStack;
    if (must || std::ranges::find(has, other) != has.end()) families.push_back(other);
  }
  return families;
}

PodNetworkServicePort withDefaults(PodNetworkServicePort port) {
  if (port.targetPort.empty()) port.targetPort.number = port.port;
  return port;
}

}  // namespace multinet::api
