#include "lib/kube/config.h"

#include <cstdlib>

#include "lib/base/fd.h"

namespace multinet::kube {

Result<std::string> Material::read() const {
  if (file.empty()) return inlined;
  auto text = readFile(file);
  if (!text.has_value() && !inlined.empty()) return inlined;
  return text;
}

Result<Config> inClusterConfig(const std::string& host, const std::string& port,
                               const std::filesystem::path& root) {
  if (host.empty() || port.empty()) {
    return fail(Code::FailedPrecondition, "NotInCluster",
                "load in-cluster configuration: KUBERNETES_SERVICE_HOST or _PORT isn't set");
  }
  const auto account = root / "var/run/secrets/kubernetes.io/serviceaccount";
  Config config;
  // An IPv6 literal can't be served; the API server's certificate has this name as well.
  const bool literal = host.find(':') != std::string::npos;
  config.server = "https://" + (literal ? "kubernetes.default.svc" : host) + ":" + port;
  config.certificateAuthority.file = (account / "ca.crt").string();
  config.token.file = (account / "token").string();
  MULTINET_TRY(config.nameSpace, readFile((account / "namespace").string()));
  MULTINET_CHECK(config.certificateAuthority.read());
  MULTINET_CHECK(config.token.read());
  return config;
}

Result<Config> loadConfig(const std::string& kubeconfig, const std::string& context) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (!kubeconfig.empty()) return loadKubeconfig(kubeconfig, context);
  auto paths = variable("KUBECONFIG");
  if (paths.empty()) paths = variable("HOME") + "/.kube/config";
  auto config = loadKubeconfigs(paths, context);
  const bool isNone = !config.has_value() && config.error().reason == "NoKubeconfig";
  const auto host = variable("KUBERNETES_SERVICE_HOST");
  if (!isNone || !context.empty() || host.empty()) return config;
  return inClusterConfig(host, variable("KUBERNETES_SERVICE_PORT"));
}

}  // namespace multinet::kube
