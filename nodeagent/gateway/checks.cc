#include "nodeagent/gateway/checks.h"

#include <algorithm>
#include <array>
#include <set>

namespace multinet::agent::gateway {
namespace {

/// A message of a PodInterfaceSet has at most 1,024 characters; a longer one would have the API
/// server refuse the whole set.
constexpr std::size_t kMostPathTold = 256;

const std::string* checkOf(const k8s::Service& service) {
  return service.metadata.annotation(api::kHealthCheckAnnotation);
}

std::string pathOf(const api::HealthCheck& how) {
  return how.httpGet->path.empty() ? "/" : how.httpGet->path;
}

}  // namespace

bool isChecked(const k8s::Service& service) {
  return checkOf(service) != nullptr;
}

std::vector<Check> checksOf(const k8s::Service& service, const endpoints::Slices& slices,
                            const NetworkUid& network, const NodeName& node,
                            const std::vector<std::shared_ptr<const k8s::Pod>>& pods) {
  std::vector<Check> checks;
  const std::string* text = checkOf(service);
  if (text == nullptr) return checks;
  const auto how = api::parseHealthCheck(*text);
  if (!how) return checks;
  std::set<std::string> seen;
  // Slices come in any order; who listens in one family alone isn't to be asked in turns.
  const bool sixFirst = !service.spec.ipFamilies.empty() && service.spec.ipFamilies[0] == "IPv6";
  const std::array families = {name(sixFirst ? IpFamily::V6 : IpFamily::V4),
                               name(sixFirst ? IpFamily::V4 : IpFamily::V6)};
  for (const auto family : families) {
    for (const auto& slice : slices) {
      if (!endpoints::isControllers(*slice) || slice->addressType != family) continue;
      for (const k8s::Endpoint& one : slice->endpoints) {
        if (one.nodeName != node.str() || !one.targetRef || one.addresses.empty()) continue;
        const auto address = IpAddress::parse(one.addresses.front());
        const auto pod = std::ranges::find_if(
            pods, [&](const auto& each) { return each->metadata.uid == one.targetRef->uid; });
        if (!address || pod == pods.end() || !seen.insert(one.targetRef->uid).second) continue;
        const auto port = api::tcpPortOf((*pod)->spec, how->port());
        checks.push_back({PodUid(one.targetRef->uid),
                          network,
                          service.metadata.name,
                          service.metadata.uid,
                          {*address, static_cast<std::uint16_t>(port.value_or(0))},
                          *how});
      }
    }
  }
  return checks;
}

bool Verdict::hear(const Answer& answer, const api::HealthCheck& how) {
  inARow_ = answer.healthy == last_ ? inARow_ + 1 : 1;
  last_ = answer.healthy;
  if (now_ && now_->healthy == answer.healthy) return false;
  if (inARow_ < (answer.healthy ? how.successes() : how.failures())) return false;
  now_ = answer;
  return true;
}

std::string authorityOf(const endpoints::Target& target) {
  const bool v4 = target.address.isV4();
  return (v4 ? "" : "[") + target.address.str() + (v4 ? ":" : "]:") + std::to_string(target.port);
}

std::string textOf(const Check& check) {
  const std::string at = authorityOf(check.target);
  if (check.how.grpc) {
    const std::string& service = check.how.grpc->service;
    return "gRPC health " + (service.empty() ? "" : "of \"" + service + "\" ") + "at " + at;
  }
  if (!check.how.httpGet) return "connect to " + at;
  const bool isTls = check.how.httpGet->scheme == api::HttpScheme::HTTPS;
  std::string path = pathOf(check.how);
  if (path.size() > kMostPathTold) path.replace(kMostPathTold, std::string::npos, "...");
  return (isTls ? "GET https://" : "GET http://") + at + path;
}

std::string requestOf(const Check& check) {
  return "GET " + pathOf(check.how) + " HTTP/1.1\r\nHost: " + authorityOf(check.target) +
         "\r\nUser-Agent: " + kCheckAgent + "\r\nAccept: */*\r\nConnection: close\r\n\r\n";
}

std::optional<Answer> judge(const Check& check, std::string_view received) {
  constexpr std::string_view kVersion = "HTTP/1.";
  constexpr std::size_t kCodeAt = 9;  // after "HTTP/1.1 "
  const auto known = std::min(received.size(), kVersion.size());
  if (received.substr(0, known) != kVersion.substr(0, known)) {
    return Answer{false, "NoHttp", textOf(check) + ": the answer isn't HTTP/1.1"};
  }
  if (received.size() < kCodeAt + 3) return std::nullopt;
  int code = 0;
  for (const char digit : received.substr(kCodeAt, 3)) {
    if (digit < '0' || digit > '9') {
      return Answer{false, "NoHttp", textOf(check) + ": the answer has no status"};
    }
    code = code * 10 + (digit - '0');
  }
  const bool healthy = code >= 200 && code < 400;
  return Answer{healthy, healthy ? "Answered" : "BadStatus",
                textOf(check) + ": " + std::to_string(code)};
}

}  // namespace multinet::agent::gateway
