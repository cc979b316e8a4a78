// Where the API server is and who we are: from a kubeconfig or from inside a pod.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/result.h"

namespace multinet::kube {

/// A credential that stands in the configuration itself or in a file that may be replaced at run
/// time. Where both are set the file counts, as long as it can be read.
struct Material {
  std::string inlined;  ///< PEM or token text
  std::string file;
  [[nodiscard]] bool empty() const { return inlined.empty() && file.empty(); }
  /// The text as it is now; a file is read each time.
  [[nodiscard]] Result<std::string> read() const;
};

/// A program that says who we are (client.authentication.k8s.io): see exec_credential.h.
struct ExecPlugin {
  std::string apiVersion;
  std::string command;  ///< a path, or a name that PATH finds
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  ///< beside our own
  std::string installHint;                                       ///< for people who lack it
  bool providesCluster = false;  ///< it is told server and authority
};

/// Valid by construction: `loadKubeconfig` and `inClusterConfig` refuse what can't be served.
struct Config {
  std::string server;  ///< `https://host:port` or `http://host:port`, without a trailing slash
  /// Whose name the server's certificate has, where it isn't the one in `server`.
  std::string serverName;
  Material certificateAuthority;  ///< the only CA that is trusted; empty trusts nobody over https
  Material clientCertificate;
  Material clientKey;
  Material token;
  std::optional<ExecPlugin> exec;     ///< only where there is no other credential
  std::string nameSpace = "default";  ///< of the context or of the pod
  std::string userAgent = "multinet";
  std::string asUser;   ///< requests are made as this user (impersonation); empty: as who we are
  std::string asGroup;  ///< and as a member of this group; needs asUser
};

/// Reads one file, its context `context`, or the current one when that is empty.
///
/// Found, merged and preferred as kubectl does; a file that names an entry twice is refused, and
/// over http:// no credential is shown. What isn't served is refused by one sentence that names
/// file, entry, field, value and remedy: insecure-skip-tls-verify, proxy-url, a cluster without an
/// authority, an IPv6 literal as server, username and password, auth-provider, impersonation, exec
/// plugins that want a terminal or the cluster's extension.
[[nodiscard]] Result<Config> loadKubeconfig(const std::string& path, const std::string& context);
/// The same of several files joined by ':', as in KUBECONFIG. The first that names an entry wins
/// with all of it, and the first that names a current-context. Paths are relative to the file that
/// has them. A missing file is passed over; NotFound/NoKubeconfig where none is there.
[[nodiscard]] Result<Config> loadKubeconfigs(const std::string& paths, const std::string& context);
/// The same of a text; `file` is its name in errors, relative paths are relative to its directory.
[[nodiscard]] Result<Config> parseKubeconfig(std::string_view text, const std::string& context,
                                             const std::filesystem::path& file);

/// The pod's own service account. `root` stands for `/` (tests). The environment's
/// KUBERNETES_SERVICE_HOST and _PORT are given as `host` and `port`.
[[nodiscard]] Result<Config> inClusterConfig(const std::string& host, const std::string& port,
                                             const std::filesystem::path& root = "/");

/// `kubeconfig` if it is not empty, else the files of $KUBECONFIG, else ~/.kube/config; where none
/// of these is there and nobody asked for a context, the pod's service account.
[[nodiscard]] Result<Config> loadConfig(const std::string& kubeconfig, const std::string& context);

}  // namespace multinet::kube
