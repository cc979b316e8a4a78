#include "nodeagent/policy/clients.h"

namespace multinet::agent::policing {

namespace {

/// No pods: a client's address may be one of a pod of the network, and is another's all the same.
class NoPods final : public policy::Source {
 public:
  [[nodiscard]] const policy::Named& podsOf(const api::PodNetworkPolicy& /*policy*/,
                                            const api::PolicyPeer& /*peer*/) override {
    return nobody_;
  }
  [[nodiscard]] ByPort withPort(const api::PodNetworkPolicy& /*policy*/,
                                const api::PolicyPeer* /*peer*/,
                                const api::PolicyPort& /*port*/) override {
    return {};
  }
  [[nodiscard]] const policy::Named& podsIn(const std::string& /*nameSpace*/) override {
    return nobody_;
  }

 private:
  const policy::Named nobody_{.key = "nobody"};
};

}  // namespace

Admissions admissionsOf(const std::vector<policy::Subject>& subjects,
                        const policy::Network& network,
                        const std::map<policy::PodKey, std::vector<IpAddress>>& addresses,
                        const std::set<policy::PodKey>& cut) {
  NoPods nobody;
  policy::Numbers numbers;
  const policy::Program program = policy::compile(subjects, network, nobody, numbers).program;
  std::map<policy::Number, policy::Ranges> ranges;
  program.addresses.each([&](const policy::AddressRange& range, policy::Number peers) {
    ranges[peers].push_back(range);
  });
  for (auto& [peers, all] : ranges) all = policy::joined(std::move(all));
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) {
    ranges[policy::kEverybody].push_back({IpAddress(family, 0), policy::lastOf(family)});
  }
  std::map<policy::Number, std::vector<Admission>> bySubject;
  for (const policy::Permit& permit : program.permits) {
    if (permit.others) continue;  // services are of protocols with ports
    for (const policy::AddressRange& range : ranges[permit.peers]) {
      bySubject[permit.subject].push_back({permit.protocol, permit.first, permit.last, range});
    }
  }
  Admissions all;
  for (const auto& [pod, subject] : program.ingress) {
    const auto found = addresses.find(pod);
    if (found == addresses.end()) continue;
    for (const IpAddress& address : found->second) {
      all[address] = cut.contains(pod) ? std::vector<Admission>{} : bySubject[subject];
    }
  }
  return all;
}

}  // namespace multinet::agent::policing
