#include "lib/api/health_check.h"

#include <algorithm>

#include "lib/api/describe.h"
#include "lib/api/parts.h"
#include "lib/api/service.h"

namespace multinet::api {
namespace {

using parts::broken;

void checkPort(const k8s::IntOrString& port, const std::string& path, Report& report) {
  if (isContainerPort(port)) return;
  report.violations.push_back(broken(path, port.str(), "is no port of a container",
                                     "write 1 to 65535, or the name of a container's port",
                                     "InvalidPort"));
}

/// Of what goes into a request line: visible ASCII (RFC 9112, section 3).
bool isPath(std::string_view path) {
  const auto visible = [](char c) { return c > ' ' && c <= '~' && c != '#'; };
  return path.size() <= kMostCheckPath && path.starts_with('/') &&
         std::ranges::all_of(path, visible);
}

/// The protocol says nothing of it but that it is text.
bool isServiceName(std::string_view name) {
  const auto visible = [](char c) { return c > ' ' && c <= '~'; };
  return name.size() <= kMostGrpcService && std::ranges::all_of(name, visible);
}

void checkNumber(std::int32_t number, std::int32_t most, const std::string& path, Report& report) {
  if (number >= 1 && number <= most) return;
  report.violations.push_back(broken(path, std::to_string(number), "is out of range",
                                     "write 1 to " + std::to_string(most), "OutOfRange"));
}

std::optional<std::int32_t> namedPort(const std::vector<k8s::Container>& containers,
                                      const std::string& name, bool sidecarsAlone) {
  for (const auto& container : containers) {
    if (sidecarsAlone && container.restartPolicy != "Always") continue;
    for (const auto& port : container.ports) {
      const bool isTcp = port.protocol.empty() || port.protocol == "TCP";
      if (isTcp && port.name == name) return port.containerPort;
    }
  }
  return std::nullopt;
}

}  // namespace

const k8s::IntOrString& HealthCheck::port() const {
  static const k8s::IntOrString kNone;
  if (httpGet) return httpGet->port;
  if (tcpSocket) return tcpSocket->port;
  return grpc ? grpc->port : kNone;
}

Report validate(const HealthCheck& check, const std::string& path) {
  Report report;
  const int given = (check.httpGet ? 1 : 0) + (check.tcpSocket ? 1 : 0) + (check.grpc ? 1 : 0);
  if (given != 1) {
    report.violations.push_back(broken(path, "",
                                       std::string(given == 0 ? "has none" : "has more than one") +
                                           " of httpGet, tcpSocket and grpc",
                                       "write one of them, with a port", "OneOf"));
  }
  if (check.httpGet) {
    checkPort(check.httpGet->port, path + ".httpGet.port", report);
    const auto& asked = check.httpGet->path;
    if (!asked.empty() && !isPath(asked)) {
      report.violations.push_back(broken(path + ".httpGet.path", asked, "is no path",
                                         "begin with /, and write spaces as %20", "InvalidPath"));
    }
  }
  if (check.tcpSocket) checkPort(check.tcpSocket->port, path + ".tcpSocket.port", report);
  if (check.grpc) {
    checkPort(check.grpc->port, path + ".grpc.port", report);
    const auto& service = check.grpc->service;
    if (!isServiceName(service)) {
      report.violations.push_back(broken(path + ".grpc.service", service, "is no service's name",
                                         "write one such as shop.v1.Cart, at most " +
                                             std::to_string(kMostGrpcService) +
                                             " characters, or leave it out",
                                         "IllegalName"));
    }
  }
  checkNumber(check.period(), kMostCheckSeconds, path + ".periodSeconds", report);
  checkNumber(check.timeout(), kMostCheckSeconds, path + ".timeoutSeconds", report);
  checkNumber(check.failures(), kMostCheckThreshold, path + ".failureThreshold", report);
  checkNumber(check.successes(), kMostCheckThreshold, path + ".successThreshold", report);
  if (check.timeout() > check.period() && check.period() >= 1) {
    report.violations.push_back(broken(path + ".timeoutSeconds", std::to_string(check.timeout()),
                                       "is over periodSeconds, " + std::to_string(check.period()),
                                       "write at most as much", "TimeoutOverPeriod"));
  }
  return report;
}

std::string spellHealthCheck(const HealthCheck& check) {
  return k8s::Encoder::value(check).dump();
}

Result<HealthCheck> parseHealthCheck(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (const auto error = parser.parse(text.data(), text.size()).get(element)) {
    return fail(Code::InvalidArgument, "InvalidJSON",
                std::string("parse health check: ") + simdjson::error_message(error));
  }
  MULTINET_TRY(auto check, k8s::decode<HealthCheck>(element));
  if (const auto report = validate(check, kHealthCheckAnnotation); !report.ok()) {
    return fail(toError(report.violations));
  }
  return check;
}

std::optional<std::int32_t> tcpPortOf(const k8s::PodSpec& pod, const k8s::IntOrString& port) {
  if (port.name.empty()) return port.number;
  if (const auto found = namedPort(pod.containers, port.name, false)) return found;
  return namedPort(pod.initContainers, port.name, true);
}

}  // namespace multinet::api
