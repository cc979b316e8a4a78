// Where the API server is and who we are: from a kubeconfig or from inside a pod.
#pragma once

#include <filesystem>
#include <string>

#include "lib/base/result.h"

namespace multinet::kube {

/// A credential that stands in the configuration itself or in a file that may be replaced at run
/// time. At most one of both is set.
struct Material {
  std::string inlined;  ///< PEM or token text
  std::string file;
  [[nodiscard]] bool empty() const { return inlined.empty() && file.empty(); }
  /// The text as it is now; a file is read each time.
  [[nodiscard]] Result<std::string> read() const;
};

/// Valid by construction: `loadKubeconfig` and `inClusterConfig` refuse what can't be served.
struct Config {
  std::string server;  ///< `https://host:port` or `http://host:port`, without a trailing slash
  Material certificateAuthority;  ///< the only CA that is trusted; empty trusts nobody over https
  Material clientCertificate;
  Material clientKey;
  Material token;
  std::string nameSpace = "default";  ///< of the context or of the pod
  std::string userAgent = "multinet";
};

/// Reads the context `context`, or the current one when it is empty. Several files may be given
/// joined by ':' as in KUBECONFIG; the first that names an entry wins.
/// Refuses with one sentence: insecure-skip-tls-verify, tls-server-name, proxy-url, an IPv6 literal
/// as server, basic authentication, exec plugins, auth providers, impersonation.
[[nodiscard]] Result<Config> loadKubeconfig(const std::string& path, const std::string& context);
/// The same from text; relative file names are taken from `directory`.
[[nodiscard]] Result<Config> parseKubeconfig(std::string_view text, const std::string& context,
                                             const std::filesystem::path& directory);

/// The pod's own service account. `root` stands for `/` (tests). The environment's
/// KUBERNETES_SERVICE_HOST and _PORT are given as `host` and `port`.
[[nodiscard]] Result<Config> inClusterConfig(const std::string& host, const std::string& port,
                                             const std::filesystem::path& root = "/");

/// `kubeconfig` if it is not empty, else $KUBECONFIG, else in-cluster, else ~/.kube/config.
[[nodiscard]] Result<Config> loadConfig(const std::string& kubeconfig, const std::string& context);

}  // namespace multinet::kube
