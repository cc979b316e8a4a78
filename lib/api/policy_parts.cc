#include "lib/api/policy_parts.h"

#include <set>

#include "lib/api/names.h"
#include "lib/api/parts.h"
#include "lib/api/policy.h"

namespace multinet::api::parts {

void checkCount(std::size_t count, std::size_t most, const std::string& path,
                const std::string& what, Report& report) {
  if (count <= most) return;
  report.violations.push_back(broken(
      path, std::to_string(count) + " " + what, "are too many",
      "write at most " + std::to_string(most) + "; several policies add up to one", "TooMany"));
}

void checkNetworks(const std::vector<std::string>& names, Report& report) {
  const std::string path = "spec.podNetworkNames";
  if (names.empty()) {
    report.violations.push_back(broken(path, "", "is missing",
                                       "name the networks on which it holds, at least one",
                                       "NetworksMissing"));
  }
  checkCount(names.size(), kMaxPolicyNetworks, path, "networks", report);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    if (name == "default" || name == "eth0") {
      report.violations.push_back(broken(
          at(path, i), name, "is the cluster's own network, which isn't Multinet's",
          "write a NetworkPolicy for it, and here the name of a PodNetwork", "ClusterNetwork"));
    } else if (!isDnsLabel(name)) {
      report.violations.push_back(broken(at(path, i), name, "is no network's name",
                                         "write the name of a PodNetwork, of a-z, 0-9 and '-'",
                                         "IllegalName"));
    }
    if (!seen.insert(name).second) {
      report.violations.push_back(
          broken(at(path, i), name, "stands twice", "write each network once", "Duplicate"));
    }
  }
}

void checkSelector(const k8s::LabelSelector& selector, const std::string& path, Report& report) {
  if (const auto valid = k8s::validate(selector); !valid) {
    report.violations.push_back(broken(path, "", valid.error().message,
                                       "write labels that such an object can have",
                                       "InvalidSelector"));
  }
  const std::string expressions = path + ".matchExpressions";
  checkCount(selector.matchLabels.size(), kMaxSelectorTerms, path + ".matchLabels", "labels",
             report);
  checkCount(selector.matchExpressions.size(), kMaxSelectorTerms, expressions, "expressions",
             report);
  for (std::size_t i = 0; i < selector.matchExpressions.size(); ++i) {
    checkCount(selector.matchExpressions[i].values.size(), kMaxSelectorValues,
               at(expressions, i) + ".values", "values", report);
  }
}

std::optional<IpPrefix> readPrefix(const std::string& text, const std::string& path,
                                   Report& report) {
  const auto prefix = IpPrefix::parse(text);
  if (prefix) return *prefix;
  const auto address = InterfaceAddress::parse(text);
  if (address) {
    report.violations.push_back(broken(path, text, "has host bits set",
                                       "write " + IpPrefix(address->address, address->length).str(),
                                       "HostBitsSet"));
  } else {
    report.violations.push_back(broken(path, text, text.empty() ? "is missing" : "is no prefix",
                                       "write one such as 10.20.0.0/16, or 10.20.0.5/32 for one "
                                       "address",
                                       "InvalidCIDR"));
  }
  return std::nullopt;
}

void warnOfNetwork(const PodNetwork& network, const std::string& path, Report& report) {
  const std::string& name = network.metadata.name;
  if (!isPoliced(network.spec)) {
    report.warnings.push_back({path, name,
                               "is of type IPVlan and mode L3S, on whose interfaces nodes don't "
                               "enforce policies: pods run, and status.notEnforced names them",
                               "", "TypeNotCovered", Code::Ok});
  }
  if (network.spec.portSecurity != PortSecurity::Enforced) {
    report.warnings.push_back({path, name,
                               "has portSecurity " +
                                   std::string(api::name(network.spec.portSecurity)) +
                                   ", so its pods can take the addresses of allowed peers",
                               "", "AddressesForgeable", Code::Ok});
  }
}

void warnOfNoAddresses(const PodNetwork& network, Report& report) {
  report.warnings.push_back({"spec.podNetworkNames", network.metadata.name,
                             "has no subnets, so no pod is known by its address there: peers "
                             "that are selected match nothing",
                             "", "NoAddresses", Code::Ok});
}

}  // namespace multinet::api::parts
